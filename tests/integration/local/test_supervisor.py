"""A supervisor inside the test's own process. Its own death and signals: test_supervisor_death.py."""

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rushes.local.process import Child, Process
from rushes.local.supervisor import Ended, Supervisor

SLEEP = "import signal; signal.pause()"


def python(name: str, code: str, *arguments: object, **options: object) -> Process:
    return Process(name, [sys.executable, "-c", code, *map(str, arguments)], **options)  # type: ignore[arg-type]


def wait(supervisor: Supervisor, timeout_s: float = 20) -> Ended:
    """`supervisor.wait()`, but not for ever."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            supervisor.check()
        except Ended as end:
            return end
        time.sleep(0.01)
    raise AssertionError("nothing ended")


def test_each_starts_when_the_one_before_it_is_ready(supervisor: Supervisor) -> None:
    seen: list[list[str]] = []

    def ready() -> bool:
        seen.append(list(supervisor.pids))
        return len(seen) % 3 == 0

    for name in ("store", "worker", "web"):
        supervisor.start(python(name, SLEEP, ready=ready))
    assert seen == [["store"]] * 3 + [["store", "worker"]] * 3 + [["store", "worker", "web"]] * 3


def test_stages_stop_in_reverse_order(tmp_path: Path, until: Callable[..., None]) -> None:
    log = tmp_path / "log"
    code = (
        "import os, signal, sys\n"
        "def note(what):\n"
        "    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
        "    os.write(file, f'{what} {sys.argv[2]}\\n'.encode())\n"
        "def stop(number, frame):\n"
        "    note('-')\n"
        "    sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "note('+')\n"
        "while True: signal.pause()\n"
    )
    with Supervisor() as supervisor:
        for name, stage in (("store", 0), ("worker", 1), ("beat", 1), ("web", 2)):
            line = f"+ {name}\n"
            process = python(name, code, log, name, stage=stage)
            supervisor.start(process)
            until(lambda line=line: log.exists() and line in log.read_text())
    stopped = log.read_text().split()[8:]
    assert stopped[:2] == ["-", "web"]
    assert set(stopped[3:6:2]) == {"worker", "beat"}
    assert stopped[6:] == ["-", "store"]


def test_a_child_that_dies_ends_everything_and_is_named_with_its_last_words() -> None:
    with Supervisor() as supervisor:
        supervisor.start(python("store", SLEEP))
        supervisor.start(python("web", "print('no disk'); print(); raise SystemExit(3)"))
        pids = supervisor.pids
        end = wait(supervisor)
    assert end.why == supervisor.why == "web ended with status 3: no disk"
    assert not end.asked
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_child_that_ends_well_ends_everything_too(supervisor: Supervisor) -> None:
    supervisor.start(python("web", ""))
    assert wait(supervisor).why == "web ended with status 0"


def test_a_child_that_is_killed_is_named_with_the_signal(supervisor: Supervisor) -> None:
    supervisor.start(python("store", SLEEP))
    os.kill(supervisor.pids["store"], signal.SIGKILL)
    assert wait(supervisor).why == "store was killed by SIGKILL"


def test_a_child_that_dies_before_it_is_ready_is_not_waited_for(supervisor: Supervisor) -> None:
    with pytest.raises(Ended, match="web ended with status 4"):
        supervisor.start(python("web", "raise SystemExit(4)", ready=lambda: False))


def test_an_older_child_that_dies_during_a_start_is_noticed(supervisor: Supervisor) -> None:
    supervisor.start(python("store", SLEEP))
    os.kill(supervisor.pids["store"], signal.SIGKILL)
    with pytest.raises(Ended, match="store was killed by SIGKILL"):
        supervisor.start(python("web", SLEEP, ready=lambda: False))


def test_a_child_that_is_not_ready_in_time_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(Ended, match=r"web was not ready within 0\.1 s"):
        supervisor.start(python("web", SLEEP, ready=lambda: False, ready_timeout_s=0.1))


def test_a_command_that_does_not_exist_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(Ended, match="ended with status 127: cannot run /no/such/thing: No such file or directory"):
        supervisor.start(Process("web", ["/no/such/thing"], ready=lambda: False))


class Clock:
    """Turned by the test: no pause is waited for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def until_born(supervisor: Supervisor, clock: Clock, name: str, *, after_s: float) -> None:
    """Look until the child that has died just now is started again, at this time and not before."""
    old = supervisor.pids[name]
    died_at, clock.now = clock.now, clock.now + after_s - 0.01
    for _ in range(5):
        supervisor.check()
        assert supervisor.pids[name] == old
        time.sleep(0.01)
    clock.now = died_at + after_s
    born(supervisor, name, old)


