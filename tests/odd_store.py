"""A small S3 store in memory that refuses, demands and loses as one kind of store is documented or reported to."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ACCESS_KEY, BUCKET = "odd", "videos"
HOST = "s3.odd.test"  # by host name its buckets are names below this one, which tests lead to the loopback interface
KMS = {"x-amz-server-side-encryption": "aws:kms"}
NOT_IMPLEMENTED = "A header you provided implies functionality that is not implemented"


class Refusal(NamedTuple):
    status: int
    code: str
    text: str


@dataclass
class Ways:
    """What one store does otherwise than AWS S3. Tests change it while it serves."""

    addressing: tuple[str, ...] = ("path", "virtual")
    refused_headers: tuple[str, ...] = ()  # 400 on every request that bears one
    needed_headers: Mapping[str, str] = field(default_factory=dict)  # of a PUT; without one it is denied
    condition: str = "if-none-match"  # the header that it honours; others of its kind are 501
    ignores_conditions: bool = False
    taken_status: int = 412
    absent_status: int = 404  # of a HEAD
    rules: str | None = None  # its lifecycle configuration; None: it has none, and says so
    loses_metadata: str = ""  # this header of a PUT
    metadata_is_decoded: bool = False  # by RFC 2047
    denied: tuple[str, ...] = ()  # methods
    full: bool = False
    alters: bool = False  # what arrives is not what was sent
    denied_outside: str = ""  # keys that do not begin so are denied
    slow_downs: int = 0  # PUTs
    conflicts: int = 0  # conditional PUTs
    away: bool = False  # connections are closed without an answer
    most_bytes: int = 0  # of a body, by a proxy before it; 0: as many as come
    only_conditional: bool = False  # a policy denies PUTs without a condition
    refuses_puts: Refusal | None = None  # unless the store's own key is asked for, in place of the bucket's KMS key
    refuses_links: Refusal | None = None
    invents: bool = False  # every HEAD finds an object
    lost_answers: int = 0  # of conditional PUTs that are carried out


# What docs/stores.md says of each store, as far as it is otherwise than AWS S3, and the settings that it names there.
STORES: dict[str, tuple[Ways, dict[str, str]]] = {
    "AWS S3": (Ways(), {}),
    "AWS S3, a policy that demands encryption": (Ways(needed_headers=KMS), {"encryption": "aws:kms"}),
    "Cloudflare R2": (
        Ways(
            addressing=("path", "virtual"), metadata_is_decoded=True, refused_headers=("x-amz-server-side-encryption",)
        ),
        {},
    ),
    "Backblaze B2": (
        Ways(
            refused_headers=("x-amz-checksum-sha256", "x-amz-checksum-mode", "x-amz-sdk-checksum-algorithm"),
            condition="none",
        ),
        {"checksum": "md5", "condition": "head"},
    ),
    "Aliyun OSS": (
        Ways(addressing=("virtual",), condition="x-oss-forbid-overwrite", taken_status=409),
        {"addressing": "virtual", "condition": "x-oss-forbid-overwrite"},
    ),
    "Ceph": (Ways(addressing=("path",)), {}),
    "MinIO": (Ways(addressing=("path",)), {}),
    "a store that ignores conditions": (Ways(addressing=("path",), ignores_conditions=True), {"condition": "head"}),
}


@dataclass(frozen=True)
class Held:
    body: bytes
    headers: dict[str, str]


class OddStore:
    """`objects` by key, `puts`: the headers of each PUT that was taken."""

    def __init__(self, ways: Ways, port: int) -> None:
        self.ways, self.port = ways, port
        self.objects: dict[str, Held] = {}
        self.puts: list[tuple[str, dict[str, str]]] = []
        self.connections: list[socket.socket] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address where buckets stand in the path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def named_url(self) -> str:
        """Its address where buckets stand in the host's name."""
        return f"http://{HOST}:{self.port}"

    def videos(self) -> list[str]:
        return [key for key in self.objects if key.endswith(".mp4")]


@contextmanager
def odd_store(ways: Ways) -> Iterator[OddStore]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    server.daemon_threads = True
    store = OddStore(ways, server.server_port)
    server.store = store  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        for connection in store.connections:  # a client's pool would keep their threads alive
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        server.server_close()


