"""The engine under the fetchers: bytes of a URL into a file, checked while they come.

`download` streams, resumes, retries and diagnoses; `read_range` and `read_json` serve the fetchers
that look before they load. All obey the `Settings` in effect (`using`).
"""

from __future__ import annotations

from zoo.transfer.download import download
from zoo.transfer.opening import Request, read_bytes, read_json, read_range
from zoo.transfer.receipts import Received
from zoo.transfer.settings import Settings, current, using

__all__ = [
    "Received",
    "Request",
    "Settings",
    "current",
    "download",
    "read_bytes",
    "read_json",
    "read_range",
    "using",
]