def born(supervisor: Supervisor, name: str, old: int) -> None:
    """Look until another process bears the name."""
    deadline = time.monotonic() + 20
    while supervisor.pids[name] == old:
        supervisor.check()
        assert time.monotonic() < deadline, "it was not started again"
        time.sleep(0.01)


def slain(supervisor: Supervisor, name: str, lines: list[str]) -> None:
    """Kill it, and look until that is noticed."""
    told = len(lines)
    os.kill(supervisor.pids[name], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while len(lines) == told:
        supervisor.check()
        assert time.monotonic() < deadline, "its death went unnoticed"
        time.sleep(0.01)


def test_what_a_child_said_before_somebody_killed_it_is_no_reason() -> None:
    lines: list[str] = []
    with Supervisor(lambda name, line: lines.append(line), clock=Clock()) as supervisor:
        supervisor.start(
            replace(python("worker", f"print('well', flush=True); {SLEEP}"), ready=lambda: "well" in lines)
        )
        supervisor.keep_up(lambda name: True)
        slain(supervisor, "worker", lines)
    assert lines[-1] == "(worker was killed by SIGKILL; starting it again in 1 s)"


def test_a_child_that_dies_is_started_again_ever_later_and_its_sixth_death_is_the_end() -> None:
    lines: list[str] = []
    clock = Clock()
    with Supervisor(lambda name, line: lines.append(f"{name}: {line}"), clock=clock) as supervisor:
        for name in ("store", "worker"):
            supervisor.start(python(name, SLEEP))
        store = supervisor.pids["store"]
        supervisor.keep_up(lambda name: True)
        for pause_s in (1, 2, 4, 8, 16):
            slain(supervisor, "worker", lines)
            assert lines[-1] == f"worker: (worker was killed by SIGKILL; starting it again in {pause_s} s)"
            until_born(supervisor, clock, "worker", after_s=pause_s)
            clock.now += 299  # of being ready
            supervisor.check()
        assert supervisor.pids["store"] == store
        os.kill(supervisor.pids["worker"], signal.SIGKILL)
        end = wait(supervisor)
    assert end.why == "worker was killed by SIGKILL; it died 6 times without being well for 5 min"
    assert not end.asked


def test_a_child_that_was_ready_for_five_minutes_without_a_break_has_recovered() -> None:
    lines: list[str] = []
    clock, well = Clock(), True
    with Supervisor(lambda name, line: lines.append(line), clock=clock) as supervisor:
        supervisor.start(python("web", SLEEP))
        supervisor.keep_up(lambda name: well)

        def pass_time(seconds: float) -> None:
            for _ in range(round(seconds / 10)):
                clock.now += 10
                supervisor.check()

        slain(supervisor, "web", lines)
        until_born(supervisor, clock, "web", after_s=1)
        pass_time(290)
        well = False
        pass_time(10)
        well = True
        pass_time(290)
        slain(supervisor, "web", lines)
        until_born(supervisor, clock, "web", after_s=2)
        pass_time(320)
        slain(supervisor, "web", lines)
        until_born(supervisor, clock, "web", after_s=1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who belongs to a group")
def test_a_child_is_started_again_only_once_its_whole_group_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import os, signal, sys\nif os.fork() == 0:\n    open(sys.argv[1], 'w')\nsignal.pause()"
    lines: list[str] = []
    clock = Clock()
    with Supervisor(lambda name, line: lines.append(line), clock=clock) as supervisor:
        supervisor.start(python("web", code, tmp_path / "forked", ready=(tmp_path / "forked").exists))
        supervisor.keep_up(lambda name: True)
        with monkeypatch.context() as patch:  # as if a process of it hung in the kernel
            patch.setattr(Child, "kill_group", lambda self: None)
            slain(supervisor, "web", lines)
        old = supervisor.pids["web"]
        told = len(lines)
        clock.now += 100
        for _ in range(20):
            supervisor.check()
            time.sleep(0.01)
        assert supervisor.pids["web"] == old
        (line,) = lines[told:]  # once, not at each look
        assert re.fullmatch(r"\(it cannot be started .* before process \d+ \(state [SRD]\) is gone, .*\)", line)
        os.killpg(old, signal.SIGKILL)
        born(supervisor, "web", old)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says who belongs to a group")
def test_a_strangers_name_of_any_bytes_keeps_no_child_from_its_start() -> None:
    name = "生成视频服".encode()[:14]  # as the kernel cuts a longer one: inside a character
    code = f"import ctypes, signal; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout is not None
            stranger.stdout.readline()
            assert name in Path(f"/proc/{stranger.pid}/stat").read_bytes()
            starts_again()
        finally:
            stranger.kill()


def starts_again() -> None:
    lines: list[str] = []
    clock = Clock()
    with Supervisor(lambda name, line: lines.append(line), clock=clock) as supervisor:
        supervisor.start(python("web", SLEEP))
        supervisor.keep_up(lambda name: True)
        slain(supervisor, "web", lines)
        until_born(supervisor, clock, "web", after_s=1)


def no_process(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("where", "name", "lacks", "said"),
    [
        (subprocess, "Popen", no_process, "Cannot allocate memory"),
        (threading.Thread, "start", no_thread, "can't start new thread"),
    ],
)
def test_a_start_that_the_machine_has_no_room_for_is_a_death_like_any_other(
    where: object,
    name: str,
    lacks: object,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    supervised_by: Callable[[int], set[int]],
) -> None:
    lines: list[str] = []
    clock = Clock()
    with Supervisor(lambda name, line: lines.append(line), clock=clock) as supervisor:
        supervisor.start(python("web", SLEEP))
        supervisor.keep_up(lambda name: True)
        slain(supervisor, "web", lines)
        with monkeypatch.context() as patch:
            patch.setattr(where, name, lacks)
            for pause_s in (2, 4):
                clock.now += 100
                deadline = time.monotonic() + 20
                while f"starting it again in {pause_s} s" not in lines[-1]:
                    supervisor.check()
                    assert time.monotonic() < deadline, lines
                assert lines[-1].startswith("(web could not be started again: ")
                assert said in lines[-1]
            assert not supervised_by(os.getpid())
        until_born(supervisor, clock, "web", after_s=4)
        slain(supervisor, "web", lines)
        with monkeypatch.context() as patch:
            patch.setattr(where, name, lacks)
            clock.now += 100
            supervisor.check()
            clock.now += 100
            end = wait(supervisor)
    assert re.fullmatch(r"web could not be started again: .*; it died 6 times without being well for 5 min", end.why)


def test_a_listener_that_fails_ends_nothing_when_a_child_dies() -> None:
    told: list[str] = []

    def fail(name: str, line: str) -> None:
        told.append(line)
        raise OSError(errno.ENOSPC, "No space left on device")

    clock = Clock()
    with Supervisor(fail, clock=clock) as supervisor:
        supervisor.start(python("web", SLEEP))
        supervisor.keep_up(lambda name: True)
        slain(supervisor, "web", told)
        until_born(supervisor, clock, "web", after_s=1)


def test_what_was_to_run_to_its_end_is_never_repeated(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.keep_up(lambda name: True)
    code = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(3)"
    with pytest.raises(Ended) as end:
        supervisor.finish(python("release", code, tmp_path / "starts"))
    assert (end.value.finish, end.value.status) == ("release", 3)
    assert (tmp_path / "starts").read_text() == "x"


def test_a_child_that_ignores_the_stop_signal_is_killed_after_its_grace(tmp_path: Path) -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w')\n"
        "while True: signal.pause()"
    )
    with Supervisor() as supervisor:
        supervisor.start(python("deaf", code, tmp_path / "up", grace_s=0.3, ready=(tmp_path / "up").exists))
        pid = supervisor.pids["deaf"]
        began = time.monotonic()
    assert 0.3 <= time.monotonic() - began < 3
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_a_child_leaves_in_its_group_is_killed(
    tmp_path: Path, supervised_by: Callable[[int], set[int]], until: Callable[..., None]
) -> None:
    code = (
        "import os, signal, sys\n"
        "if os.fork() == 0:\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w')\n"
        "while True: signal.pause()"
    )
    with Supervisor() as supervisor:
        supervisor.start(python("parent", code, tmp_path / "up", ready=(tmp_path / "up").exists))
        assert len(supervised_by(os.getpid())) == 2
        os.kill(supervisor.pids["parent"], signal.SIGKILL)
        wait(supervisor)
    until(lambda: not supervised_by(os.getpid()))


def test_each_child_can_have_its_own_stop_signal(tmp_path: Path) -> None:
    code = (
        "import signal, sys\n"
        "def stop(number, frame):\n    open(sys.argv[1] + '/heard', 'w')\n    sys.exit()\n"
        "signal.signal(signal.SIGINT, stop)\nopen(sys.argv[1] + '/up', 'w')\nwhile True: signal.pause()"
    )
    with Supervisor() as supervisor:
        ready = (tmp_path / "up").exists
        supervisor.start(python("store", code, tmp_path, ready=ready, stop_signal=signal.SIGINT))
    assert (tmp_path / "heard").exists()


def test_output_comes_as_whole_lines_with_the_childs_name(tmp_path: Path, until: Callable[..., None]) -> None:
    lines: list[tuple[str, str]] = []
    code = (
        "import signal, sys\nfor n in range(20000): print(sys.argv[2], n, 'x' * (n % 90))\n"
        "print('the end', end='', flush=True); open(sys.argv[1], 'w'); signal.pause()"
    )
    with Supervisor(lambda name, line: lines.append((name, line))) as supervisor:
        for name in ("a", "b"):
            supervisor.start(python(name, code, tmp_path / name, name))
        for name in ("a", "b"):
            until((tmp_path / name).exists)
    for name in ("a", "b"):
        expected = [f"{name} {n} {'x' * (n % 90)}" for n in range(20_000)] + ["the end"]
        assert [line for owner, line in lines if owner == name] == expected


def test_endless_output_without_a_line_is_bounded_and_does_not_stop_the_child() -> None:
    sizes: list[int] = []
    code = "import sys\nfor _ in range(320): sys.stdout.write('x' * 100_000)"
    with Supervisor(lambda name, line: sizes.append(len(line))) as supervisor:
        supervisor.finish(python("loud", code))
    assert sum(sizes) == 32_000_000
    assert max(sizes) <= 8192


def test_a_listener_that_fails_does_not_stop_the_child() -> None:
    def fail(name: str, line: str) -> None:
        raise BrokenPipeError("the terminal is gone")

    with Supervisor(fail) as supervisor:
        supervisor.finish(python("loud", "print('x\\n' * 200_000)"))


def test_a_process_that_runs_to_its_end_must_end_well(supervisor: Supervisor) -> None:
    supervisor.start(python("store", SLEEP))
    supervisor.finish(python("release", "print('migrated')"))
    assert list(supervisor.pids) == ["store"]
    with pytest.raises(Ended, match="release ended with status 2: no such table"):
        supervisor.finish(python("release", "print('no such table'); raise SystemExit(2)"))
    with pytest.raises(Ended, match=r"release did not finish within 0\.2 s"):
        supervisor.finish(python("release", SLEEP), timeout_s=0.2)


def test_one_child_can_be_stopped_or_killed_and_started_anew(supervisor: Supervisor) -> None:
    store = python("store", SLEEP)
    supervisor.start(store)
    with pytest.raises(ValueError, match="'store'"):
        supervisor.start(store)
    for stop in (supervisor.stop_one, supervisor.kill):
        before = supervisor.pids["store"]
        stop("store")
        assert not supervisor.pids
        supervisor.start(store)
        assert supervisor.pids["store"] != before
    supervisor.check()


def test_a_child_gets_its_environment_and_folder_and_no_input(tmp_path: Path, supervisor: Supervisor) -> None:
    code = (
        "import os, sys\n"
        "assert (os.environ['A'], os.environ.get('HOME')) == ('b', None)\n"
        "assert (os.getcwd(), sys.stdin.read()) == (sys.argv[1], '')"
    )
    supervisor.finish(python("child", code, tmp_path, env={"A": "b"}, cwd=tmp_path))


def test_tidying_happens_however_a_child_ends(tmp_path: Path) -> None:
    tidied: list[str] = []
    with Supervisor() as supervisor:
        for name in ("a", "b", "c"):
            supervisor.start(python(name, SLEEP, after_end=lambda name=name: tidied.append(name)))
        supervisor.kill("a")
        supervisor.stop_one("b")
        assert tidied == ["a", "b"]
    assert tidied == ["a", "b", "c"]


def test_an_exception_in_the_tidying_still_ends_the_others(supervised_by: Callable[[int], set[int]]) -> None:
    def fail() -> None:
        raise OSError("read-only")

    supervisor = Supervisor()
    for name in ("a", "b", "c"):
        supervisor.start(python(name, SLEEP, after_end=fail))
    with pytest.raises(OSError, match="read-only"):
        supervisor.stop()
    assert not supervised_by(os.getpid())


def test_another_thread_may_not_start_children_because_they_would_die_with_it(supervisor: Supervisor) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            supervisor.start(python("web", SLEEP))
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(10)
    assert "thread" in str(errors[0])
    assert not supervisor.pids


def test_without_being_told_to_it_leaves_the_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Supervisor():
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_and_the_old_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Supervisor(install_signals=True) as supervisor:
        supervisor.start(python("web", SLEEP))
        os.kill(os.getpid(), number)
        with pytest.raises(Ended, match=f"stopped by {number.name}") as end:
            supervisor.wait()
        assert end.value.asked
        os.kill(os.getpid(), number)  # again, impatiently
    assert signal.getsignal(number) is before
