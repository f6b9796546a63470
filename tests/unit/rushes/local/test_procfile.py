import pytest

from rushes.local.procfile import BadProcfile, UnknownVariable, parse


def test_processes_come_in_the_order_of_the_file() -> None:
    text = "web: granian rushes.app:app\n\n# the rest\nworker: celery worker\nbeat: celery beat\n"
    assert parse(text, {}) == {
        "web": ["granian", "rushes.app:app"],
        "worker": ["celery", "worker"],
        "beat": ["celery", "beat"],
    }
    assert list(parse(text, {})) == ["web", "worker", "beat"]


def test_quotes_keep_words_together() -> None:
    assert parse("""web: run "two words" 'a;b' c\\ d --x='' """, {}) == {
        "web": ["run", "two words", "a;b", "c d", "--x="]
    }


def test_variables_are_replaced_in_all_their_spellings() -> None:
    text = "web: run --port ${PORT} --host=$HOST --workers ${WORKERS:-1} --other ${PORT:-9}"
    assert parse(text, {"PORT": "8000", "HOST": "::1"})["web"] == [
        *("run", "--port", "8000", "--host=::1", "--workers", "1", "--other", "8000")
    ]


def test_a_value_with_spaces_and_shell_signs_stays_one_argument() -> None:
    assert parse("web: run ${DIR}/x", {"DIR": "/my data; rm $PORT"}) == {"web": ["run", "/my data; rm $PORT/x"]}


def test_a_default_may_be_empty_or_stand_for_an_empty_value() -> None:
    assert parse("web: run a${X:-}b ${Y:-y}", {"Y": ""}) == {"web": ["run", "ab", "y"]}


def test_a_doubled_dollar_sign_is_one() -> None:
    assert parse("web: run $$HOME", {}) == {"web": ["run", "$HOME"]}


def test_an_unknown_variable_is_named_with_its_line() -> None:
    with pytest.raises(UnknownVariable, match=r"line 2: .*the variable PORT is not set"):
        parse("# first\nweb: run ${PORT}", {"PORTS": "1"})


@pytest.mark.parametrize(
    "line",
    [
        "web run",
        "web:",
        "web:run",
        "we b: run",
        "web: run 'open",
        "web: run | tee log",
        "web: run && run",
        "web: run;run",
        "web: run >log",
        "web: run $(date)",
        "web: run `date`",
        "web: PORT=1 run",
        "web: run ${PORT",
        "web: run $",
        "web: run ${PORT:?}",
    ],
)
def test_what_cannot_be_run_without_a_shell_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(BadProcfile, match="line 1"):
        parse(line, {"PORT": "1"})


def test_a_name_may_come_only_once() -> None:
    with pytest.raises(BadProcfile, match="line 2: there is a process named 'web' already"):
        parse("web: a\nweb: b", {})
