"""Worker processes that are kept for the next job: what they imported, they need not import again.

Inside ``with warm.workers():`` every job of `zoo.dispatch` is done by a child of such a process. Outside,
and where `zoo.sandbox.forkable` says no, each job starts a process of its own.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from zoo import sandbox
from zoo.jail.forking import ForkServer
from zoo.records import record


@record
class Kind:
    """What a worker must be: its interpreter, what it has imported, and its environment variables."""

    python: Path
    modules: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


class Workers:
    """Idle workers by kind, for all threads: each takes one for a job and gives it back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """For what workers share, such as links to code; it goes when they do."""
        self._idle: dict[Kind, list[ForkServer]] = {}
        self._lock = threading.Lock()

    def prepare(self, kind: Kind) -> None:
        """Have a worker of this kind import its modules, now and in the background."""
        with self._lock:
            if not self._idle.get(kind):
                self._idle.setdefault(kind, []).append(_started(kind))

    @contextmanager
    def borrowed(self, kind: Kind) -> Iterator[ForkServer]:
        """An idle worker, or a new one. One whose job ended with an error of ours is not used again."""
        with self._lock:
            idle = self._idle.setdefault(kind, [])
            server = idle.pop() if idle else None
        if server is not None and not server.alive:
            server.close()
            server = None
        server = server or _started(kind)
        try:
            yield server
        except BaseException:
            server.close()
            raise
        with self._lock:
            idle.append(server)

    def close(self) -> None:
        """End all idle workers."""
        with self._lock:
            for server in [server for idle in self._idle.values() for server in idle]:
                server.close()
            self._idle.clear()


_current: ContextVar[Workers | None] = ContextVar("zoo.warm.workers", default=None)


def current() -> Workers | None:
    """The workers in effect here, None outside of `workers`."""
    return _current.get()


@contextmanager
def workers() -> Iterator[Workers | None]:
    """Keep the worker processes of all jobs inside; those of an outer `workers`, where there is one."""
    outer = current()
    if outer is not None or not sandbox.forkable():
        yield outer
        return
    with tempfile.TemporaryDirectory(prefix="zoo-workers-") as folder:
        kept = Workers(Path(folder).resolve())
        token = _current.set(kept)
        try:
            yield kept
        finally:
            _current.reset(token)
            kept.close()


def _started(kind: Kind) -> ForkServer:
    return sandbox.serve(kind.python, kind.modules, dict(kind.variables))
