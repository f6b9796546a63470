"""Be told instead of asking: a receiver of notices that starts the next task of celery_pipeline.py.

    flask --app receive_notices run --port 9000

Order with "notify_url": "http://127.0.0.1:9000/notices". A service that may not reach private addresses wants an https
address here.
"""

from __future__ import annotations

import os

from celery_pipeline import publish
from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
# The service signs with each of its secrets, so one of them is enough, also while they are being rotated.
webhook = Webhook(os.environ["RUSHES_NOTICE_SECRETS"].split(",")[0])


@app.post("/notices")
def receive() -> tuple[str, int]:
    try:
        notice = webhook.verify(request.get_data(), dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: what stands there is no signature at all
        return "", 401
    if notice["type"] == "job.archived":
        # Anything but 2xx brings the notice again later; so does an answer that is lost. publish does not mind.
        publish.delay(notice["data"]["id"])
    return "", 204
