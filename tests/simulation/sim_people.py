"""People: clients who send, cancel and retry; operators who replace keys and put backups back; strangers who forge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sim_bucket import strange
from sim_database import Backup
from sim_dialects import DIALECTS, Seen
from sim_gateways import Owner, Task
from sim_service import NAMES, PUBLIC_URL, Service
from sim_truths import CLOCKS, check_audit
from sim_world import World

from jobs import callback_urls
from jobs.errors import JobsError
from jobs.intake import accepting, changes, new_jobs, settling
from jobs.machine.rows import Settled
from jobs.machine.states import State
from jobs.providers.client import Account
from jobs.store.database import DatabaseUnavailable
from jobs.upkeep import audit, repair
from jobs.upkeep.prune import Pruning
from storage.errors import BucketUnavailable

MOST_JOBS = 5
MOST_RESTORED = 20  # backups that are put back
MOST_WORDS = 40  # of one job
ROUTES: tuple[Any, ...] = ("auto", *NAMES, list(NAMES), ["evolink", "easyrouter"], ["apiframe", "evolink"])
NOTIFY_URL = "https://pipeline.example/hook"


class People:
    """Whoever acts on a service from outside in one run."""

    def __init__(self, world: World, service: Service) -> None:
        self.world, self.service = world, service
        self.restored_at: float | None = None
        self._spoken_of: Counter[str] = Counter()
        self.down_until = 0.0
        fate = world.fate
        self.calm_at = fate.between(1_800, 15_000)
        self._bodies: dict[str, dict[str, Any]] = {}  # by idempotency key
        self._ids: dict[str, str] = {}  # by idempotency key: the job that was accepted
        for number in range(fate.jobs or 1 + int(fate.random.random() * MOST_JOBS)):
            self._bodies[f"key-{number}"] = self._request(number)
            world.at(fate.between(0, self.calm_at / 2), lambda key=f"key-{number}": self._send(key))
        for _ in range(MOST_WORDS):
            world.at(fate.between(60, self.calm_at), self._speak_of_any)
        for plan in (self._replace_key, self._set_clock_back, self._back_up, self._flush, self._forge):
            world.at(fate.between(60, self.calm_at), plan)
        more = (self._let_clock_jump, self._shut_down, self._take_database_away, self._mint, self._prune, self._repair)
        for plan in more:
            world.at(fate.between(60, self.calm_at), plan)
        world.at(self.calm_at, self._calm_down)
        self.archiving: dict[str, Any] = {}

    def _request(self, number: int) -> dict[str, Any]:
        fate = self.world.fate
        # Of two lengths, so that some films show whose they are, and some do not.
        body: dict[str, Any] = {"mode": "text-to-video", "prompt": f"Fox {number}", "resolution": "720p"}
        body["duration"] = 2 + number % 2
        route = fate.one_of(ROUTES)
        body["provider"] = fate.route or route
        if fate.chance(0.4):
            body["on_unconfirmed"] = "resubmit"
        if fate.chance(0.3):
            body["start_within_s"] = int(fate.between(120, 1800))
        if fate.chance(0.4):
            body["notify_url"] = NOTIFY_URL
        return body

    def _send(self, key: str) -> None:
        """Ask for a video until the answer is there; the same key never makes a second job."""

        def create() -> None:
            case, replayed = new_jobs.create(
                self._bodies[key], self.service.core, api_key_id=f"key-of-{key[-1]}", idempotency_key=key
            )
            job_id = case.job.id
            if job_id not in self.service.rules.jobs:  # its commit was lost before the client heard of it
                return
            self._check_same_job(key, job_id)
            self._ids[key] = job_id
            self.service.rules.accepted.add(job_id)
            self.world.tell("accepted", job_id[-2:], self._bodies[key]["provider"])
            fate = self.world.fate
            if not replayed and fate.strikes("client_cancels"):
                self.world.after(
                    fate.between(0, 300) if fate.chance(0.7) else fate.between(0, 6000), self._cancel(job_id)
                )
            if not replayed and fate.strikes("commits_lost"):
                self._lag()
            if not replayed and fate.strikes("strange_object"):
                # Where nothing is: who overwrites a stored video is a misfortune that no rule of ours can bear.
                self.service.bucket.objects.setdefault(case.job.archive_key, strange(case.job.archive_key))

        self._at_web(f"create {key}", create, lambda: key not in self._ids)
        if self.world.fate.strikes("client_asks_twice"):
            self.world.after(
                self.world.fate.between(0, 30), lambda: self._at_web(f"create {key}", create, lambda: False)
            )

    def _check_same_job(self, key: str, job_id: str) -> None:
        before, rules = self._ids.get(key, job_id), self.service.rules
        # A key written while the clock was set back looks older than it is to who prunes.
        is_pruned = before in rules.pruned and any(self.world.fate.struck[name] for name in CLOCKS)
        rules.check("accepted-kept", before == job_id or is_pruned, f"{key} made {job_id} and {before}")

    def _cancel(self, job_id: str) -> Callable[[], None]:
        def cancel() -> None:
            changes.cancel(job_id, self.service.core)

        return lambda: self._at_web(f"cancel {job_id[-2:]}", cancel, lambda: False)

    def after_commit(self) -> None:
        """Clients hear of failed jobs, and may try again; those whose jobs are on their way may think better of it."""
        fate, on_way = self.world.fate, self.service.rules.on_way_now
        self.service.rules.on_way_now = []
        if self.service.rules.is_ordered_again:  # the moment of which a backup knows least
            self.service.rules.is_ordered_again = False
            self._back_up()
        if on_way and fate.strikes("database_down_at_order"):
            self.world.after(fate.between(0, 0.5), self._database_down)
        queued, self.service.rules.queued_again_now = self.service.rules.queued_again_now, []
        for job_ids, fault, within_s in ((on_way, "client_cancels", 3), (queued, "client_cancels_late", 0.3)):
            for job_id in job_ids:
                if fate.strikes(fault):
                    self.world.after(fate.between(0, within_s), self._cancel(job_id))
        refused, self.service.rules.refused_now = self.service.rules.refused_now, []
        for job_id in refused:
            self._may_accept(job_id)
        contested, self.service.rules.contested_now = self.service.rules.contested_now, []
        for job_id in contested:
            self.world.after(fate.between(60, 3000), lambda j=job_id: self._decide(j))
        failed, self.service.rules.failed_now = self.service.rules.failed_now, []
        if failed:  # and of its orders by a retry a backup knows nothing
            self._back_up()
        asked, self.service.rules.asked_now = self.service.rules.asked_now, []
        for job_id in (*on_way, *failed):
            if fate.strikes("person_settles"):
                pause_s = fate.between(0, 3) if fate.chance(0.5) else fate.between(0, 3000)
                self.world.after(pause_s, self._speak_of(job_id))
        for job_id in asked:  # while a step holds it, as far as it does for so long
            if fate.chance(0.3) and fate.strikes("person_settles"):
                self.world.after(fate.between(0, 1), self._speak_of(job_id))
        for job_id in failed:
            if fate.strikes("client_retries"):
                risk = fate.strikes("client_accepts_double_charge")
                if risk:
                    self.service.rules.accepts.add(job_id)

                def retry(job_id: str = job_id, risk: bool = risk) -> None:
                    changes.retry(job_id, self.service.core, accept_double_charge=risk)

                about, pause_s = f"retry {job_id[-2:]}", fate.between(1, 2000)
                self.world.after(pause_s, lambda a=about, r=retry: self._at_web(a, r, lambda: False))

    def _may_accept(self, job_id: str) -> None:
        """A person looks at what the proof refused, soon or late, and takes it; some say so twice."""
        fate = self.world.fate
        if not fate.strikes("person_accepts"):
            return

        def take() -> None:
            accepting.accept(job_id, self.service.core, api_key_id="key-of-a-person")

        def ask() -> None:
            self._at_web(f"accept {job_id[-2:]}", take, lambda: False)

        longest_s = fate.own.choice((30, 1_200, 6 * fate.life_s))
        for _ in range(fate.own.choice((1, 1, 2))):
            self.world.after(fate.own.uniform(0, longest_s), ask)

    def _speak_of_any(self) -> None:
        """A person looks at the gateways' consoles, and says what they found about some order."""
        jobs = list(self.service.rules.jobs)
        if jobs and self.world.fate.strikes("person_settles"):
            self._speak_of(self.world.fate.one_of(jobs))()

    def _speak_of(self, job_id: str) -> Callable[[], None]:
        def speak() -> None:
            orders = [owner for owner in self.service.rules.attempts if owner[0] == job_id]
            self._spoken_of[job_id] += 1  # what is said makes more to be said of it, and nobody does that for ever
            if orders and self._spoken_of[job_id] <= MOST_WORDS:
                self._say(self.world.fate.one_of(orders))

        return speak

    def _say(self, owner: Owner) -> None:
        """Something true of an order, or something false."""
        fate, gateways = self.world.fate, self.service.gateways
        task = next((order.task for order in gateways.orders if order.owner == owner and order.task), None)
        true: list[Settled | str] = [Settled.NOT_MADE] if task is None else [task.id]
        true.append(Settled.CHARGED if task is not None and task.made_at is not None else Settled.NOT_CHARGED)
        said = fate.one_of(true)
        if fate.strikes("person_errs"):
            others = [other.id for other in gateways.tasks.values() if other.owner != owner]
            said = fate.one_of([*(word for word in Settled if word not in true), fate.one_of(["nothing", *others])])
            if isinstance(said, str):
                gateways.misled.add((owner, said))
        self.world.tell("a person says", owner[0][-2:], owner[1], said)

        def settle() -> None:
            if isinstance(said, Settled):
                settling.settle(*owner, said, self.service.core)
            else:
                settling.name_task(*owner, said, self.service.core)

        self._at_web(f"settle {owner[0][-2:]}", settle, lambda: False)
        if fate.strikes("key_used_again"):
            self.world.after(fate.own.uniform(1, 600), lambda: self._mint_for(*owner))

    def _decide(self, job_id: str) -> None:
        """A person says whose a task is to which two jobs lay claim; they look it up at the gateway."""
        rules = self.service.rules
        job = rules.jobs.get(job_id)  # an older backup may know nothing of it
        if job is None or job.flagged != "contested_task":
            return
        borne = {(row.provider, row.task_id) for row in rules.attempts.values() if row.contested}
        found = [self.service.gateways.tasks[provider, task_id or ""] for provider, task_id in sorted(borne, key=str)]
        for task in filter(self._can_look_up, found):

            def settle(owner: Owner = task.owner, task_id: str = task.id) -> None:
                settling.name_task(*owner, task_id, self.service.core)

            self._at_web(f"name {task.id}", settle, lambda: False)
        for owner, task in [(o.owner, o.task) for o in self.service.gateways.orders if o.owner[0] == job_id]:
            if task is None or not self._can_look_up(task):
                continue

            def name(owner: Owner = owner, task_id: str = task.id) -> None:
                settling.name_task(*owner, task_id, self.service.core)

            self._at_web(f"name {owner[1]}", name, lambda: False)
        tasks = [*found, *(o.task for o in self.service.gateways.orders if o.owner[0] == job_id)]
        if any(task is not None and self._can_look_up(task) for task in tasks):
            self.world.after(3_000, lambda: self._decide(job_id))

    def _can_look_up(self, task: Task) -> bool:
        return self.world.now < task.gone_at()

    def _at_web(self, about: str, act: Callable[[], None], again: Callable[[], bool]) -> None:
        """A request to the web process. `again`: whether its sender asks again when it heard no answer."""
        process = self.service.processes["web"]

        def answer() -> None:
            try:
                act()
            except DatabaseUnavailable:
                self.world.tell("503")
            except JobsError as e:
                self.world.tell("refused", type(e).__name__)

        def ask_again() -> None:
            if again():
                self._at_web(about, act, again)

        if process.up:
            self.world.start(process, about, answer)
        self.world.after(20, ask_again)

    def _calm_down(self) -> None:
        """From here on nothing goes wrong."""
        world, service = self.world, self.service
        if world.now < self.down_until:
            self.calm_at = self.down_until
            world.at(self.calm_at, self._calm_down)
            return
        world.tell("calm")
        world.fate.calm = True
        rules = service.rules
        service.calm_at = world.now
        for job in rules.jobs.values():
            row = rules.attempts.get((job.id, job.attempt))
            task = rules.gateways.tasks.get((row.provider, row.task_id or "")) if row else None
            alive = task is not None and task.link_from <= world.now < task.gone_at() - 2_400
            keyed = row is not None and service.settings.account_of(row.provider, row.account) is not None
            if job.state == State.ARCHIVING and alive and keyed and job.archive_key not in service.bucket.objects:
                self.archiving[job.id] = task

    def _replace_key(self) -> None:
        fate, settings = self.world.fate, self.service.settings
        if not fate.strikes("key_replaced"):
            return
        any_name = fate.one_of(NAMES)
        name = fate.route or any_name
        old = settings.accounts[name]
        self.world.tell("key replaced", name)
        accounts = {**settings.accounts, name: Account(name, old.base_url, f"sk-second-{name}")}
        self.service.use(replace(settings, accounts=accounts, previous_accounts={name: old}))
        if fate.strikes("key_gone"):
            self.world.after(fate.between(60, 3000), self._drop_key)

    def _drop_key(self) -> None:
        self.world.tell("previous key gone")
        self.service.use(replace(self.service.settings, previous_accounts={}))

    def _set_clock_back(self) -> None:
        if self.world.fate.strikes("clock_set_back"):
            self._set_clock(-self.world.fate.between(6, 900))

    def _let_clock_jump(self) -> None:
        """Ahead or back, for a moment or for good; it goes right once all is calm."""
        world, fate = self.world, self.world.fate
        if not fate.strikes("clock_jumps"):
            return
        by_s = fate.between(60, 7_200) if fate.chance(0.5) else fate.between(7_200, 172_800)
        if fate.chance(0.5):  # rows wait for as long as it was set back, and a day of that is a long run
            by_s = -by_s / 10
        self._set_clock(by_s)
        if fate.chance(0.5):
            world.at(min(world.now + fate.between(5, 3_000), self.calm_at - 1), lambda: self._set_clock(-by_s))

    def _set_clock(self, by_s: float) -> None:
        self.world.set_clock(by_s)
        self.service.clock_moved()

    def _shut_down(self) -> None:
        """Nothing of the service runs, for hours; nothing is calm before it does again."""
        world, fate = self.world, self.world.fate
        if not fate.strikes("service_down"):
            return
        for_s = fate.between(1, 6) * fate.life_s
        world.tell("service down for", round(for_s))
        self.down_until = world.now + for_s
        self.service.rules.waits.down_until(self.down_until)
        for process in self.service.processes.values():
            world.kill(process, for_s=for_s)

    def _take_database_away(self) -> None:
        if self.world.fate.strikes("database_down"):
            self._database_down()

    def _database_down(self) -> None:
        end = min(self.world.now + self.world.fate.between(5, 300), self.calm_at)
        self.world.tell("database down until", round(end))
        self.service.database.away_until = end

    def _flush(self) -> None:
        if self.world.fate.strikes("broker_flushed"):
            self.world.tell("broker flushed")
            self.service.ringer.flush()

    def _forge(self) -> None:
        if not self.world.fate.strikes("callback_forged"):
            return
        owner = self.world.fate.one_of([(job_id, 1) for job_id in self.service.rules.jobs] or [("job_x", 1)])
        token = self.world.fate.one_of(("k1.AAAA", "k2.AAAA", "x", "k1." + "A" * 43))
        body = json.dumps({"id": "evolink-1", "status": "completed"}).encode()
        self.service.forge(f"/webhooks/evolink/{owner[0]}/{owner[1]}/{token}", body)

    def _mint(self) -> None:
        """Whoever has a callback key can tell anything of orders that were never made."""
        jobs, fate = list(self.service.rules.jobs), self.world.fate
        if not jobs or not fate.strikes("key_leaked"):
            return
        settings, name = self.service.settings, fate.one_of(("aivideoapi", "apiframe", "evolink"))
        url = callback_urls.mint(
            PUBLIC_URL, settings.callback_keys, name, fate.one_of(jobs), 1 + int(fate.between(0, 3))
        )
        body = DIALECTS[name].callback
        assert body is not None
        seen = Seen("made-up", "finished", "wan", self.world.now, self.world.now, "https://nowhere.example/v.mp4", 1.0)
        self.service.call_back(url, json.dumps(body(seen)).encode(), {}, 0.0)

    def _mint_for(self, job_id: str, number: int) -> None:
        """The same of an order that may well have been made, and at times a task that there is."""
        own, gateways, settings = self.world.fate.own, self.service.gateways, self.service.settings
        name = own.choice(("aivideoapi", "apiframe", "evolink"))
        there = sorted(task.id for task in gateways.tasks.values() if task.provider == name)
        task_id = own.choice([*there, "made-up"])
        if task_id in there:
            gateways.misled.add(((job_id, number), task_id))
            seen = gateways.seen(gateways.tasks[name, task_id], "finished")
        else:
            seen = Seen(task_id, "finished", "wan", self.world.now, self.world.now, "https://nowhere.example/v", 1.0)
        body = DIALECTS[name].callback
        assert body is not None
        url = callback_urls.mint(PUBLIC_URL, settings.callback_keys, name, job_id, number)
        self.service.call_back(url, json.dumps(body(seen)).encode(), {}, 0.0)

    def _prune(self) -> None:
        """An operator has no room: what has rested for minutes goes, and what has rested for less is packed."""
        if not self.world.fate.strikes("pruned"):
            return
        soon = {f"keep_{what}_d": 600 / 86_400 for what in ("callbacks", "history", "idempotency_keys")}
        soon["pack_history_d"] = 120 / 86_400
        core = self.service.core
        pruning = Pruning(core.database, replace(core.settings, **soon), pause=lambda s: None)  # type: ignore[arg-type]
        self._at_web("prune", lambda: self.world.tell("pruned", pruning.run()), lambda: False)

    def _repair(self) -> None:
        """An operator holds the account, and lets what can be mended without guessing be mended."""
        if not self.world.fate.strikes("audited"):
            return
        process = self.service.processes["operator"]
        resources = self.service.resources(process)

        def audit_all() -> None:
            mend = partial(repair.repair, resources=resources)
            with suppress(BucketUnavailable):
                report = audit.audit(resources, repair=mend)
                self.world.tell("audited", [(found.code, found.job_id, done) for found, done in report.findings])
                check_audit(self.service.rules, report)

        if process.up:
            self.world.start(process, "audit --repair", audit_all)

    def _back_up(self) -> None:
        # A crowd of jobs has so many moments for it that its clients would do nothing else than ask anew.
        if self.world.fate.struck["backup_restored"] < MOST_RESTORED and self.world.fate.strikes("backup_restored"):
            backup = self.service.database.back_up_rows()
            at = (self.world.now, max(self.world.database_time(), backup.written_at))
            self.world.tell("backup")
            self.world.after(self.world.fate.between(10, 3000), lambda: self._put_back(backup, at))

    def _lag(self) -> None:
        """A replica falls behind, and takes the database's place soon; only callbacks are still taken meanwhile."""
        world, service, own = self.world, self.service, self.world.fate.own
        backup, taken_at = service.database.back_up_rows(), self.world.now
        written_at = max(world.database_time(), backup.written_at)
        down_s = own.uniform(3, own.choice((10, 600)))

        def take_its_place() -> None:
            if world.fate.calm or written_at > world.database_time():
                return
            world.tell("commits lost since", round(taken_at))
            for name, process in service.processes.items():
                world.kill(process, for_s=own.uniform(1, 3) if name == "web" else down_s)
            world.after(0.5, lambda: self._failed_over(backup, taken_at))

        world.after(own.uniform(2, 120), take_its_place)

    def _failed_over(self, backup: Backup, taken_at: float) -> None:
        self.service.failed_over(backup, taken_at)
        self._send_lost_ones_again()

    def _put_back(self, backup: Backup, taken_at: tuple[float, datetime]) -> None:
        """Stop everything, put the backup back, say so to the service, start again."""
        if self.world.fate.calm or taken_at[1] > self.world.database_time():  # the clock was set back: it is refused
            return
        world, service = self.world, self.service
        world.tell("backup put back")
        for process in service.processes.values():
            world.kill(process)
        service.ringer.flush()
        world.after(0.5, lambda: self._restored(backup, taken_at))

    def _restored(self, backup: Backup, taken_at: tuple[float, datetime]) -> None:
        world, service = self.world, self.service
        service.restored(backup, *taken_at)
        self._send_lost_ones_again()
        world.after(world.fate.between(0, 3000), self._repair)  # as docs/restore.md says

    def _send_lost_ones_again(self) -> None:
        """Clients ask after their jobs; whose is gone hears 404, and sends it again under the same key."""
        world, service = self.world, self.service
        for key, job_id in list(self._ids.items()):
            if job_id not in service.rules.jobs:
                del self._ids[key]
                world.after(world.fate.between(60, 600), lambda key=key: self._send(key))
