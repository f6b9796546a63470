"""An engine, and images: those of this machine, or Debian's engine and stand-ins made of Debian's packages and wheels.

Debian's engine runs in a network namespace of its own, so that no rule of this machine's firewall changes, and keeps
all of its files in one folder, which goes at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT, IMAGES = Path(__file__).parents[2], Path(__file__).parent / "images"
BIN = Path(sys.executable).parent
BASE = "rushes-stand-in"
PACKAGES = "ca-certificates,python3,python3-venv,python3-pip,postgresql-15,redis-server,curl,wget"
# image → the stand-in's Dockerfile, and programs of our own environment that it takes
STAND_INS = {
    "python:3.11-slim": ("python", ()),
    "postgres:18": ("postgres", ()),
    "valkey/valkey:9": ("valkey", ()),
    "chrislusf/seaweedfs:4.48": ("seaweedfs", ("weed",)),
    "caddy:2.11": ("caddy", ("caddy",)),
}
GATEWAYS = "rushes-gateways"


def run(*command: str | Path, **more: object) -> str:
    """A command's standard output. Ends the run with what it said, if it fails."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=False, **more)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with status {done.returncode}: {done.stdout[-2000:]}")
    return str(done.stdout)


def works(*command: str) -> bool:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def compose() -> tuple[list[str], bool]:
    """Compose's command, and whether it is the present one, which takes the file as it stands."""
    if works("docker", "compose", "version"):
        return ["docker", "compose"], True
    if shutil.which("docker-compose"):
        return ["docker-compose"], False
    raise SystemExit("there is no Compose: install the plugin docker-compose-v2, or Debian's docker-compose")


@contextlib.contextmanager
def engine() -> Iterator[None]:
    """An engine that `docker` speaks to: the one that answers, or Debian's, for as long as the block lasts."""
    if works("docker", "version"):
        yield
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit("no engine answers to `docker version`; start one, or run this on Debian as root")
    run(
        "apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "docker.io",
        "docker-compose",
        "debootstrap",
        "iproute2",
    )
    folder, namespace = Path(tempfile.mkdtemp(prefix="rushes-containers-")), f"rushes-{os.getpid()}"
    run("ip", "netns", "add", namespace)
    run("ip", "-n", namespace, "link", "set", "lo", "up")
    os.environ["DOCKER_HOST"] = f"unix://{folder}/socket"
    os.environ["DOCKER_BUILDKIT"] = "0"
    os.environ["PATH"] = f"/usr/bin:/usr/sbin:{os.environ['PATH']}"  # a client of the engine's own version comes first
    # Not `ip netns exec`, which hides the control groups behind a /sys of its own.
    command = ["nsenter", f"--net=/run/netns/{namespace}", "dockerd", "--data-root", folder / "data"]
    command += ["--exec-root", folder / "exec", "--pidfile", folder / "pid", "--host", f"unix://{folder}/socket"]
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        end = time.monotonic() + 60
        while not works("docker", "version"):
            if daemon.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"dockerd did not start: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.5)  # between two looks
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)
        run("ip", "netns", "delete", namespace)
        shutil.rmtree(folder, ignore_errors=True)


def prepare_images(names: set[str]) -> None:
    """Have every image here: as it is, from a registry, or else a stand-in of the same name; then the service's own."""
    for name in sorted({"python:3.11-slim", *names}):
        if works("docker", "image", "inspect", name) or works("docker", "pull", name):
            continue
        kind, programs = STAND_INS[name]
        print(f"{name}: no registry has it, so it is a stand-in", flush=True)
        _build_stand_in(name, kind, programs)
    run("docker", "build", "--quiet", "--tag", "rushes:0.1", ROOT)
    with tempfile.TemporaryDirectory() as folder:
        run(BIN / "pip", "install", "--quiet", "--no-deps", "--target", f"{folder}/site", "pillow")
        shutil.copy(IMAGES / "Dockerfile.gateways", f"{folder}/Dockerfile")
        run("docker", "build", "--quiet", "--tag", GATEWAYS, folder)


def _build_stand_in(name: str, kind: str, programs: tuple[str, ...]) -> None:
    if not works("docker", "image", "inspect", BASE):
        _import_base()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(IMAGES / f"Dockerfile.{kind}", f"{folder}/Dockerfile")
        for script in IMAGES.glob(f"{kind}.sh"):
            shutil.copy(script, folder)
        for program in programs:
            shutil.copy(BIN / program, folder)
        if kind == "python":
            _download_wheels(Path(folder, "wheels"))
        run("docker", "build", "--quiet", "--tag", name, folder)


def _import_base() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root)
        tar = subprocess.Popen(["tar", "-C", root, "--exclude=./var/cache/apt", "-c", "."], stdout=subprocess.PIPE)
        run("docker", "import", "-", BASE, stdin=tar.stdout)
        if tar.wait():
            raise SystemExit("tar could not read the base")


def _download_wheels(folder: Path) -> None:
    for lock in ("requirements.txt", "requirements-build.txt"):
        options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
        run(BIN / "pip", "download", *options, "--requirement", ROOT / lock)
    # What the lock has for Pythons before 3.11.3, of which Debian's is one and ours may not be.
    run(BIN / "pip", "download", "--quiet", "--no-deps", "--dest", folder, "async-timeout==5.0.1")
