"""S3 servers of other makers that the package indexes carry: moto from PyPI, s3rver from npm."""

from __future__ import annotations

import sys
from pathlib import Path

import npm_packages
import pytest
import requests

from rushes.local.ports import free_ports
from rushes.local.process import Process
from rushes.local.supervisor import Supervisor

S3RVER = Path("s3rver/bin/s3rver.js")
# It tells each request's address, and a presigned one is a secret.
MOTO = "import logging, sys, moto.server; logging.disable(logging.INFO); moto.server.main(sys.argv[1:])"
OTHERS_KEY = "S3RVER"  # the one that it knows, and its secret; moto takes any


def _serve(servers: Supervisor, name: str, argv: list[str], port: int) -> str:
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(url, timeout=1).status_code < 500
        except (requests.ConnectionError, requests.Timeout):
            return False

    servers.start(Process(name, argv, ready=answers))
    return url


@pytest.fixture(scope="session")
def moto(servers: Supervisor) -> str:
    port = free_ports(1)[0]
    return _serve(servers, "moto", [sys.executable, "-c", MOTO, "-H", "127.0.0.1", "-p", str(port)], port)


@pytest.fixture(scope="session")
def s3rver(servers: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> str:
    node, modules = npm_packages.installed()
    port = free_ports(1)[0]
    folder = tmp_path_factory.mktemp("s3rver")
    argv = [node, str(modules / S3RVER), "--silent", "-d", str(folder), "-a", "127.0.0.1", "-p", str(port)]
    return _serve(servers, "s3rver", argv, port)
