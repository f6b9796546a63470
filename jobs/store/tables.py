"""The tables. Times are aware UTC; every quantity names its unit."""

from __future__ import annotations

import sqlalchemy as sa

from jobs.machine.states import State
from jobs.store.column_types import JSON, SERIAL, Instant, Told, Words

IN_BATCH, IS_NAMED = sa.text("batch IS NOT NULL"), sa.text("named_task_id IS NOT NULL")
HAS_ALARM = sa.text("alarm_at IS NOT NULL")
IN_LINE, DIES = (sa.text(f"alarm_at IS NOT NULL AND link_dies_at IS {what}") for what in ("NULL", "NOT NULL"))
# Most writes of a row come before it has one of these, and so leave their index alone.
HAS_ENDED, IS_HEARD = sa.text("ended_at IS NOT NULL"), sa.text("news_at IS NOT NULL")
NOT_HOME = "outcome IN ('finished', 'undelivered')"  # made, and its video is not in the bucket: not yet, or never

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    # When the job next wants attention; NULL only once it has ended, and there is nothing left to ask about.
    sa.Column("alarm_at", Instant),
    # Who works on it, and until when that may be believed.
    sa.Column("lease_holder", sa.String(120)),
    sa.Column("leased_until", Instant),
    # How many in a row of those who worked on it have died, and until when it is left alone for that.
    sa.Column("holder_deaths", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("set_aside_until", Instant),
    sa.Column("mode", sa.String(24), nullable=False),
    sa.Column("request", JSON, nullable=False),
    sa.Column("provider", sa.String(32)),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),  # the current one; 0 before the first
    sa.Column("progress", sa.Integer),
    sa.Column("overdue", sa.Boolean, nullable=False, default=False),
    sa.Column("flagged", sa.String(64)),  # why a person should look; NULL: nobody needs to
    sa.Column("troubles", sa.Integer, nullable=False, default=0),  # failures of our own in a row, for the backoff
    sa.Column("cancel_requested_at", Instant),
    # Since when questions about orders that no row knows have not all been answered; NULL: they have.
    sa.Column("strange_since", Instant),
    sa.Column("error_code", sa.String(64)),
    sa.Column("error_message", Words),
    sa.Column("error_retryable", sa.Boolean),
    sa.Column("error_said", Words(100)),  # the gateway's own code
    sa.Column("waiting", Told),  # {provider, code, reason}: why a queued job was not ordered when last looked at
    sa.Column("on_unconfirmed", sa.String(16), nullable=False),
    sa.Column("start_by", Instant, nullable=False),
    sa.Column("inputs_until", Instant),  # accepted later than this, a gateway would find an input's link dead
    sa.Column("link_dies_at", Instant),  # while archiving: the transfer with the least life left goes first
    sa.Column("archive_key", sa.String(1024), nullable=False),  # fixed from the first day, whenever it is archived
    sa.Column("bucket", sa.String(255)),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("sha256", sa.String(64)),
    sa.Column("duration_s", sa.Float),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("fps", sa.Float),
    sa.Column("accepted_by", sa.String(40)),  # the API key under which a person took the film in place of the proof
    sa.Column("notify_url", sa.Text),
    sa.Column("notices", sa.Integer, nullable=False, default=0),  # how many were written: the last sequence number
    sa.Column("metadata", JSON, nullable=False),
    sa.Column("batch", sa.String(100)),  # the run of requests that it belongs to
    sa.Column("api_key_id", sa.String(40), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.CheckConstraint("state IN ({})".format(", ".join(f"'{s.value}'" for s in State)), name="state"),
    # Named in 0001, before the word was lease; SQLite renames no constraint.
    sa.CheckConstraint("(lease_holder IS NULL) = (leased_until IS NULL)", name="hold"),
    sa.Index(None, "state", "alarm_at"),
    # The lines of due_heads.py, which only live jobs stand in, and what may have been written in the future.
    sa.Index("ix_jobs_line", "state", "api_key_id", "alarm_at", "id", sqlite_where=IN_LINE, postgresql_where=IN_LINE),
    sa.Index("ix_jobs_dying", "state", "api_key_id", "link_dies_at", "id", sqlite_where=DIES, postgresql_where=DIES),
    sa.Index("ix_jobs_written", "updated_at", sqlite_where=HAS_ALARM, postgresql_where=HAS_ALARM),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "state", "created_at", "id"),
    sa.Index("ix_jobs_ended_at", "ended_at", sqlite_where=HAS_ENDED, postgresql_where=HAS_ENDED),
    *(
        sa.Index(f"ix_jobs_{name}", "created_at", "id", sqlite_where=sa.text(few), postgresql_where=sa.text(few))
        for name, few in (("flagged", "flagged IS NOT NULL"), ("overdue", "overdue"))
    ),
    sa.Index("ix_jobs_batch", "batch", "created_at", "id", sqlite_where=IN_BATCH, postgresql_where=IN_BATCH),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column(
        "origin", sa.String(16), nullable=False, server_default="ordered"
    ),  # ordered, forgotten (by a backup), or called_back
    sa.Column("provider", sa.String(32), nullable=False),
    sa.Column("base_url", sa.String(255), nullable=False),
    sa.Column("account", sa.String(64), nullable=False),  # the key's fingerprint
    sa.Column("with_callback", sa.Boolean, nullable=False),
    sa.Column("request", JSON, nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("standing", sa.String(16), nullable=False),
    sa.Column("task_id", sa.String(200)),
    sa.Column("adopted", sa.Boolean, nullable=False, default=False),  # the task id came by callback, not by answer
    sa.Column("contested", sa.Boolean, nullable=False, default=False),  # another order was told the same task id
    sa.Column("rejected_task_ids", JSON, nullable=False),  # candidates that turned out to be somebody else's
    sa.Column("last_word", Words(64)),  # what the gateway last said of it, so that history tells changes only
    sa.Column("news_by", sa.String(16)),  # callback or poll: how the verdict first came
    sa.Column("news_at", Instant),  # and when: a callback, when it was here
    sa.Column("link", sa.Text),
    sa.Column("error_code", sa.String(64)),
    sa.Column("error_message", Words),
    sa.Column("error_retryable", sa.Boolean),
    sa.Column("error_said", Words(100)),
    sa.Column("day", sa.String(10), nullable=False),  # of the order, in UTC: whose budget and costs it counts to
    sa.Column("estimated_credits", sa.Float),
    sa.Column("estimated_usd", sa.Float),
    sa.Column("estimate_exact", sa.Boolean, nullable=False),  # False: the most, as an input's length is not known
    sa.Column("reported_credits", sa.Float),
    sa.Column("reported_usd", sa.Float),
    sa.Column("reserved_micro_usd", sa.BigInteger, nullable=False),  # what it takes of its day's spending
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sending_at", Instant),  # set just before the first byte may leave; NULL: provably nothing was sent
    sa.Column("sends", sa.Integer, nullable=False, default=0),
    sa.Column("age_unknown", sa.Boolean, nullable=False, default=False),  # the clock was set back after its creation
    sa.Column("lost_at", Instant),
    sa.Column("accepted_at", Instant),
    sa.Column("last_unfinished_at", Instant),  # the last time the gateway said "not yet"
    sa.Column("finished_at", Instant),
    sa.Column("closed_at", Instant),
    sa.Column("polls", sa.Integer, nullable=False, default=0, server_default="0"),  # how often it was asked about
    sa.Column("answered_at", Instant),  # the last time the gateway answered a question about its task
    sa.Column("unanswered_since", Instant),  # the first of the questions that it has not answered since
    sa.Column("settled", sa.String(16)),  # what a person said of it: not_made, charged or not_charged
    sa.Column("named_task_id", sa.String(200)),  # the task that a person named, to be asked about
    sa.Column("named_refused", Words),  # why that one cannot be its task
    sa.Column("unproven", Told),  # [{task_id, sha256, bytes, reason, kept_at}]: what the proof refused, kept aside
    sa.Column("accepted_sha256", sa.String(64)),  # which of these a person took, to be archived as it is
    sa.Column("accepted_by", sa.String(40)),  # under which API key
    sa.UniqueConstraint("provider", "task_id", "account"),
    sa.Index("ix_attempts_named", "job_id", sqlite_where=IS_NAMED, postgresql_where=IS_NAMED),
    sa.Index(
        "ix_attempts_open",
        "provider",
        "account",
        sqlite_where=sa.text("outcome = 'open'"),
        postgresql_where=sa.text("outcome = 'open'"),
    ),
    sa.Index(
        "ix_attempts_uncertain",
        "provider",
        "account",
        sqlite_where=sa.text("standing = 'uncertain'"),
        postgresql_where=sa.text("standing = 'uncertain'"),
    ),
    sa.Index("ix_attempts_not_home", "day", sqlite_where=sa.text(NOT_HOME), postgresql_where=sa.text(NOT_HOME)),
    sa.Index(None, "day"),
    sa.Index("ix_attempts_news_at", "news_at", sqlite_where=IS_HEARD, postgresql_where=IS_HEARD),
)

