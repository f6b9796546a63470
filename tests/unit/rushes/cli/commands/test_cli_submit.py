from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from fake_service import Service

from jobs.request.schema import MEDIA_TYPES, RequestSchema
from rushes.cli.commands.submit import command
from rushes.cli.service.api import Api

Rushes = Callable[..., Result]
QUOTE: dict[str, Any] = {
    "dry_run": True,
    "provider": "easyrouter",
    "price": {"seconds": 2.0, "credits": 100_000.0, "usd": 0.2, "exact": True},
    "waits": None,
    "considered": [
        {
            "provider": "aivideoapi",
            "credits": 48.0,
            "usd": 0.24,
            "exact": True,
            "seconds": 2.0,
            "obstacle": {"code": "full", "reason": "aivideoapi has 50 in flight"},
        },
        {"provider": "easyrouter", "credits": 100_000.0, "usd": 0.2, "exact": True, "seconds": 2.0},
        {"provider": "apiframe", "credits": 34.0, "usd": None, "exact": True, "seconds": 2.0},
        {
            "provider": "evolink",
            "misfits": [
                {"field": "watermark", "given": True, "allowed": "false", "why": "no_field"},
                {"field": "prompt", "given": None, "allowed": "a text", "why": "limit"},
            ],
        },
    ],
}


@pytest.fixture(autouse=True)
def jobs(service: Service) -> None:
    service.answer("POST", "/v1/jobs", {"id": "job_1"}, 202)


def sent(service: Service) -> dict[str, Any]:
    body: dict[str, Any] = service.asked[-1]["json"]
    return body


def test_every_option_has_its_place_in_the_request(service: Service, rushes: Rushes) -> None:
    arguments = [
        *("--mode", "reference-to-video", "--provider", "evolink", "--provider", "gravitex"),
        *("--media", "reference_video=https://h/2.mp4?a=b", "--media", "reference_image=https://h/1.png"),
        *("--resolution", "720p", "--ratio", "1:1", "--duration", "4", "--seed", "7", "--negative-prompt", "rain"),
        *("--audio-setting", "auto", "--shot-type", "multi", "--no-prompt-extend", "--watermark"),
        *("--notify-url", "https://h/n", "--metadata", "shot=7", "--metadata", "take=a=b"),
    ]
    result = rushes("submit", "A fox", *arguments)
    assert (result.exit_code, result.stdout) == (0, "job_1\n"), result.stderr
    assert sent(service) == {
        "prompt": "A fox",
        "mode": "reference-to-video",
        "provider": ["evolink", "gravitex"],
        "media": [
            {"type": "reference_video", "url": "https://h/2.mp4?a=b"},
            {"type": "reference_image", "url": "https://h/1.png"},
        ],
        "resolution": "720p",
        "ratio": "1:1",
        "duration": 4,
        "seed": 7,
        "negative_prompt": "rain",
        "audio_setting": "auto",
        "shot_type": "multi",
        "prompt_extend": False,
        "watermark": True,
        "notify_url": "https://h/n",
        "metadata": {"shot": "7", "take": "a=b"},
    }
    assert set(sent(service)) <= set(RequestSchema().fields)


def test_what_is_not_said_is_left_to_the_service(service: Service, rushes: Rushes) -> None:
    assert rushes("submit", "A fox").exit_code == 0
    assert sent(service) == {"prompt": "A fox"}


def test_the_help_names_every_media_type() -> None:
    (media,) = [option for option in command.params if option.name == "media"]
    assert [kind for kind in MEDIA_TYPES if kind not in str(getattr(media, "help", ""))] == []


def test_an_edit_may_do_without_a_prompt_and_nothing_else_may(service: Service, rushes: Rushes) -> None:
    edit = ["--mode", "video-edit", "--media", "video=https://h/v.mp4", "--duration", "0"]
    assert rushes("submit", *edit).exit_code == 0
    assert "prompt" not in sent(service)
    result = rushes("submit", "--mode", "image-to-video")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "PROMPT is missing; only --mode video-edit may do without." in result.stderr


