"""Bytes of a file from its ordered sources: one module for each scheme, and `fetch` over them."""

from __future__ import annotations

from zoo.fetchers.many import fetch_many
from zoo.fetchers.options import FetchOptions
from zoo.fetchers.sources import fetch

__all__ = ["FetchOptions", "fetch", "fetch_many"]
