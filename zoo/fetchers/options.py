"""What a caller may ask of a fetch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from zoo.records import record
from zoo.transfer.settings import Settings

Progress = Callable[[int, int | None], None]


@record
class FetchOptions:
    """Times in seconds, speeds in bytes per second. The defaults suit a person at a terminal."""

    offline: bool = False
    progress: bool | Progress = False
    """True draws a bar on a terminal; a callable gets bytes so far and in all."""
    extra_sources: tuple[str, ...] = ()
    """Sources of the user, tried first; they may be private hosts and plain http."""
    timeout: float = 30.0
    """Longest silence of a connection."""
    connect_timeout: float = 10.0
    retries: int = 4
    deadline: float | None = None
    """Longest time for one file over all sources."""
    max_rate: float | None = None
    allow_private: bool = False
    lock_timeout: float = 600.0
    """How long to wait for another process that fetches the same file, before doing it too."""
    backoff: float = 0.5
    low_speed: float = 1024.0
    low_speed_time: float = 30.0
    connections: int = 8

    @property
    def is_offline(self) -> bool:
        """Whether no socket may be opened, by option or ``ZOO_OFFLINE``."""
        return self.offline or os.environ.get("ZOO_OFFLINE", "").lower() in {"1", "true", "yes", "on"}

    def settings(self) -> Settings:
        """The settings of the transfers of one file; its deadline starts now."""
        return Settings(
            connect_timeout=self.connect_timeout,
            read_timeout=self.timeout,
            deadline=None if self.deadline is None else time.monotonic() + self.deadline,
            attempts=self.retries + 1,
            backoff=self.backoff,
            low_speed=self.low_speed,
            low_speed_time=self.low_speed_time,
            max_rate=self.max_rate,
            allow_private=self.allow_private,
            connections=self.connections,
        )
