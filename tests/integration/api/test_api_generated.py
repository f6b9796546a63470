"""Clients that generators make of the document: each orders a job at its first call, and reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import npm_packages
import pytest
from flask import Flask
from served import Served, serve_app

from jobs.intake import api_keys
from jobs.store.database import Database

PYTHON = """\
import sys
from rushes_client import AuthenticatedClient
from rushes_client.api.jobs import create_job, get_job, list_jobs
from rushes_client.models import JobState, Request, RequestMetadata

url, key = sys.argv[1:]
client = AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
wanted = Request.from_dict({"prompt": "A red fox", "duration": 2, "provider": "evolink", "metadata": {"scene": "12"}})
made = create_job.sync(client=client, body=wanted, idempotency_key="scene-12")
shown = get_job.sync(made.id, client=client)
assert (shown.id, shown.state) == (made.id, JobState.QUEUED), shown
listed = list_jobs.sync(client=client, limit=5)
print(shown.id, shown.request.prompt, shown.metadata.to_dict()["scene"], len(listed.data))
"""
TYPESCRIPT = """\
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };
const [url, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });
const body: components["schemas"]["Request"] = {
  prompt: "A red fox",
  duration: 2,
  provider: "evolink",
  metadata: { scene: "12" },
};

async function main(): Promise<void> {
  const made = await client.POST("/v1/jobs", { body, params: { header: { "Idempotency-Key": "scene-12" } } });
  if (made.error || made.response.status !== 202 || !("id" in made.data)) throw new Error(JSON.stringify(made.error));
  const shown = await client.GET("/v1/jobs/{job_id}", { params: { path: { job_id: made.data.id } } });
  if (shown.error) throw new Error(shown.error.code);
  const listed = await client.GET("/v1/jobs", { params: { query: { limit: 5 } } });
  if (listed.error) throw new Error(listed.error.code);
  const job: components["schemas"]["Job"] = shown.data;
  console.log(job.id, job.request.prompt, job.metadata.scene, listed.data.data.length);
}

main();
"""
OPTIONS = {"strict": True, "module": "nodenext", "target": "es2022", "lib": ["es2022", "dom"], "types": []}


@pytest.fixture
def served(own_app: Flask) -> Iterator[Served]:
    served = serve_app(own_app)
    yield served
    served.close()


@pytest.fixture
def key(database: Database) -> str:
    return api_keys.create(database, "generated")[1]


@pytest.fixture
def document(own_app: Flask, tmp_path: Path) -> Path:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(own_app.extensions["rushes.openapi"]()))
    return file


def run(*argv: str, cwd: Path, **environ: str) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.timeout(150)
def test_a_python_client_orders_a_job_at_its_first_call(
    served: Served, key: str, document: Path, tmp_path: Path
) -> None:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it formats what it writes by ruff
    generate = (sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document))
    said = run(*generate, "--output-path", str(tmp_path / "python"), cwd=tmp_path, PATH=tools)
    assert "Warning" not in said
    told = run(sys.executable, "-c", PYTHON, served.url, key, cwd=tmp_path, PYTHONPATH=str(tmp_path / "python"))
    assert told.split(maxsplit=1)[1] == "A red fox 12 1\n"


@pytest.mark.prove  # it installs what is not there yet
@pytest.mark.timeout(450)
def test_a_typescript_client_orders_a_job_at_its_first_call(
    served: Served, key: str, document: Path, tmp_path: Path
) -> None:
    node, modules = npm_packages.installed()
    folder = tmp_path / "typescript"
    folder.mkdir()
    (folder / "node_modules").symlink_to(modules)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "files": ["main.ts"]}))
    (folder / "main.ts").write_text(TYPESCRIPT)
    run(node, str(modules / "openapi-typescript/bin/cli.js"), str(document), "-o", "api.d.ts", cwd=folder)
    run(node, str(modules / "typescript/bin/tsc"), cwd=folder)
    told = run(node, "main.js", served.url, key, cwd=folder)
    assert told.split(maxsplit=1)[1] == "A red fox 12 1\n"
