"""A supervisor in a process of its own, which is told to stop, or killed, at any moment. Nothing may be left."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rushes.local.parent import SUPERVISED
from rushes.local.ports import free_ports, port_is_free, port_is_served

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux' own")

Until = Callable[..., None]
SupervisedBy = Callable[[int], set[int]]

# Starts argv[2:], each a Python program given as text, with the folder argv[1] as its argument. A program is ready when
# it has made the file named after its place in the list.
SUPERVISE = """
import sys
from pathlib import Path
from rushes.local.process import Process
from rushes.local.supervisor import Ended, Supervisor
folder = Path(sys.argv[1])
try:
    with Supervisor(install_signals=True) as supervisor:
        (folder / "supervising").touch()
        for place, code in enumerate(sys.argv[2:]):
            argv = [sys.executable, "-c", code, str(folder), str(place)]
            supervisor.start(Process(f"child{place}", argv, ready=(folder / str(place)).exists, stage=place, grace_s=1))
        (folder / "started").touch()
        supervisor.wait()
except Ended as end:
    print(end.why)
    sys.exit(0 if end.asked else 1)
"""
UP = (
    "import os, signal, sys, time; from pathlib import Path; folder = Path(sys.argv[1]); "
    "(folder / sys.argv[2]).touch()\n"
)
POLITE = UP + "signal.pause()"
DEAF = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]\n" + UP + "while True: signal.pause()"
NEVER_READY = "import signal; signal.pause()"
# Like granian: a main process, and a worker that asks to die with it.
WITH_WORKER = (
    "import os, signal, sys; from rushes.local.parent import die_with_parent\n"
    "if os.fork() == 0:\n    signal.signal(signal.SIGTERM, signal.SIG_IGN); die_with_parent()\n    "
    + UP
    + "signal.pause()"
)
# The worker asks only after the main process has died.
WITH_LATE_WORKER = (
    "import os, signal, sys, time; from rushes.local.parent import die_with_parent\n"
    "if os.fork() == 0:\n    " + UP + "    while not (folder / 'ask').exists(): time.sleep(0.01)\n"
    "    die_with_parent(); (folder / 'survived').touch()\nsignal.pause()"
)


def supervise(folder: Path, *programs: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(folder), *programs], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["supervising", "0", "1", "started"])
def test_a_signal_at_any_moment_leaves_nothing(
    tmp_path: Path, until: Until, supervised_by: SupervisedBy, moment: str, number: signal.Signals
) -> None:
    with supervise(tmp_path, POLITE, DEAF, POLITE) as process:
        until((tmp_path / moment).exists)
        process.send_signal(number)
        output, _ = process.communicate(timeout=15)
    assert (process.returncode, output) == (0, f"stopped by {number.name}\n")
    assert not supervised_by(process.pid)


def test_a_signal_while_a_child_is_not_getting_ready_leaves_nothing(
    tmp_path: Path, until: Until, supervised_by: SupervisedBy
) -> None:
    with supervise(tmp_path, POLITE, NEVER_READY) as process:
        until(lambda: len(supervised_by(process.pid)) == 2)
        process.terminate()
        assert process.wait(timeout=15) == 0
    assert not supervised_by(process.pid)


@pytest.mark.parametrize("moment", ["supervising", "0", "1", "started"])
def test_a_killed_supervisor_leaves_nothing(
    tmp_path: Path, until: Until, supervised_by: SupervisedBy, moment: str
) -> None:
    with supervise(tmp_path, POLITE, DEAF, WITH_WORKER) as process:
        until((tmp_path / moment).exists)
        if moment == "started":
            assert len(supervised_by(process.pid)) == 4
        process.kill()
        process.wait(timeout=15)
        until(lambda: not supervised_by(process.pid))


def test_a_worker_that_asks_too_late_notices_that_its_parent_has_gone(
    tmp_path: Path, until: Until, supervised_by: SupervisedBy
) -> None:
    with supervise(tmp_path, WITH_LATE_WORKER) as process:
        until((tmp_path / "started").exists)
        process.kill()
        process.wait(timeout=15)
        until(lambda: len(supervised_by(process.pid)) == 1)
        (tmp_path / "ask").touch()
        until(lambda: not supervised_by(process.pid))
    assert not (tmp_path / "survived").exists()


def test_without_a_supervisor_a_worker_outlives_its_parent(tmp_path: Path, until: Until) -> None:
    environment = {name: value for name, value in os.environ.items() if name != SUPERVISED}
    main = WITH_LATE_WORKER.replace("signal.pause()", "pass")
    subprocess.run([sys.executable, "-c", main, str(tmp_path), "0"], env=environment, check=True, timeout=15)
    until((tmp_path / "0").exists)
    (tmp_path / "ask").touch()
    until((tmp_path / "survived").exists)


def test_granians_worker_goes_with_a_killed_supervisor(
    tmp_path: Path, until: Until, supervised_by: SupervisedBy
) -> None:
    (port,) = free_ports(1)
    (tmp_path / "served.py").write_text(
        "from rushes.local.parent import die_with_parent\n"
        "die_with_parent()\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'here']\n"
    )
    granian = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "served:app"]
    become = UP + f"os.chdir(folder); os.execv(sys.executable, [sys.executable, '-m', 'granian', *{granian!r}])"
    with supervise(tmp_path, become) as process:
        until(lambda: port_is_served(port) and len(supervised_by(process.pid)) >= 2)
        process.kill()
        process.wait(timeout=15)
        until(lambda: not supervised_by(process.pid) and port_is_free(port))
