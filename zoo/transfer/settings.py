"""How patient and how careful a transfer is. Settings in effect are a context, not an argument.

A fetcher, built-in or a third party's, calls `zoo.transfer.download` and has the user's timeouts,
limits and permissions without passing them through its own signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

from zoo.records import record


@record
class Settings:
    """Times in seconds, speeds in bytes per second, sizes in bytes."""

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    deadline: float | None = None
    """A `time.monotonic()` value after which nothing more is tried."""
    attempts: int = 5
    """Tries of one source that bring no progress."""
    backoff: float = 0.5
    longest_wait: float = 120.0
    """Cap of `Retry-After`; a server that asks for more has failed."""
    low_speed: float = 1024.0
    low_speed_time: float = 30.0
    max_rate: float | None = None
    largest: int = 64 * 2**30
    """Ceiling for a file of unknown size."""
    allow_private: bool = False
    trusted_hosts: frozenset[str] = frozenset()
    """Hosts that the user named: they may be private and may speak plain HTTP."""
    private_hosts: frozenset[str] = frozenset()
    """Hosts that the registry says may be private; where they redirect to may not."""
    verify: str | None = None
    """A certificate bundle; None leaves it to the environment and certifi."""
    proxies: tuple[tuple[str, str], ...] = ()
    alternatives: bool = False
    """Whether other sources are left, so that a dead one need not be tried again."""
    connections: int = 8
    """Connections to one file when a single one is slow; 1 turns parallel ranges off."""
    slow_connection: float = 40e6
    """A connection below this speed gets company."""

    def trusts(self, url: str) -> bool:
        """Whether the user or the registry allowed private addresses for the host of `url`."""
        return self.allow_private or (urlsplit(url).hostname or "") in self.trusted_hosts | self.private_hosts


_DEFAULT = Settings()
_current: ContextVar[Settings | None] = ContextVar("zoo.transfer.settings", default=None)


def current() -> Settings:
    """The settings in effect here."""
    return _current.get() or _DEFAULT


@contextmanager
def using(settings: Settings) -> Iterator[Settings]:
    """Put `settings` into effect for the calls inside."""
    token = _current.set(settings)
    try:
        yield settings
    finally:
        _current.reset(token)
