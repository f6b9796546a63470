"""The whole service over HTTP, for a single host: `granian --factory rushes.app:create_app`."""

from __future__ import annotations

from flask import Flask

from jobs.broker import ringing_app
from jobs.buckets import bucket, bucket_for_links
from jobs.errors import BadSettings
from jobs.intake.key_uses import KeyUses
from jobs.logs import configure, hide
from jobs.providers.registry import on_terms
from jobs.ringer import TOGETHER, CeleryRinger, Ringer, RingerThread
from jobs.settings import Settings, load
from jobs.store import migrate
from jobs.store.core import Core
from jobs.store.database import Database
from jobs.store.tallied import Adding
from rushes import health, metrics
from rushes.api import attention, balances, batches, callbacks, costs, docs, events, evidence, keys, notices, overview
from rushes.api import jobs as jobs_api
from rushes.api import providers as providers_api
from rushes.api.edge import auth, limits, problems, request_ids
from rushes.api.edge.auth import Door
from rushes.api.edge.limits import KeyLimits
from rushes.api.edge.long_polls import Waits
from rushes.api.edge.openapi import DescribedApi
from rushes.api.edge.wrong_keys import WrongKeys
from rushes.console import pages
from rushes.local.parent import die_with_parent
from webhooks import headers, receiver, timing

OPENAPI = {
    "API_TITLE": "Rushes",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": "openapi.json",
}


def create_app(settings: Settings | None = None, *, ringer: Ringer | None = None) -> Flask:
    """Build the app from the environment. Ends the process with one line per setting that is wrong."""
    die_with_parent()
    configure()
    try:
        settings = settings or load()
    except BadSettings as e:
        raise SystemExit(f"These settings keep Rushes from starting:\n{e}") from e
    hide(settings.secrets)
    providers = on_terms(settings.terms)
    database = Database(settings.database_url)
    migrate.check(database)
    ringer = ringer or RingerThread(CeleryRinger(ringing_app(settings), together=TOGETHER))
    app = Flask(__name__, static_folder=None)
    app.config.update(OPENAPI)
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask's default provider has it
    app.url_map.strict_slashes = False
    timing.install(app, database.tallies)
    headers.install(app)
    request_ids.install(app)
    limits.install(app)
    uses, adding = KeyUses(database), Adding(database, settings.sweep_interval_s)
    waits = Waits(database)
    limited, wrong_keys = KeyLimits(settings.api_requests_per_min), WrongKeys(settings.redis_url)
    auth.install(app, database, Door(uses, limited, wrong_keys, settings.trusted_proxies))
    archive, links = bucket(settings), bucket_for_links(settings)
    for each in (archive, links):
        each.prepare()
    app.register_blueprint(health.blueprint(health.Health(settings, database, archive)))
    app.register_blueprint(receiver.blueprint(receiver.Receiver(settings, providers, database, ringer)))
    api = DescribedApi(app)
    core = Core(settings=settings, providers=providers, database=database, ringer=ringer)
    api.register_blueprint(jobs_api.blueprint(jobs_api.JobsApi(core, database, links, waits)))
    api.register_blueprint(evidence.blueprint(evidence.EvidenceApi(settings, providers, database, archive)))
    gateways = providers_api.ProvidersApi(settings, providers, database, ringer)
    api.register_blueprint(providers_api.blueprint(gateways))
    api.register_blueprint(balances.blueprint(gateways))
    api.register_blueprint(batches.blueprint(database))
    api.register_blueprint(events.blueprint(database))
    api.register_blueprint(costs.blueprint(database))
    api.register_blueprint(overview.blueprint(database, providers, settings))
    api.register_blueprint(keys.blueprint(database, settings))
    api.register_blueprint(attention.blueprint(attention.AttentionApi(settings, providers, database)))
    api.register_blueprint(notices.blueprint(notices.NoticesApi(database, ringer)))
    api.register_blueprint(callbacks.blueprint(callbacks.CallbacksApi(core)))
    app.register_blueprint(metrics.blueprint(core))
    app.register_blueprint(docs.blueprint())
    app.register_blueprint(docs.start_page())
    app.register_blueprint(pages.blueprint(app, settings, links))
    problems.install(app)

    def close() -> None:
        waits.close()
        if isinstance(ringer, RingerThread):
            ringer.close()
        uses.close()
        wrong_keys.close()
        adding.close()
        database.close()

    app.extensions |= {"rushes.close": close, "rushes.waits": waits, "rushes.openapi": api.document}
    return app
