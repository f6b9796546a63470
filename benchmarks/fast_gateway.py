"""aivideoapi as it would be if it took no time: `python benchmarks/fast_gateway.py PORT FILM`.

It answers orders and questions at once, calls back as soon as it has answered, and serves the film, which the kernel
sends from its file. One process and hardly any work, so that what is measured is whoever asks.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from typing import BinaryIO
from urllib.parse import urlsplit

numbers = itertools.count(1)
callbacks: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
CALLERS = 8


def main() -> None:
    with open(sys.argv[2], "rb") as film:
        asyncio.run(serve(int(sys.argv[1]), film))


async def serve(port: int, film: BinaryIO) -> None:
    callers = [asyncio.create_task(call_back()) for _ in range(CALLERS)]
    server = await asyncio.start_server(lambda r, w: answer_all(r, w, port, film), "127.0.0.1", port)
    async with server:
        await server.serve_forever()
    await asyncio.gather(*callers)


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, film: BinaryIO) -> None:
    while head := await head_of(reader):
        words = head.split(None, 2)
        body = await reader.readexactly(length_of(head))
        if words[0] == b"POST":
            task, url = f"t-{next(numbers)}", json.loads(body).get("callback_url")
            answer(writer, json.dumps({"code": 200, "msg": "success", "data": {"taskId": task}}).encode())
            await writer.drain()
            if url:
                callbacks.put_nowait((url, finished(task, port)))
        elif words[1].startswith(b"/v1/tasks/"):
            answer(writer, finished(words[1].rpartition(b"/")[2].decode(), port))
        else:
            writer.write(head_of_answer(os.fstat(film.fileno()).st_size, b"video/mp4"))
            await asyncio.get_running_loop().sendfile(writer.transport, film)
    writer.close()


def finished(task: str, port: int) -> bytes:
    output = {"urls": [f"http://127.0.0.1:{port}/film.mp4"]}
    return json.dumps({"id": task, "status": "completed", "output": output}).encode()


def answer(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(head_of_answer(len(body), b"application/json") + body)


def head_of_answer(length: int, kind: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, length)


async def call_back() -> None:
    """One caller: it keeps a connection to each receiver, and takes a new one where that has ended."""
    kept: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
    while True:
        url, body = await callbacks.get()
        there = urlsplit(url)
        head = f"POST {there.path} HTTP/1.1\r\nHost: {there.netloc}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        answered = b""
        while not answered:
            if there.netloc not in kept:
                kept[there.netloc] = await asyncio.open_connection(there.hostname, there.port)
            reader, writer = kept[there.netloc]
            writer.write(request)
            answered = await head_of(reader)
            if answered:
                await reader.readexactly(length_of(answered))
            else:
                del kept[there.netloc]
        if not answered.split(None, 2)[1].startswith(b"2"):
            raise SystemExit(f"a callback was answered {answered.splitlines()[0].decode()}")


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """A message's head; empty where the other side has hung up."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def length_of(head: bytes) -> int:
    found = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(found[0]) if found else 0


if __name__ == "__main__":
    main()
