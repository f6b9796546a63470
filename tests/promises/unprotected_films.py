"""The protections of a video on its way into the bucket (P3, P4, P5), and from hostile links (P12, P13)."""

from __future__ import annotations

import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from protection import Patches, Protection, nothing, one

from jobs.machine import schedule
from jobs.machine.case import Case
from jobs.machine.outcome import Facts
from jobs.machine.rows import AttemptOutcome
from jobs.steps import object_metadata, stored_object, transfer_trouble
from jobs.steps.resources import Resources
from jobs.store import due
from storage import bucket, store_client
from storage.bucket import StoredVideo
from storage.download import Download
from storage.outbound import connections
from storage.proof import probe
from storage.proof.probe import VideoFacts

CORE, STORAGE = "integration/core", "integration/storage"
WHOLE_FILM = f"{CORE}/test_core_films.py::test_only_the_bytes_of_a_whole_film_are_archived_under_their_own_checksum"
FETCH, PROBE = f"{STORAGE}/test_storage_fetch.py", f"{STORAGE}/proof/test_storage_probe.py"
REDIRECTS = f"{STORAGE}/outbound/test_storage_redirects.py"


def _put_without(parameter: str) -> Patches:
    """A bucket whose PUTs lack a parameter, on the wire as well."""
    real = store_client.connect

    def connect(config: bucket.BucketConfig) -> Any:
        client = real(config)
        put_object = client.put_object
        client.put_object = lambda **said: put_object(**{k: v for k, v in said.items() if k != parameter})
        return client

    return one("storage.store_client.connect", connect)


def _any_object_is_ours() -> dict[str, Any]:
    def adopt(case: Case, stored: StoredVideo, resources: Resources, *_: Any) -> Facts:
        return stored_object.stored_facts(case, stored, resources)

    return {"jobs.steps.stored_object._adopt": adopt}


def _unproven() -> dict[str, Any]:
    def plays(*_: Any) -> tuple[VideoFacts, bytes]:
        return VideoFacts(2.0, 320, 180, 24.0, "h264", True), b"\xff\xd8\xff"

    return {"storage.proof.probe.Prober.probe": plays}


def _checksum_of_something_else() -> dict[str, Any]:
    real = object_metadata.write

    def write(case: Any, sha256: str, video: Any) -> dict[str, str]:
        return real(case, sha256[::-1], video)

    return {"jobs.steps.object_metadata.write": write}


def _least_urgent_first() -> dict[str, Any]:
    real = due._due_jobs

    def reversed_(step: str) -> Any:
        statement = real(step)
        return statement.order_by(None).order_by(*(column.desc() for column in statement._order_by_clauses))

    return {"jobs.store.due._due_jobs": reversed_}


def _pauses_without_end() -> dict[str, Any]:
    real = schedule.try_by
    return {"jobs.machine.schedule.try_by": lambda end, now, settings: max(end, real(end, now, settings))}


def _first_trouble_is_the_end() -> dict[str, Any]:
    real = transfer_trouble.trouble

    def trouble(case: Any, error: Exception, resources: Any) -> Facts:
        number = case.job.attempt
        end = {"outcome": AttemptOutcome.UNDELIVERED, "error_code": "bucket_unavailable", "error_message": str(error)}
        facts = real(case, error, resources)
        return replace(facts, attempts={number: {**facts.attempts[number], **end}})

    return {"jobs.steps.archiving.trouble": trouble}


def _resolved_twice() -> dict[str, Any]:
    """Judged by one look-up, connected by another."""
    real = connections._connect

    def connect(connection: Any, judge: connections.Judge) -> socket.socket:
        socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
        return real(connection, connections.anywhere)

    return {"storage.outbound.connections._connect": connect}


def _large_cap() -> dict[str, Any]:
    """Eight times what was asked for. Without any, the test would fill the disk."""
    real = Download.__init__

    def init(self: Download, *args: Any, limits: Any, **more: Any) -> None:
        real(self, *args, limits=replace(limits, max_bytes=8 * limits.max_bytes), **more)

    return {"storage.download.Download.__init__": init}


