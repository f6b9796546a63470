"""What generated clients call the operations, and bodies to try them with."""

from __future__ import annotations

from typing import Any

NAMES = {
    ("post", "/v1/jobs"): "create_job",
    ("get", "/v1/jobs"): "list_jobs",
    ("get", "/v1/jobs/{job_id}"): "get_job",
    ("get", "/v1/jobs/{job_id}/events"): "list_job_events",
    ("get", "/v1/jobs/{job_id}/evidence"): "get_evidence",
    ("get", "/v1/jobs/{job_id}/video"): "get_video",
    ("get", "/v1/jobs/{job_id}/poster"): "get_poster",
    ("post", "/v1/jobs/{job_id}/video/accept"): "accept_video",
    ("post", "/v1/jobs/{job_id}/cancel"): "cancel_job",
    ("post", "/v1/jobs/{job_id}/retry"): "retry_job",
    ("get", "/v1/jobs/{job_id}/attempts/{number}"): "get_order",
    ("post", "/v1/jobs/{job_id}/attempts/{number}/settle"): "settle_order",
    ("get", "/v1/batches/{batch}"): "get_batch",
    ("get", "/v1/events"): "list_events",
    ("get", "/v1/key"): "get_own_key",
    ("get", "/v1/keys"): "list_keys",
    ("post", "/v1/keys"): "create_key",
    ("post", "/v1/keys/{key_id}/revoke"): "revoke_key",
    ("get", "/v1/overview"): "get_overview",
    ("get", "/v1/providers"): "list_providers",
    ("get", "/v1/providers/{name}"): "get_provider",
    ("post", "/v1/providers/{name}/rest"): "rest_provider",
    ("post", "/v1/providers/{name}/resume"): "resume_provider",
    ("post", "/v1/providers/{name}/balance"): "ask_balance",
    ("get", "/v1/costs"): "get_costs",
    ("get", "/v1/attention"): "list_attention",
    ("get", "/v1/notices"): "list_notices",
    ("get", "/v1/notices/{notice_id}"): "get_notice",
    ("post", "/v1/notices/{notice_id}/replay"): "replay_notice",
    ("post", "/v1/notices/replay"): "replay_failed_notices",
    ("get", "/v1/callbacks"): "list_callbacks",
    ("get", "/v1/callbacks/figures"): "get_callback_figures",
    ("get", "/v1/callbacks/{callback_id}"): "get_callback",
    ("post", "/v1/callbacks/{callback_id}/replay"): "replay_callback",
}
# Bodies that can be sent as they stand, by what they do.
FRAME = "https://example.com/fox.png"
BODIES: dict[str, dict[str, dict[str, Any]]] = {
    "create_job": {
        "a video from words": {"prompt": "A red fox runs through fresh snow", "duration": 5},
        "a video that begins with a picture": {
            "mode": "image-to-video",
            "prompt": "It turns its head",
            "media": [{"type": "first_frame", "url": FRAME}],
        },
        "a video of somebody who is shown": {
            "mode": "reference-to-video",
            "prompt": "The fox of image 1 crosses a frozen lake",
            "media": [{"type": "reference_image", "url": FRAME}],
        },
        "a video that is changed": {
            "mode": "video-edit",
            "prompt": "Let it snow",
            "media": [{"type": "video", "url": "https://example.com/fox.mp4"}],
        },
        "with all that belongs to a pipeline": {
            "prompt": "A red fox runs through fresh snow",
            "provider": ["evolink", "gravitex"],
            "metadata": {"scene": "12"},
            "batch": "monday",
            "start_within_s": 3600,
        },
    },
    "create_key": {"for a pipeline": {"name": "trailers"}, "for who may only look": {"name": "maria", "scope": "read"}},
    "retry_job": {
        "with no risk of paying twice": {},
        "even so": {"accept_double_charge": True},
    },
    "settle_order": {
        "its task was found": {"task_id": "task-unified-1773290000-abcdefgh"},
        "it was not made": {"made": False},
        "it was charged": {"charged": True},
    },
    "rest_provider": {"for an hour": {"seconds": 3600}},
    "replay_failed_notices": {"all": {}, "of an afternoon": {"since": "2026-11-21T12:00:00Z"}},
}
