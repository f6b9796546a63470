"""The peak memory of the transfer process with a 4 MB and a 400 MB video. `python benchmarks/transfer_memory.py`

A gateway of a dozen lines stands in, since the sandbox makes no films of that size: a real film, made longer by a
`free` box. Read is VmHWM of the transfer process itself; the probe's helper is listed beside it.
"""

from __future__ import annotations

import http.server
import json
import re
import tempfile
import threading
from pathlib import Path

import av
from arena import arena
from figures import tell

SIZES_MB = (4, 400)
ALLOWED_MB = 16


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="rushes-films-") as folder:
        for size in SIZES_MB:
            make_film(Path(folder) / f"{size}.mp4", size * 1_000_000)
        server = gateway(Path(folder))
        base = f"http://127.0.0.1:{server.server_port}"
        settings = {
            "RUSHES_GRAVITEX_API_KEY": "sk-bench",
            "RUSHES_GRAVITEX_BASE_URL": base,
            "RUSHES_ALLOW_PRIVATE_ADDRESSES": "1",
            "RUSHES_POLL_INTERVAL_S": "1",
        }
        peaks = {}
        with arena(settings) as it:
            pid = it.service.supervisor.pids["transfer"]
            for size in (SIZES_MB[0], *SIZES_MB):  # the first is a warm-up
                [job] = it.until_ended([it.submit(provider="gravitex", prompt=f"{size}")], within_s=120)
                assert job["state"] == "archived", job
                peaks[size] = peak_mb(pid)
        server.shutdown()
        grown = peaks[SIZES_MB[1]] - peaks[SIZES_MB[0]]
        said = ", ".join(f"{peak:.1f} MB after {size} MB" for size, peak in peaks.items())
        what, wanted = "peak memory of the transfer process, by the size of the film", f"{ALLOWED_MB} MB more"
        if not tell(what, said, wanted, is_held=grown <= ALLOWED_MB):
            raise SystemExit(1)


def make_film(path: Path, size: int) -> None:
    """A two-second film, padded to `size` bytes by a `free` box."""
    with av.open(str(path), "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for _ in range(48):
            frame = av.VideoFrame(320, 180, "yuv420p")
            for plane in frame.planes:  # else it shows what the memory held, which packs badly
                plane.update(bytes(plane.buffer_size))
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    padding = size - path.stat().st_size
    with path.open("ab") as file:
        file.write(padding.to_bytes(4, "big") + b"free")
        file.truncate(size)


def gateway(folder: Path) -> http.server.ThreadingHTTPServer:
    """GravitexAI in a dozen lines: the prompt names the film."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type, misc]

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer({"task_id": f"video_{body['prompt']}_{id(self)}", "status": "submitted"})

        def do_GET(self) -> None:
            if found := re.search(r"/generations/(video_(\d+)_\d+)$", self.path):
                url = f"http://{self.headers['Host']}/{found[2]}.mp4"
                self._answer({"task_id": found[1], "status": "succeeded", "url": url})
            else:
                super().do_GET()

        def _answer(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
