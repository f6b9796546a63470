from pathlib import Path

from rushes.local.plan import Flags, plan
from rushes.local.process import Process
from rushes.local.stack import service_processes

KEPT = {
    "valkey": {"port": 1, "password": "p"},
    "seaweedfs": {"ports": {"s3.port": 2}, "access_key": "a", "secret_key": "s"},
    "sandbox": {"port": 3},
    "callback_keys": "k1:" + "0" * 32,
    "notice_secrets": "whsec_" + "A" * 44,
}


def processes(**environ: str) -> dict[str, Process]:
    flags = Flags(port=8081, sandbox=True)
    return service_processes(plan(environ, KEPT, flags, data_dir=Path("/data"), bin_dir=Path("/venv/bin")))


def test_the_procfile_is_the_list_of_processes() -> None:
    assert list(processes()) == ["web", "worker", "transfer", "notify", "sweep", "beat"]


def test_commands_take_their_variables_from_the_environment_and_the_flags() -> None:
    web = list(processes(RUSHES_HOST="0.0.0.0")["web"].argv)
    assert web[web.index("--port") + 1] == "8081"
    assert web[web.index("--host") + 1] == "0.0.0.0"
    assert "7" in processes(RUSHES_TRANSFER_SLOTS="7")["transfer"].argv


def test_programs_of_this_environment_are_found_first() -> None:
    for process in processes(PATH="/usr/bin").values():
        assert process.env is not None
        assert process.env["PATH"] == "/venv/bin:/usr/bin"
