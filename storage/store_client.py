"""The client of botocore that asks the store."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from storage.bucket import BucketConfig
from storage.outbound import trust
from storage.rules import FORBID_OVERWRITE, PATH, SHA256, VIRTUAL
from storage.signing import sign_by_known_hash

DEFAULT_REGION = "us-east-1"
RETRIES = {"mode": "standard", "max_attempts": 2}


def connect(config: BucketConfig) -> Any:
    """A client of botocore. Opens no connection yet.

    s3v4 is said aloud: for a foreign endpoint botocore presigns with version 2, which leaves If-None-Match unsigned.
    Checksums "when required": many stores do not know the newer ones that botocore would add by itself.
    A bundle of AWS's own configuration is trusted beside the others, where botocore would put it in their place. The
    whole session trusts so, since it makes further clients by itself for the keys of a role.
    """
    session = botocore.session.Session()
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    bundle = session.get_config_variable("ca_bundle")
    session.set_config_variable("ca_bundle", trust.ca_file(*[bundle] if bundle else []))
    session.set_default_client_config(Config(connect_timeout=5, read_timeout=10, retries=RETRIES))
    rules = config.rules
    client = session.create_client(
        "s3",
        endpoint_url=config.endpoint_url,
        region_name=config.region or (DEFAULT_REGION if config.endpoint_url else None),
        aws_access_key_id=config.access_key,
        aws_secret_access_key=config.secret_key,
        aws_session_token=config.session_token,
        config=Config(
            signature_version="s3v4",
            s3={
                "addressing_style": rules.addressing or (PATH if config.endpoint_url else VIRTUAL),
                # Over TLS botocore leaves the body out of a signature, unless it is told not to.
                **({} if rules.checksum == SHA256 else {"payload_signing_enabled": True}),
            },
            retries=RETRIES,
            connect_timeout=2,
            read_timeout=30,
            max_pool_connections=32,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    sign_by_known_hash(client)
    if rules.condition in FORBID_OVERWRITE:
        client.meta.events.register("before-call.s3.PutObject", partial(_forbid_overwrite, rules.condition))
    return client


@cache
def _loader(path: str | None) -> Loader:
    """Botocore's description of S3, of which reading takes longer than all else here."""
    return create_loader(path)


def _forbid_overwrite(header: str, params: dict[str, Any], **_: Any) -> None:
    """Put the vendor's own header in place of the standard one, before the request is signed."""
    if params["headers"].pop("If-None-Match", None) is not None:
        params["headers"][header] = "true"
