"""The content-addressed store: blobs by sha256, atomic, verified, shared by processes."""

from __future__ import annotations

from zoo.store.incoming import Blob, Incoming
from zoo.store.store import Store

__all__ = ["Blob", "Incoming", "Store"]
