"""Ends connections whose time is over: one thread for all of them, as a timer each would cost more."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator

TICK = 0.25
"""Seconds between looks."""

_limits: dict[int, tuple[float, socket.socket]] = {}
_keys = itertools.count()
_some = threading.Event()
_starting = threading.Lock()
_thread: threading.Thread | None = None


@contextlib.contextmanager
def limited(sock: socket.socket, seconds: float) -> Iterator[None]:
    """Shut `sock` if the block takes longer than `seconds`."""
    _start()
    key = next(_keys)
    _limits[key] = time.monotonic() + seconds, sock
    _some.set()
    try:
        yield
    finally:
        _limits.pop(key, None)


def shut(sock: socket.socket | None) -> None:
    """End a connection under whoever waits for it."""
    if sock is not None:
        with contextlib.suppress(OSError):  # it may be closed by now
            sock.shutdown(socket.SHUT_RDWR)


def _start() -> None:
    global _thread  # a forked child has no thread and starts its own
    if _thread is None or not _thread.is_alive():
        with _starting:
            if _thread is None or not _thread.is_alive():
                _thread = threading.Thread(target=_watch, name="zoo-watchdog", daemon=True)
                _thread.start()


def _watch() -> None:
    while True:
        _some.wait()
        time.sleep(TICK)
        now = time.monotonic()
        for key, (until, sock) in list(_limits.items()):
            if now > until:
                _limits.pop(key, None)
                shut(sock)
        if not _limits:
            _some.clear()
            if _limits:  # one came between the look and the clearing
                _some.set()