def test_a_request_is_read_from_a_file_and_options_are_stronger(
    service: Service, rushes: Rushes, tmp_path: Path
) -> None:
    file = tmp_path / "request.json"
    media = [{"type": "first_frame", "url": "https://h/1.png", "reference_voice": None}]
    file.write_text(json.dumps({"prompt": "A fox", "duration": 5, "media": media, "on_unconfirmed": "resubmit"}))
    assert rushes("submit", "--request", str(file), "--duration", "3").exit_code == 0
    assert sent(service) == {"prompt": "A fox", "duration": 3, "media": media, "on_unconfirmed": "resubmit"}
    assert rushes("submit", "A hare", "--request", str(file), "--media", "video=https://h/v").exit_code == 0
    assert (sent(service)["prompt"], sent(service)["media"]) == ("A hare", [{"type": "video", "url": "https://h/v"}])


TAKEN = {"mode": "image-to-video", "prompt": "A fox", "seed": 7, "media": [], "metadata": {}, "batch": "monday"}


def test_a_job_is_ordered_anew_with_what_is_said_beside_it(service: Service, rushes: Rushes) -> None:
    media = [{"type": "first_frame", "url": "https://h/a.png?sig=1"}]
    service.answer("GET", "/v1/jobs/job_7", {"id": "job_7", "request": {**TAKEN, "media": media}})
    result = rushes("submit", "--like", "job_7", "--seed", "8")
    assert (result.exit_code, result.stdout) == (0, "job_1\n"), result.stderr
    assert sent(service) == {
        "mode": "image-to-video",
        "prompt": "A fox",
        "seed": 8,
        "media": media,
        "metadata": {},
    }
    assert rushes("submit", "A hare", "--like", "job_7", "--batch", "tuesday").exit_code == 0
    assert (sent(service)["prompt"], sent(service)["batch"]) == ("A hare", "tuesday")


def test_a_job_whose_links_are_not_shown_whole_is_ordered_anew_with_other_links_alone(
    service: Service, rushes: Rushes
) -> None:
    media = [{"type": "first_frame", "url": "https://h/a.png?…"}]
    service.answer("GET", "/v1/jobs/job_7", {"id": "job_7", "request": {**TAKEN, "media": media}})
    result = rushes("submit", "--like", "job_7")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "what signs the links of job_7 is not known: first_frame" in result.stderr
    assert "--media TYPE=URL" in result.stderr
    assert rushes("submit", "--like", "job_7", "--media", "first_frame=https://h/b.png").exit_code == 0
    assert sent(service)["media"] == [{"type": "first_frame", "url": "https://h/b.png"}]


def test_like_and_a_request_are_one_too_many(service: Service, rushes: Rushes, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text("{}")
    result = rushes("submit", "--like", "job_7", "--request", str(file))
    assert (result.exit_code, service.asked) == (2, [])
    assert "--like and --request both bring a whole request" in result.stderr


class Pressed(Service):
    """Somebody presses Ctrl-C while this is asked."""

    at = "GET"

    def request(self, method: str | bytes, url: str | bytes, **what: Any) -> Any:  # type: ignore[override]
        if method == self.at:
            raise KeyboardInterrupt
        return super().request(method, url, **what)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("POST", "it may have been ordered; with --idempotency-key k1 the same command asks only once"),
        ("GET", "job_1 goes on without us: `rushes jobs watch job_1`"),
    ],
)
def test_whoever_breaks_off_is_told_what_goes_on_and_how_to_come_back(
    service: Service, rushes: Rushes, monkeypatch: pytest.MonkeyPatch, at: str, words: str
) -> None:
    pressed = Pressed()
    pressed.at = at
    pressed.answer("POST", "/v1/jobs", {"id": "job_1"}, 202)
    monkeypatch.setattr(
        "rushes.cli.commands.submit.connect", lambda data_dir: Api("http://service", "rk_1", session=pressed)
    )
    result = rushes("submit", "A fox", "--wait", "--idempotency-key", "k1")
    assert result.exit_code == 130
    assert "error: interrupted" in result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_request_and_a_prompt_are_read_from_stdin_but_not_both(service: Service, rushes: Rushes) -> None:
    assert rushes("submit", "--request", "-", input='{"prompt": "Füchse"}').exit_code == 0
    assert sent(service) == {"prompt": "Füchse"}
    assert rushes("submit", "-", input="A fox\n").exit_code == 0
    assert sent(service) == {"prompt": "A fox"}
    both = rushes("submit", "-", "--request", "-", input="{}")
    assert (both.exit_code, "cannot both be read from stdin" in both.stderr) == (2, True)


