"""The receiver alone, for a host that faces the internet: `granian --factory webhooks.app:create_app`."""

from __future__ import annotations

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from jobs.broker import ringing_app
from jobs.errors import BadSettings
from jobs.logs import configure, hide
from jobs.providers.registry import PROVIDERS
from jobs.ringer import TOGETHER, CeleryRinger, RingerThread
from jobs.settings import Settings, load
from jobs.store import migrate
from jobs.store.database import Database, DatabaseUnavailable
from jobs.store.tallied import Adding
from webhooks import headers, timing
from webhooks.receiver import Receiver, blueprint


def create_app(settings: Settings | None = None) -> Flask:
    """Build the receiver from the environment. Ends the process with one line per setting that is wrong."""
    configure()
    try:
        settings = settings or load()
    except BadSettings as e:
        raise SystemExit(f"These settings keep the receiver from starting:\n{e}") from e
    hide(settings.secrets)
    database = Database(settings.database_url)
    migrate.check(database)
    ringer = RingerThread(CeleryRinger(ringing_app(settings), together=TOGETHER))
    adding = Adding(database, settings.sweep_interval_s)
    app = Flask(__name__, static_folder=None)
    timing.install(app, database.tallies)
    headers.install(app)
    app.register_blueprint(blueprint(Receiver(settings, PROVIDERS, database, ringer)))

    @app.get("/livez")
    def livez() -> ResponseReturnValue:
        return jsonify(status="ok")

    @app.get("/readyz")
    def readyz() -> ResponseReturnValue:
        """The database alone: without Valkey the sweep rings for what was kept here."""
        try:
            with database.read() as db:
                database.clock(db)
                db.exec_driver_sql("SELECT 1")
        except DatabaseUnavailable:
            return jsonify(status="unavailable", parts={"database": "unavailable"}), 503
        if database.look_at_disk():
            return jsonify(status="unavailable", parts={"database": "disk full"}), 503
        return jsonify(status="ok", parts={"database": "ok"})

    def close() -> None:
        ringer.close()
        adding.close()
        database.close()

    app.extensions["rushes.close"] = close
    return app
