"""An HTTP server on raw sockets, which can be as wrong as servers are.

A test gives it a script: a function of one `Exchange` that sends whatever bytes it likes. `serve` is
the right behaviour, ranges and all; `first` combines a fault with what follows it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Script = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request, and the socket to answer it on."""

    sock: socket.socket
    method: str
    path: str
    headers: dict[str, str]
    number: int
    """0 for the first request that the server got."""
    body: bytes = b""
    keep: bool = False

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.sock.sendall(data)

    def head(self, status: int, *headers: str, reason: str = "Status") -> None:
        """Send a status line and header lines."""
        lines = [f"HTTP/1.1 {status} {reason}", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def respond(self, status: int, body: bytes = b"", *headers: str) -> None:
        """Send a whole, correct answer."""
        self.head(status, f"Content-Length: {len(body)}", *headers)
        self.send(body)
        self.keep = True

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def range(self) -> tuple[int, int | None] | None:
        """Start and inclusive end of the Range header."""
        text = self.headers.get("range", "")
        if not text.startswith("bytes="):
            return None
        start, _, end = text.removeprefix("bytes=").partition("-")
        return int(start), int(end) if end else None


@dataclass
class FaultyServer:
    """Answers every request with `script`, in a thread for each connection."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Exchange] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.stopped = threading.Event()

    def url(self, path: str = "/model.onnx", host: str = "127.0.0.1") -> str:
        """The address of `path` on this server."""
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def header(self, name: str) -> list[str | None]:
        """The values of a header over all requests, in order."""
        return [exchange.headers.get(name.lower()) for exchange in self.requests]

    def __enter__(self) -> FaultyServer:
        self._spawn(self._accept)
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._spawn(self._converse, sock)

    def _converse(self, sock: socket.socket) -> None:
        sock.settimeout(20)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(sock.close)
            if self.tls is not None:
                sock = stack.enter_context(self.tls.wrap_socket(sock, server_side=True))
            self._open.add(sock)
            stack.callback(self._open.discard, sock)
            stack.callback(_drain, sock)
            while (exchange := self._read(sock)) is not None:
                self.script(exchange)
                if not exchange.keep:
                    return

    def _read(self, sock: socket.socket) -> Exchange | None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        while len(body) < int(headers.get("content-length", 0)):
            body += sock.recv(65536)
        with self._lock:
            exchange = Exchange(sock, method, path, headers, len(self.requests), body)
            self.requests.append(exchange)
        return exchange


def _drain(sock: socket.socket) -> None:
    """Close as servers do: unread input would turn the FIN into a RST."""
    with contextlib.suppress(OSError, ValueError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(0.2)
        while sock.recv(65536):
            pass


def serve(data: bytes, *headers: str, etag: str | None = '"v1"', ranges: bool = True) -> Script:
    """The right behaviour: 200, or 206 and 416 for ranges, If-Range honoured."""

    def script(exchange: Exchange) -> None:
        extra = [
            *headers,
            *([f"ETag: {etag}"] if etag else []),
            *(["Accept-Ranges: bytes"] if ranges else []),
        ]
        asked = exchange.range() if ranges else None
        condition = exchange.headers.get("if-range")
        if asked is None or (condition is not None and condition != etag):
            exchange.respond(200, data, *extra)
        elif asked[0] >= len(data):
            exchange.respond(416, b"", f"Content-Range: bytes */{len(data)}")
        else:
            _send_range(exchange, data, asked, extra)

    return script


def _send_range(exchange: Exchange, data: bytes, asked: tuple[int, int | None], extra: list[str]) -> None:
    start, end = asked
    part = data[start : None if end is None else end + 1]
    exchange.respond(206, part, f"Content-Range: bytes {start}-{start + len(part) - 1}/{len(data)}", *extra)


def throttled(data: bytes, rate: float, etag: str | None = '"v1"') -> Script:
    """The right behaviour with ranges, at so many bytes per second for each request."""

    def script(exchange: Exchange) -> None:
        start, end = exchange.range() or (0, None)
        part = memoryview(data)[start : None if end is None else end + 1]
        lines = [f"Content-Length: {len(part)}", f"ETag: {etag}", "Accept-Ranges: bytes"]
        if exchange.range():
            lines.append(f"Content-Range: bytes {start}-{start + len(part) - 1}/{len(data)}")
        exchange.head(206 if exchange.range() else 200, *lines)
        began = time.monotonic()
        for at in range(0, len(part), 65536):
            exchange.send(part[at : at + 65536])
            time.sleep(max(0.0, began + at / rate - time.monotonic()))
        exchange.keep = True

    return script


def first(*faults: Script, then: Script) -> Script:
    """One fault for each of the first requests, and `then` for all others."""

    def script(exchange: Exchange) -> None:
        (faults[exchange.number] if exchange.number < len(faults) else then)(exchange)

    return script


def cut(data: bytes, at: int, *headers: str, etag: str | None = '"v1"', reset: bool = False) -> Script:
    """Announce all of `data` and end after `at` bytes."""

    def script(exchange: Exchange) -> None:
        exchange.head(200, f"Content-Length: {len(data)}", *([f"ETag: {etag}"] if etag else []), *headers)
        exchange.send(data[:at])
        if reset:
            time.sleep(0.1)  # a RST discards what the peer has not read yet
            exchange.reset()

    return script


def status(code: int, body: bytes = b"", *headers: str) -> Script:
    """An answer with a status and nothing else of interest."""
    return lambda exchange: exchange.respond(code, body, *headers)


def redirect(target: str, code: int = 302) -> Script:
    """Send the client to `target`."""
    return lambda exchange: exchange.respond(code, b"", f"Location: {target}")


def stall(seconds: float, before: Script | None = None) -> Script:
    """Send nothing for a while, perhaps after something else."""

    def script(exchange: Exchange) -> None:
        if before is not None:
            before(exchange)
        exchange.keep = False
        # Ends early when the client hangs up.
        exchange.sock.settimeout(seconds)
        with contextlib.suppress(OSError):
            exchange.sock.recv(1)

    return script


def trickle(data: bytes, chunk: int, pause: float) -> Script:
    """Send `data` in small pieces."""

    def script(exchange: Exchange) -> None:
        exchange.head(200, f"Content-Length: {len(data)}")
        for at in range(0, len(data), chunk):
            exchange.send(data[at : at + chunk])
            time.sleep(pause)

    return script


def endless(block: bytes, *headers: str) -> Script:
    """A body without an end."""

    def script(exchange: Exchange) -> None:
        exchange.head(200, *headers)
        while True:
            exchange.send(block)

    return script


def chunked(data: bytes, size: int = 4096, *, whole: bool = True) -> Script:
    """Chunked transfer coding; not `whole` leaves out the last chunk and the terminator."""

    def script(exchange: Exchange) -> None:
        exchange.head(200, "Transfer-Encoding: chunked", 'ETag: "v1"')
        end = len(data) if whole else len(data) // 2
        for at in range(0, end, size):
            piece = data[at : min(at + size, end)]
            exchange.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if whole:
            exchange.send(b"0\r\n\r\n")
            exchange.keep = True

    return script


@contextlib.contextmanager
def dead_port() -> Iterator[int]:
    """A port that refuses connections for as long as the block runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]
