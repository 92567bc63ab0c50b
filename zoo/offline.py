"""Whether the network may be used."""

from __future__ import annotations

import os


def offline_wanted(asked: bool | None) -> bool:
    """`asked` when it was said, else whether ``ZOO_OFFLINE`` is set to anything but 0, false or no."""
    if asked is not None:
        return asked
    return os.environ.get("ZOO_OFFLINE", "").strip().lower() not in {"", "0", "false", "no"}