@pytest.mark.parametrize(
    ("raw", "words"),
    [("[]", "a request is a JSON object"), ("{", "not valid JSON"), ('{"a": 1, "a": 2}', "A name occurs twice")],
)
def test_a_file_that_is_no_request_is_told_before_anything_is_sent(
    service: Service, rushes: Rushes, tmp_path: Path, raw: str, words: str
) -> None:
    (tmp_path / "r.json").write_text(raw)
    result = rushes("submit", "--request", str(tmp_path / "r.json"))
    assert (result.exit_code, result.stdout, service.asked) == (2, "", [])
    assert words in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fox", "--media", "first_frame"], "'first_frame' should read TYPE=URL"),
        (["fox", "--media", "=https://h"], "'=https://h' should read TYPE=URL"),
        (["fox", "--metadata", "shot"], "'shot' should read KEY=VALUE"),
        (["fox", "--dry-run", "--wait"], "--dry-run buys nothing"),
        (["fox", "--timeout", "3"], "add --wait"),
        (["fox", "--request", "/nowhere/r.json"], "does not exist"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    service: Service, rushes: Rushes, arguments: list[str], words: str
) -> None:
    result = rushes("submit", *arguments)
    assert (result.exit_code, result.stdout, service.asked) == (2, "", [])
    assert words in result.stderr


def test_a_dry_run_asks_without_a_key_and_prints_who_was_considered(service: Service, rushes: Rushes) -> None:
    service.answer("POST", "/v1/jobs", QUOTE)
    result = rushes("submit", "A fox", "--dry-run")
    assert result.exit_code == 0
    assert service.asked[-1]["params"] == {"dry_run": "true"}
    assert "Idempotency-Key" not in service.asked[-1]["headers"]
    assert result.stdout.splitlines() == [
        "aivideoapi\t$0.24\taivideoapi has 50 in flight",
        "easyrouter\t$0.20\tchosen",
        "apiframe\t34 credits\tfits; comes after it",
        "evolink\t\twatermark true: it allows false; prompt is missing: it wants a text",
    ]
    assert result.stderr == "it would go to easyrouter, for $0.20 (2 s)\n"
    assert json.loads(rushes("submit", "A fox", "--dry-run", "--json").stdout) == QUOTE


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"price": {**QUOTE["price"], "exact": False}}, "for at most $0.20 (2 s)"),
        ({"price": {**QUOTE["price"], "usd": None}}, "for 100,000 credits (2 s)"),
        ({"price": {**QUOTE["price"], "usd": None, "credits": None}}, "at a price that is not known"),
        (
            {"provider": None, "price": None, "waits": {"reason": "evolink has 50 in flight", "seconds": 5.0}},
            "it would wait: evolink has 50 in flight; looked at again in 5 s",
        ),
    ],
)
def test_the_answer_is_a_sentence(
    service: Service, on_terminal: Callable[..., str], changes: dict[str, Any], said: str
) -> None:
    service.answer("POST", "/v1/jobs", {**QUOTE, **changes})
    shown = on_terminal("submit", "A fox", "--dry-run").splitlines()
    assert said in shown[0]
    assert max(map(len, shown)) <= 100


def test_a_service_that_knows_no_dry_run_is_told_of_with_the_job_that_it_made(service: Service, rushes: Rushes) -> None:
    result = rushes("submit", "A fox", "--dry-run")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "has kept the request as job_1" in result.stderr
