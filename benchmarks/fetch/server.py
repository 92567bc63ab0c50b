"""A local HTTP server for measurements: sendfile at full speed, or a delay and a rate per connection.

``python -m benchmarks.fetch.server FOLDER [--rate BYTES_PER_SECOND] [--delay SECONDS]`` prints its
port and serves until it is killed. It runs in a process of its own, so that it does not share the
interpreter lock with a client under measurement.
"""

from __future__ import annotations

import argparse
import os
import socket
import threading
import time
from pathlib import Path

BLOCK = 2**20


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=_converse, args=(sock, options), daemon=True).start()


def _converse(sock: socket.socket, options: argparse.Namespace) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with sock:
        while (head := _head(sock)) is not None:
            if options.delay:
                time.sleep(options.delay)
            try:
                _answer(sock, head, options)
            except (BrokenPipeError, ConnectionResetError):  # the client had enough
                return


def _head(sock: socket.socket) -> str | None:
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            return None
        if not more:
            return None
        data += more
    return data.decode("latin-1")


def _answer(sock: socket.socket, head: str, options: argparse.Namespace) -> None:
    method, path, _ = head.split(" ", 2)
    # The hub's addresses end in the file's name, too.
    with (options.folder / path.rpartition("/")[2].partition("?")[0]).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if f"if-none-match: {_etag(path, size)}".lower() in head.lower():
            sock.sendall(f"HTTP/1.1 304 Not Modified\r\nETag: {_etag(path, size)}\r\n\r\n".encode())
            return
        start, stop = _range(head, size)
        sock.sendall(_lines(path, start, stop, size, ranged="bytes=" in head))
        if method != "HEAD":
            _send(sock, file.fileno(), (start, stop), options.rate)


def _range(head: str, size: int) -> tuple[int, int]:
    _, found, rest = head.lower().partition("range: bytes=")
    if not found:
        return 0, size
    first, _, last = rest.split("\r\n", 1)[0].partition("-")
    return int(first), min(size, int(last) + 1) if last else size


def _lines(path: str, start: int, stop: int, size: int, *, ranged: bool) -> bytes:
    status = "206 Partial Content" if ranged else "200 OK"
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {stop - start}",
        "Accept-Ranges: bytes",
        f"ETag: {_etag(path, size)}",
        f"X-Repo-Commit: {'0' * 40}",
        *([f"Content-Range: bytes {start}-{stop - 1}/{size}"] if ranged else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _etag(path: str, size: int) -> str:
    return f'"{path.rpartition("/")[2]}-{size}"'


def _send(sock: socket.socket, source: int, span: tuple[int, int], rate: float | None) -> None:
    at, stop = span
    began, sent = time.monotonic(), 0
    block = BLOCK if rate is None else max(16_384, int(rate / 50))
    while at < stop:
        count = os.sendfile(sock.fileno(), source, at, min(block, stop - at))
        at += count
        sent += count
        if rate is not None:
            ahead = began + sent / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)


if __name__ == "__main__":
    main()
