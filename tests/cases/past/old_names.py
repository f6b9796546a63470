"""Names from before the rooms, for scripts written then: each leads to what it is called now.

Only names whose successor takes the same arguments are here. A script that uses another one has to follow the change.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = {
    "jobs.account": "jobs.upkeep.balance",
    "jobs.api_keys": "jobs.intake.api_keys",
    "jobs.archiving": "jobs.steps.archiving",
    "jobs.assembly": "jobs.worker.bootstrap",
    "jobs.attention": "jobs.reports.attention",
    "jobs.audit": "jobs.upkeep.audit",
    "jobs.availability": "jobs.store.availability",
    "jobs.costs": "jobs.reports.costs",
    "jobs.database": "jobs.store.database",
    "jobs.decisions": "jobs.machine.decisions",
    "jobs.error_codes": "jobs.machine.error_codes",
    "jobs.gates": "jobs.steps.bulkheads",
    "jobs.gateways": "jobs.reports.providers",
    "jobs.generation": "jobs.request.generation",
    "jobs.heartbeats": "jobs.store.heartbeats",
    "jobs.inbox": "jobs.store.keeping",
    "jobs.input_life": "jobs.request.input_links",
    "jobs.key_uses": "jobs.intake.key_uses",
    "jobs.line": "jobs.reports.queue_position",
    "jobs.listing": "jobs.reports.listing",
    "jobs.models": "jobs.store.tables",
    "jobs.notices": "jobs.store.notices",
    "jobs.pacing": "jobs.steps.query_budget",
    "jobs.parts": "jobs.steps.resources",
    "jobs.pauses": "jobs.store.lanes",
    "jobs.planning": "jobs.steps.planning",
    "jobs.process": "jobs.worker.process",
    "jobs.prune": "jobs.upkeep.prune",
    "jobs.reconcile": "jobs.steps.reconciliation",
    "jobs.records": "jobs.machine.rows",
    "jobs.repair": "jobs.upkeep.repair",
    "jobs.request_schema": "jobs.request.schema",
    "jobs.restore": "jobs.upkeep.restore",
    "jobs.routing": "jobs.machine.routing",
    "jobs.schedule": "jobs.machine.schedule",
    "jobs.schema": "jobs.store.migrate",
    "jobs.sidecar": "jobs.steps.sidecar",
    "jobs.spending": "jobs.store.spending",
    "jobs.states": "jobs.machine.states",
    "jobs.strict_json": "jobs.request.strict_json",
    "jobs.submission": "jobs.steps.submission",
    "jobs.suspects": "jobs.steps.forgotten_attempts",
    "jobs.sweep": "jobs.worker.sweep",
    "jobs.unknown_words": "jobs.store.unknown_words",
    "jobs.view": "jobs.machine.job_json",
    "jobs.watchdog": "jobs.worker.watchdog",
    "jobs.wishes": "jobs.intake.changes",
    "storage.addresses": "storage.outbound.addresses",
    "storage.boxes": "storage.proof.boxes",
    "storage.connections": "storage.outbound.connections",
    "storage.guard": "storage.outbound.guard",
    "storage.probe": "storage.proof.probe",
}


def due_notices(db: Any, *, limit: int, now: Any) -> Any:
    """The jobs whose notices are due: one row of the table of steps by now."""
    from jobs.store.due import due_rows  # not before somebody asks: every child of a script reads this file
    from jobs.store.step_table import NOTIFY

    return due_rows(db, NOTIFY, limit=limit, now=now)


# What a module of old had, and its successor has not, or has under another name. `jobs.intake`, `jobs.steps` and
# `jobs.store` were modules and are rooms.
NAMES: dict[str, dict[str, str | Callable[..., Any]]] = {
    "jobs.account": {"Account": "jobs.upkeep.balance:Balance"},
    "jobs.assembly": {
        "bucket": "jobs.buckets:bucket",
        "bucket_for_links": "jobs.buckets:bucket_for_links",
        "working_parts": "jobs.worker.bootstrap:worker_resources",
    },
    "jobs.decisions": {
        "Turn": "jobs.machine.outcome:Turn",
        "no_error": "jobs.machine.judges:no_error",
        "start_by": "jobs.machine.judges:start_by",
        "turn_of": "jobs.machine.outcome:turn_of",
    },
    "jobs.gates": {"Gates": "jobs.steps.bulkheads:Bulkheads"},
    "jobs.gateways": {"standing": "jobs.reports.providers:status"},
    "jobs.intake": {
        "Intake": "jobs.store.core:Core",
        "check": "jobs.intake.new_jobs:check",
        "check_inputs": "jobs.intake.new_jobs:check_inputs",
        "check_notify_url": "jobs.intake.new_jobs:check_notify_url",
        "create": "jobs.intake.new_jobs:create",
        "quote": "jobs.intake.new_jobs:quote",
    },
    "jobs.models": {
        "Instant": "jobs.store.column_types:Instant",
        "JSON": "jobs.store.column_types:JSON",
        "pauses": "jobs.store.tables:lanes",
    },
    "jobs.pacing": {"Pacing": "jobs.steps.query_budget:QueryBudget"},
    "jobs.parts": {"Parts": "jobs.steps.resources:Resources"},
    "jobs.reconcile": {
        "Inquiry": "jobs.steps.replies:Inquiry",
        "Reply": "jobs.steps.replies:Reply",
        "learn": "jobs.steps.learning:learn",
        "read_reply": "jobs.steps.replies:read_reply",
    },
    "jobs.records": {
        "Facts": "jobs.machine.outcome:Facts",
        "Letter": "jobs.machine.callbacks:KeptCallback",
        "Move": "jobs.machine.outcome:Move",
        "Note": "jobs.machine.outcome:Note",
        "Outcome": "jobs.machine.outcome:Outcome",
        "Pause": "jobs.machine.outcome:Cooldown",
    },
    "jobs.routing": {"Decision": "jobs.machine.routing:Choice", "decide": "jobs.machine.routing:choose"},
    "jobs.steps": {
        "conclude": "jobs.steps.step:conclude",
        "end_state": "jobs.steps.step:end_state",
        "fence": "jobs.steps.step:fence",
        "move_unheld": "jobs.steps.step:move_unleased",
    },
    "jobs.store": {
        "Held": "jobs.store.leases:Lease",
        "add_attempt": "jobs.store.attempt_rows:add_attempt",
        "add_job": "jobs.store.cases:add_job",
        "attempt_of": "jobs.store.attempt_rows:attempt_of",
        "bring_facts": "jobs.store.late_facts:bring_facts",
        "bring_news": "jobs.store.leases:bring_news",
        "claim": "jobs.store.leases:claim",
        "finish_step": "jobs.store.leases:finish_step",
        "is_due": "jobs.store.due:is_due",
        "mark_sending": "jobs.store.leases:mark_sending",
        "move_unheld": "jobs.store.leases:move_unleased",
        "postpone": "jobs.store.leases:postpone",
        "push_hold": "jobs.store.leases:renew_lease",
        "read_case": "jobs.store.cases:read_case",
        "read_cases": "jobs.store.cases:read_cases",
        "read_held": "jobs.store.leases:reread",
        "read_shown": "jobs.store.cases:read_shown",
        "settle_task_ids": "jobs.store.late_facts:resolve_task_ids",
        "write_wish": "jobs.store.leases:write_wish",
    },
    "jobs.submission": {
        "SEND_WITHIN_S": "jobs.steps.posting:SEND_WITHIN_S",
        "error_columns": "jobs.steps.answers:error_columns",
        "read_answer": "jobs.steps.answers:read_answer",
    },
    "jobs.sweep": {"due_notices": due_notices},
    "jobs.view": {"job_view": "jobs.machine.job_json:job_json"},
}


def install() -> None:
    """Let the old names be imported in this process."""
    if not any(isinstance(finder, _OldModules) for finder in sys.meta_path):
        sys.meta_path.append(_OldModules())
        for room in NAMES.keys() - MODULES.keys():
            _add_names(room, import_module(room))


class _OldModules(MetaPathFinder, Loader):
    """Finds an old module when it is imported: it is the new one, so that what a script patches there is patched."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        sys.modules[name] = import_module(MODULES[name])
        _add_names(name, sys.modules[name])


def _add_names(old: str, module: ModuleType) -> None:
    if old in NAMES:
        module.__getattr__ = partial(_renamed, old)  # type: ignore[method-assign]


def _renamed(old: str, name: str) -> Any:
    found = NAMES[old].get(name)
    if found is None:
        raise AttributeError(f"module {old!r} has no attribute {name!r}")
    return pkgutil.resolve_name(found) if isinstance(found, str) else found