# The kept callbacks. No foreign key: a callback for a job that a restored database has forgotten is kept as well.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", SERIAL, primary_key=True),
    sa.Column("job_id", sa.String(40), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("provider", sa.String(32), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("headers", Told, nullable=False),
    sa.Column("readable", sa.Boolean, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),  # what we answered, to be answered again
    sa.Column("task_id", sa.String(200)),
    sa.Column("signature", sa.String(16)),  # good, bad or none, as judged by the worker; NULL until then
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("read_at", Instant),
    sa.UniqueConstraint("job_id", "attempt", "digest"),
    sa.Index(
        "ix_inbox_unread",
        "job_id",
        sqlite_where=sa.text("read_at IS NULL"),
        postgresql_where=sa.text("read_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

# Task ids that callbacks have told of: more than bodies are kept, and no foreign key, for the same reason.
hearsay = sa.Table(
    "hearsay",
    metadata,
    sa.Column("job_id", sa.String(40), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("task_id", sa.String(200), primary_key=True),
    sa.Column("provider", sa.String(32), nullable=False),  # the gateway whose callback URL it was told under
    sa.Column("heard_at", Instant, nullable=False),  # when a callback last told of it
    sa.Column("asks", sa.Integer, nullable=False),  # how often the gateway has answered a question about it
    sa.Column("ask_at", Instant, nullable=False),  # when it is next asked about
    sa.Column("is_signed", sa.Boolean, nullable=False),  # told by a callback with the gateway's genuine signature
    sa.Column("is_contested", sa.Boolean, nullable=False),  # another order bears it, by hearsay as well
)

# A job's history: every move, and every fact worth a line. A line without `to_state` moved nothing.
events = sa.Table(
    "events",
    metadata,
    sa.Column("id", SERIAL, primary_key=True),
    sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("from_state", sa.String(16)),
    sa.Column("to_state", sa.String(16)),
    sa.Column("detail", Told, nullable=False),
    # Of a job's lines there are few, and they are sorted when they are read. PostgreSQL keeps equal values of an index
    # as one; with the `id` in it each line would have a key of its own.
    sa.Index(None, "job_id"),
    sqlite_autoincrement=True,
)

# What were lines of `events` until their jobs had rested for a day, all of a job's together: `history.py` reads them.
histories = sa.Table(
    "histories",
    metadata,
    sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("lines", sa.LargeBinary, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("scope", sa.String(8), nullable=False),  # read, write or admin
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("notify_url", sa.Text),  # where notices of its jobs go that name no other
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("last_used_at", Instant),  # to the minute, as far as it could be written
    sa.Column("revoked_at", Instant),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("api_key_id", sa.String(40), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

# What the pipeline is told: a row of its own, with an alarm and a lease of its own.
notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("alarm_at", Instant),
    sa.Column("lease_holder", sa.String(120)),
    sa.Column("leased_until", Instant),
    sa.Column("tries", sa.Integer, nullable=False, default=0),
    sa.Column("last_status", sa.Integer),
    sa.Column("last_error", Words),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("delivered_at", Instant),
    sa.UniqueConstraint("job_id", "sequence"),
    sa.Index(None, "alarm_at"),
    sa.Index(None, "created_at", "id"),
    sa.Index(
        "ix_notices_given_up",
        "created_at",
        sqlite_where=sa.text("alarm_at IS NULL AND delivered_at IS NULL"),
        postgresql_where=sa.text("alarm_at IS NULL AND delivered_at IS NULL"),
    ),
)

# What became of each POST of a notice: a status, or why there was none.
notice_tries = sa.Table(
    "notice_tries",
    metadata,
    sa.Column("notice_id", sa.String(40), sa.ForeignKey("notices.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # from 1
    sa.Column("at", Instant, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", Words),
    sa.Column("took_s", sa.Float, nullable=False),
)

# Who was seen alive when: the processes, and the sweep itself.
heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
)

# A gateway key's orders (submit) or its questions (query): whether they rest, since when, why, and who probes then.
lanes = sa.Table(
    "lanes",
    metadata,
    sa.Column("provider", sa.String(32), primary_key=True),
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("lane", sa.String(8), primary_key=True),  # submit or query
    sa.Column("until", Instant),  # the end of its rest; past, with a reason: it is to be probed
    sa.Column("reason", sa.String(64)),  # why it rests or is probed; NULL: it is well
    sa.Column("since", Instant),  # when the first of its rests in a row began
    sa.Column("began_at", Instant),  # when the last one did
    sa.Column("rest_s", sa.Float, nullable=False, server_default="0"),  # of the last one; the next is twice as long
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),  # in a row, each of another job or task
    sa.Column("lost_of", sa.String(250)),  # the job, or the task, of the last one
    sa.Column("prober", sa.String(120)),  # the lease's holder who probes
    sa.Column("probing_until", Instant),  # until when that may be believed
    sa.Column("may_risk", sa.Boolean, nullable=False, server_default=sa.false()),  # one order beyond the bound may go
    sa.Column("ask_at", Instant),  # when a resting lane's gateway is next asked for free; NULL: not before the end
    sa.Column("accepted_at", Instant),  # the last acceptance; orders lost before it count for the bound no more
)

# What a gateway's orders of a day come to, as far as prices are known. A claim reserves here before it orders.
spending = sa.Table(
    "spending",
    metadata,
    sa.Column("provider", sa.String(32), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("micro_usd", sa.BigInteger, nullable=False),
)

# What a gateway's account had used when it was last asked, and what ours had of it then: the next asking's base.
credit_balances = sa.Table(
    "credit_balances",
    metadata,
    sa.Column("provider", sa.String(32), primary_key=True),
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("asked_at", Instant, nullable=False),
    sa.Column("used", sa.Float, nullable=False),  # in the gateway's unit
    sa.Column("booked", sa.Float, nullable=False),  # held and charged orders, in the same unit
)

# Status words that no table of ours has, and in how many tasks' histories they stand.
unknown_words = sa.Table(
    "unknown_words",
    metadata,
    sa.Column("provider", sa.String(32), primary_key=True),
    sa.Column("word", Words(100), primary_key=True),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("last_at", Instant, nullable=False),
)

# What all processes have counted together. A histogram has a row for each bucket that was ever told of, and their sum.
tallies = sa.Table(
    "tallies",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),  # the measure's
    sa.Column("labels", sa.String(500), primary_key=True),  # the values, in the measure's order: a list in JSON
    sa.Column("part", sa.String(20), primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
)