class _Refused(Exception):
    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(code)
        self.status, self.code, self.text = status, code, text


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def log_message(self, *_: Any) -> None: ...

    def setup(self) -> None:
        super().setup()
        self.store: OddStore = self.server.store  # type: ignore[attr-defined]
        self.ways = self.store.ways
        self.store.connections.append(self.connection)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)

    def handle_expect_100(self) -> bool:
        """As nginx judges a body by the length that is announced."""
        if 0 < self.ways.most_bytes < int(self.headers.get("content-length") or 0):
            self.close_connection = True
            self.answer(413, b"<html><h1>413 Request Entity Too Large</h1><hr>nginx</html>", Content_Type="text/html")
            return False
        return super().handle_expect_100()

    def serve(self) -> None:
        if self.ways.away:
            self.close_connection = True
            return
        self.asked = {name.lower(): value for name, value in self.headers.items()}
        length = int(self.asked.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # whoever sends has gone
            self.close_connection = True
            return
        if self.ways.alters:
            body = bytes([body[0] ^ 1, *body[1:]]) if body else body
        try:
            with self.store.lock:
                self.judge(*self.address(), body)
        except _Refused as no:
            xml = f"<Error><Code>{no.code}</Code><Message>{escape(no.text)}</Message></Error>"
            self.answer(no.status, xml.encode(), Content_Type="application/xml")

    def address(self) -> tuple[str, str]:
        """The bucket and the key."""
        host, path = self.asked["host"].partition(":")[0], unquote(urlsplit(self.path).path).lstrip("/")
        style = "virtual" if host.endswith(f".{HOST}") else "path"
        if style not in self.ways.addressing:
            if style == "path":
                raise _Refused(403, "SecondLevelDomainForbidden", "Please use virtual hosted style to access.")
            raise _Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        if style == "virtual":
            return host.removesuffix(f".{HOST}"), path
        bucket, _, key = path.partition("/")
        return bucket, key

    def judge(self, bucket: str, key: str, body: bytes) -> None:
        asked, ways = self.asked, self.ways
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if f"{ACCESS_KEY}/" not in asked.get("authorization", "") + query.get("X-Amz-Credential", [""])[0]:
            raise _Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist.")
        if bucket != BUCKET:
            raise _Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        for name in ways.refused_headers:
            if name in asked:
                raise _Refused(400, "InvalidArgument", f"Unsupported header '{name}' received for this API call.")
        if ways.refuses_links and "X-Amz-Signature" in query:
            raise _Refused(*ways.refuses_links)
        if self.command in ways.denied or (key and not key.startswith(ways.denied_outside)):
            raise _Refused(403, "AccessDenied", "not authorized, with an explicit deny in a resource-based policy")
        if self.command == "PUT":
            self.put(key, body)
        elif self.command == "DELETE":
            self.store.objects.pop(key, None)
            self.answer(204)
        elif not key:
            self.of_bucket(query)
        elif ways.invents and self.command == "HEAD":
            self.answer(200)
        elif key in self.store.objects:
            held = self.store.objects[key]
            self.answer(200, held.body, **held.headers)
        elif self.command == "HEAD":
            self.answer(ways.absent_status)
        else:
            raise _Refused(404, "NoSuchKey", "The specified key does not exist.")

    def of_bucket(self, query: Mapping[str, list[str]]) -> None:
        if "lifecycle" in query:
            if self.ways.rules is None:
                raise _Refused(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
            self.answer(200, self.ways.rules.encode(), Content_Type="application/xml")
            return
        prefix = query.get("prefix", [""])[0]
        found = [(key, held) for key, held in sorted(self.store.objects.items()) if key.startswith(prefix)]
        written = "<LastModified>2026-11-29T00:00:00.000Z</LastModified>"
        rows = (
            f"<Contents><Key>{escape(k)}</Key>{written}<Size>{len(held.body)}</Size></Contents>" for k, held in found
        )
        xml = (
            f"<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{''.join(rows)}</ListBucketResult>"
        )
        self.answer(200, xml.encode(), Content_Type="application/xml")

    def put(self, key: str, body: bytes) -> None:
        asked, ways, store = self.asked, self.ways, self.store
        for name, value in ways.needed_headers.items():
            if asked.get(name) != value:
                raise _Refused(403, "AccessDenied", "not authorized, with an explicit deny in a resource-based policy")
        if ways.refuses_puts and asked.get("x-amz-server-side-encryption") != "AES256":
            raise _Refused(*ways.refuses_puts)
        if ways.only_conditional and ways.condition not in asked:
            raise _Refused(403, "AccessDenied", "not authorized, with an explicit deny in a resource-based policy")
        if ways.full:
            raise _Refused(507, "XMinioStorageFull", "Storage backend has reached its minimum free drive threshold.")
        if ways.slow_downs:
            ways.slow_downs -= 1
            raise _Refused(503, "SlowDown", "Please reduce your request rate.")
        self.check_body(body)
        conditional = asked.get(ways.condition) in ("*", "true")
        if "if-none-match" in asked and ways.condition != "if-none-match" and not ways.ignores_conditions:
            raise _Refused(501, "NotImplemented", NOT_IMPLEMENTED)
        if conditional and ways.conflicts:
            ways.conflicts -= 1
            raise _Refused(409, "ConditionalRequestConflict", "Another write is under way.")
        if conditional and key in store.objects and not ways.ignores_conditions:
            code = "FileAlreadyExists" if ways.taken_status == 409 else "PreconditionFailed"
            raise _Refused(ways.taken_status, code, "The object you specified already exists.")
        metadata = {name: self.kept(value) for name, value in asked.items() if name.startswith("x-amz-meta-")}
        metadata.pop(ways.loses_metadata, None)
        store.objects[key] = Held(body, {**metadata, "Content-Type": asked["content-type"]})
        store.puts.append((key, asked))
        if conditional and ways.lost_answers:
            ways.lost_answers -= 1
            self.close_connection = True
            return
        self.answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def kept(self, value: str) -> str:
        decoded = str(make_header(decode_header(value))) if self.ways.metadata_is_decoded else value
        return decoded.encode().decode("latin-1")

    def check_body(self, body: bytes) -> None:
        """Every sum that was sent is true, and the signature's is there."""
        sums = {"x-amz-checksum-sha256": hashlib.sha256, "content-md5": hashlib.md5}
        for name, kind in sums.items():
            if name in self.asked and self.asked[name] != base64.b64encode(kind(body).digest()).decode():
                raise _Refused(400, "BadDigest", f"The {name} you specified did not match what we received.")
        if self.asked["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            raise _Refused(400, "XAmzContentSHA256Mismatch", "The signature is of another body.")

    do_GET = do_PUT = do_HEAD = do_DELETE = serve  # noqa: N815 - the names that the server looks for
