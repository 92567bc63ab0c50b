"""Which hosts failed a moment ago: their sources go last, and are still tried. Which asked for patience."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

FORGET_AFTER = 300.0
"""Seconds after which a failed host counts as healthy again."""

_failed: dict[str, float] = {}
_busy: dict[str, float] = {}
"""Place → when it may be asked again (`time.monotonic`)."""


def place(source: str) -> str:
    """What fails together: the host of an address, else the scheme."""
    parts = urlsplit(source)
    return parts.netloc.rpartition("@")[2].lower() or parts.scheme


def note_failure(source: str) -> None:
    """Remember that the host of `source` did not answer, or too slowly."""
    _failed[place(source)] = time.monotonic()


def note_success(source: str) -> None:
    """Forget the failures of the host of `source`."""
    _failed.pop(place(source), None)


def healthy_first(sources: tuple[str, ...]) -> list[str]:
    """`sources` in their order, those of hosts that failed lately behind the others."""
    return sorted(sources, key=_is_ill)


def _is_ill(source: str) -> bool:
    failed = _failed.get(place(source))
    return failed is not None and time.monotonic() - failed < FORGET_AFTER


def note_busy(source: str, seconds: float) -> None:
    """The host of `source` asked not to be asked again for so many seconds."""
    key = place(source)
    _busy[key] = max(_busy.get(key, 0.0), time.monotonic() + seconds)


def wait(source: str, deadline: float | None) -> None:
    """Wait as long as the host of `source` asked for, at most until `deadline`."""
    due = _busy.get(place(source), 0.0)
    pause = min(due, deadline or due) - time.monotonic()
    if pause > 0:
        time.sleep(pause)
