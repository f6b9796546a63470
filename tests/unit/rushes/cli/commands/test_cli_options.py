"""Every value that a command takes has a helpful refusal. A new option needs a row here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result
from fake_service import Service

from rushes.cli import main

Rushes = Callable[..., Result]
Option = tuple[str, str]
SAID = "Not like this; choose from a, b."
ID = "job_01K0000000000000000000000A"

# (command, option) → arguments, exit status, words. FILE and FOLDER stand for one of each that is there.
OURS: dict[Option, tuple[str, int, str]] = {
    ("init", "--domain"): ("--domain https://films.example.com", 2, "is no name of a host"),
    ("up", "--port"): ("--port 0", 2, "1<=x<=65535"),
    ("up", "--speed"): ("--sandbox --speed 0", 2, "x>0"),
    ("service install", "--port"): ("--port 0", 2, "1<=x<=65535"),
    ("service install", "--run-as"): ("--system --run-as no-such-user", 2, "there is no user 'no-such-user'"),
    ("demo", "--output"): ("--output FILE", 2, "is a file"),
    ("demo", "--picture"): ("--picture FOLDER", 2, "is a directory"),
    ("submit", "--media"): ("fox --media first_frame", 2, "should read TYPE=URL"),
    ("submit", "--duration"): ("fox --duration long", 2, "'long' is not a valid integer"),
    ("submit", "--seed"): ("fox --seed 1.5", 2, "'1.5' is not a valid integer"),
    ("submit", "--metadata"): ("fox --metadata =7", 2, "should read KEY=VALUE"),
    ("submit", "--request"): ("--request FOLDER", 2, "is a directory"),
    ("submit", "--file"): ("--file FOLDER/none", 2, "does not exist"),
    ("submit", "--batch"): ("fox --batch a/b", 2, "leave / out"),
    ("submit", "--like"): ("--like ../keys", 3, "ids look like job_01K…"),
    ("submit", "--name"): ("--file FILE --name {scene}", 2, "there are id, line"),
    ("submit", "--idempotency-key"): ("fox --idempotency-key ключ", 2, "1 to 255 visible ASCII characters"),
    ("submit", "--timeout"): ("fox --wait --timeout -1", 2, "x>=0"),
    ("submit", "--download"): ("fox --download FILE", 2, "is a file"),
    ("costs", "--by"): ("--by ''", 2, "a name has at least one character"),
    ("jobs list", "--column"): ("--column ''", 2, "a name has at least one character"),
    ("jobs list", "--metadata"): ("--metadata film", 2, "should read KEY=VALUE"),
    ("jobs list", "--limit"): ("--limit 101", 2, "1<=x<=100"),
    ("jobs show", "ID"): ("../keys", 3, "ids look like job_01K…"),
    ("jobs watch", "--batch"): (f"{ID} --batch monday", 2, "by their ids, or a batch"),
    ("jobs watch", "[ID]..."): (f"{ID} ../keys", 3, "ids look like job_01K…"),
    ("jobs watch", "--timeout"): (f"{ID} --timeout soon", 2, "'soon' is not a valid float"),
    ("jobs cancel", "ID..."): ("a/b", 3, "ids look like job_01K…"),
    ("jobs retry", "ID..."): ("?", 3, "ids look like job_01K…"),
    ("jobs settle", "ID"): ("a/b --not-made", 3, "ids look like job_01K…"),
    ("jobs settle", "--attempt"): (f"{ID} --not-made --attempt 0", 2, "x>=1"),
    ("jobs settle", "--timeout"): (f"{ID} --task-id t --timeout -1", 2, "x>=0"),
    ("evidence", "ID"): ("../keys", 3, "ids look like job_01K…"),
    ("evidence", "--output"): (f"{ID} --output FILE", 1, "is there already, and is left as it is"),
    ("videos list", "--column"): ("--column ''", 2, "a name has at least one character"),
    ("videos list", "--metadata"): ("--metadata film", 2, "should read KEY=VALUE"),
    ("videos list", "--limit"): ("--limit some", 2, "'some' is not a valid integer"),
    ("videos link", "ID"): ("a/b", 3, "ids look like job_01K…"),
    ("videos accept", "ID..."): ("a/b", 3, "ids look like job_01K…"),
    ("videos accept", "--timeout"): (f"{ID} --timeout soon", 2, "'soon' is not a valid float"),
    ("videos download", "ID..."): ("a/b", 3, "ids look like job_01K…"),
    ("videos download", "--dir"): (f"{ID} --dir FILE", 2, "is a file"),
    ("notices list", "--limit"): ("--limit 0", 2, "1<=x<=100"),
    ("notices show", "ID"): ("a/b", 3, "ids look like ntc_01K…"),
    ("notices replay", "[ID]"): ("a/b", 3, "ids look like ntc_01K…"),
    ("callbacks list", "--limit"): ("--limit 0", 2, "1<=x<=100"),
    ("callbacks show", "ID"): ("a/b", 3, "ids look like cbk_123"),
    ("callbacks replay", "ID"): ("a/b", 3, "ids look like cbk_123"),
    ("providers rest", "--for"): ("evolink --for 0", 2, "x>=1"),
    ("attention", "--limit"): ("--limit 1001", 2, "1<=x<=1000"),
    ("keys create", "NAME"): ("''", 2, "a name is 1 to 100 printable characters"),
    ("keys create", "--scope"): ("farm --scope all", 2, "'read', 'write', 'admin'"),
    ("db restored", "--as-of"): ("--as-of yesterday", 2, "no time with a zone"),
    ("completion", "{bash|zsh|fish}"): ("tcsh", 2, "'bash', 'zsh', 'fish'"),
}
# What the service judges: its words reach whoever asked.
THEIRS: dict[Option, str] = {
    ("submit", "PROMPT"): "fox",
    ("submit", "--provider"): "fox --provider evlink",
    ("submit", "--mode"): "fox --mode text",
    ("submit", "--resolution"): "fox --resolution 8k",
    ("submit", "--ratio"): "fox --ratio 5:4",
    ("submit", "--negative-prompt"): "fox --negative-prompt x",
    ("submit", "--audio-setting"): "fox --audio-setting loud",
    ("submit", "--shot-type"): "fox --shot-type long",
    ("submit", "--notify-url"): "fox --notify-url here",
    ("jobs list", "--state"): "--state done",
    ("jobs list", "--provider"): "--provider evlink",
    ("jobs list", "--mode"): "--mode text",
    ("jobs list", "--batch"): "--batch x",
    ("jobs list", "--prompt"): "--prompt x",
    ("jobs list", "--created-after"): "--created-after yesterday",
    ("jobs list", "--created-before"): "--created-before yesterday",
    ("jobs list", "--cursor"): "--cursor x",
    ("jobs settle", "--task-id"): f"{ID} --task-id x",
    ("videos list", "--provider"): "--provider evlink",
    ("videos list", "--mode"): "--mode text",
    ("videos list", "--batch"): "--batch x",
    ("videos list", "--prompt"): "--prompt x",
    ("videos list", "--created-after"): "--created-after yesterday",
    ("videos list", "--created-before"): "--created-before yesterday",
    ("videos list", "--cursor"): "--cursor x",
    ("notices list", "--job"): "--job x",
    ("notices list", "--state"): "--state x",
    ("notices list", "--type"): "--type x",
    ("notices list", "--cursor"): "--cursor x",
    ("notices replay", "--job"): "--all-failed --job x",
    ("notices replay", "--since"): "--all-failed --since x",
    ("callbacks list", "--job"): "--job x",
    ("callbacks list", "--provider"): "--provider x",
    ("callbacks list", "--cursor"): "--cursor x",
    ("callbacks figures", "--from"): "--from yesterday",
    ("callbacks figures", "--to"): "--to tomorrow",
    ("callbacks figures", "--provider"): "--provider evlink",
    ("providers show", "[NAME]"): "evlink",
    ("providers balance", "[NAME]"): "evlink",
    ("providers rest", "NAME"): "evlink",
    ("providers resume", "NAME"): "evlink",
    ("costs", "--from"): "--from yesterday",
    ("costs", "--to"): "--to tomorrow",
    ("costs", "--provider"): "--provider evlink",
    ("costs", "--batch"): "--batch x",
    ("costs", "--key"): "--key nobody",
    ("attention", "--reason"): "--reason none",
}
# They want a database or secrets, and are refused in their tests: test_cli_commands.py, test_core_audit_command.py,
# test_notices_test.py; or they are
# another program's.
ELSEWHERE: set[Option] = {
    ("notices test", "URL"),
    ("keys create", "--notify-url"),
    ("keys revoke", "ID"),
    ("db backup", "FILE"),
    ("sandbox", "[ARGUMENTS]..."),
}


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield " ".join((*names, name)), command


def options() -> Iterator[Option]:
    """Every option and argument that takes a value, by command."""
    for name, command in commands(main):
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                yield name, parameter.make_metavar(click.Context(command)).replace("[PROMPT]", "PROMPT")
            elif isinstance(parameter, click.Option) and not parameter.is_flag:
                yield name, parameter.opts[0]


WITH_FOLDER = [name for name, option in options() if option == "--data-dir"]


def test_every_value_that_a_command_takes_has_its_refusal() -> None:
    known = {*OURS, *THEIRS, *ELSEWHERE, *((name, "--data-dir") for name in WITH_FOLDER)}
    assert set(options()) == known


@pytest.fixture
def refusing(service: Service) -> Service:
    """A service that takes nothing."""
    problem = {"title": "No.", "code": "invalid_request", "errors": {"it": [SAID]}}
    service.answers = defaultdict(lambda: [(422, problem, {})])
    return service


@pytest.mark.parametrize("row", OURS, ids=" ".join)
def test_a_wrong_value_is_told_before_anything_is_asked(
    refusing: Service, rushes: Rushes, tmp_path: Path, row: Option
) -> None:
    arguments, status, words = OURS[row]
    (tmp_path / "a file").touch()
    places = {"FILE": tmp_path / "a file", "FOLDER": tmp_path, "FOLDER/none": tmp_path / "none", "''": ""}
    result = rushes(*row[0].split(), *[str(places.get(each, each)) for each in arguments.split()])
    assert (result.exit_code, result.stdout, refusing.asked) == (status, "", [])
    assert result.stderr.startswith("error: ")
    assert words in result.stderr


@pytest.mark.parametrize("row", THEIRS, ids=" ".join)
def test_what_the_service_says_of_a_value_is_told(refusing: Service, rushes: Rushes, row: Option) -> None:
    result = rushes(*row[0].split(), *THEIRS[row].split())
    assert (result.exit_code, result.stdout, len(refusing.asked)) == (2, "", 1)
    assert result.stderr.startswith(f"error: it: {SAID}")


@pytest.mark.parametrize("name", WITH_FOLDER)
def test_a_data_folder_that_is_a_file_is_told(rushes: Rushes, tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").touch()
    result = rushes(*name.split(), "--data-dir", str(tmp_path / "a file"))
    assert (result.exit_code, result.stdout, "is a file" in result.stderr) == (2, "", True)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [("job", "jobs"), ("complete", "completion"), ("jobs wach", "watch"), ("submit --promt x", "--prompt-extend")],
)
def test_a_slip_is_answered_with_what_may_have_been_meant(rushes: Rushes, arguments: str, meant: str) -> None:
    result = rushes(*arguments.split())
    assert (result.exit_code, "Did you mean" in result.stderr, meant in result.stderr) == (2, True, True)
