"""The content-addressed store: blobs by sha256, atomic, verified, shared by processes."""

from __future__ import annotations

from zoo.store.batch import Batch
from zoo.store.environments import StoredEnvironment
from zoo.store.incoming import Blob, Incoming
from zoo.store.prune import Pruned, Removed
from zoo.store.quarantine import Quarantined
from zoo.store.references import Leftover
from zoo.store.store import Store
from zoo.store.upkeep import Contents, Damage, Repair, StoredBlob, StoredModel, Verification

__all__ = [
    "Batch",
    "Blob",
    "Contents",
    "Damage",
    "Incoming",
    "Leftover",
    "Pruned",
    "Quarantined",
    "Removed",
    "Repair",
    "Store",
    "StoredBlob",
    "StoredEnvironment",
    "StoredModel",
    "Verification",
]