def _helper_without_memory_limit() -> dict[str, Any]:
    source = probe.HELPER.read_text()
    line = "        (resource.RLIMIT_AS, memory_mb << 20),\n"
    assert line in source
    helper = Path(tempfile.mkdtemp(), "probe_helper.py")
    helper.write_text(source.replace(line, ""))
    return {"storage.proof.probe.HELPER": helper}


def _helper_that_decodes_the_first_frame_only() -> dict[str, Any]:
    source = probe.HELPER.read_text()
    line = "def answer("
    assert line in source
    helper = Path(tempfile.mkdtemp(), "probe_helper.py")
    first_only = "from storage.proof import frames\n\nframes._places = lambda *_: []\n\n\n"
    helper.write_text(source.replace(line, first_only + line))
    return {"storage.proof.probe.HELPER": helper}


PROTECTIONS = [
    Protection(
        "P3",
        "the PUT is conditional",
        _put_without("IfNoneMatch"),
        f"{CORE}/test_core_two_workers.py::test_two_workers_on_one_video_leave_one_object_and_one_store",
    ),
    Protection(
        "P3",
        "an object is ours only if it bears the job's id",
        _any_object_is_ours,
        f"{CORE}/test_core_films.py::test_an_object_of_another_job_at_the_key_is_neither_adopted_nor_overwritten",
    ),
    Protection(
        "P4",
        "the boxes of a file are checked",
        one("jobs.steps.archiving.check_boxes", nothing),
        f"{WHOLE_FILM}[sqlite-cut in its last box]",
    ),
    Protection("P4", "a frame is decoded", _unproven, f"{WHOLE_FILM}[sqlite-zeroed pictures]"),
    Protection(
        "P4",
        "frames in the middle and at the end are decoded",
        _helper_that_decodes_the_first_frame_only,
        f"{WHOLE_FILM}[sqlite-zeroed after its first third]",
    ),
    Protection(
        "P4",
        "the checksum in the row is that of the bytes",
        _checksum_of_something_else,
        f"{WHOLE_FILM}[sqlite-zeroed pictures]",
    ),
    Protection(
        "P4",
        "the bucket compares the bytes with their checksum",
        _put_without("ChecksumSHA256"),
        f"{STORAGE}/test_storage_bucket.py::test_bytes_that_are_not_those_of_the_hash_never_appear",
    ),
    Protection(
        "P5",
        "the link that dies first goes first",
        _least_urgent_first,
        f"{CORE}/test_core_links.py::test_of_two_videos_the_one_whose_link_dies_first_is_copied_first",
    ),
    Protection(
        "P5",
        "no pause takes all that is left of a link's life",
        _pauses_without_end,
        f"{CORE}/test_core_links.py::test_a_bucket_that_is_away_for_most_of_a_links_life_costs_no_video",
    ),
    Protection(
        "P5",
        "a trouble is no end while the link lives",
        _first_trouble_is_the_end,
        f"{CORE}/test_core_links.py::test_a_bucket_that_is_away_for_most_of_a_links_life_costs_no_video",
    ),
    Protection(
        "P12",
        "a link is judged before anything is asked for",
        one("storage.download.check_url", nothing),
        f"{STORAGE}/outbound/test_storage_forms.py"
        "::test_a_result_link_in_any_of_the_forms_is_forbidden_before_a_look_up",
    ),
    Protection(
        "P12",
        "every address behind a name is judged",
        one("storage.outbound.connections.is_public", lambda address, translators: True),
        f"{REDIRECTS}::test_a_name_is_forbidden_when_any_of_its_addresses_is_not_public",
    ),
    Protection(
        "P12",
        "the connection goes to an address that was judged",
        _resolved_twice,
        f"{REDIRECTS}::test_a_name_that_changes_its_mind_is_resolved_once_and_pinned",
    ),
    Protection("P13", "a body has a largest size", _large_cap, f"{FETCH}::test_an_endless_body_is_refused_at_the_cap"),
    Protection(
        "P13",
        "a body that drips has stalled",
        one("storage.fetch.Pace.is_stalled", lambda *_: False),
        f"{FETCH}::test_a_dripped_body_is_a_stall",
    ),
    Protection(
        "P13",
        "a probe has a limit of memory",
        _helper_without_memory_limit,
        f"{PROBE}::test_a_probe_past_its_memory_is_refused",
    ),
]
