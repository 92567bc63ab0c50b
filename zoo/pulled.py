"""What pulls leave in the store: a proven model is taken from there as long as what made it is the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from zoo import artifacts, plugins, wire
from zoo.records import Detection, RegistryEntry, VerifiedModel
from zoo.settings import Settings
from zoo.store import Store

KIND = "pulls"


def usable(entry: RegistryEntry, store: Store, settings: Settings) -> VerifiedModel | None:
    """What can be used of an earlier pull; offline also what a converter of another revision wrote."""
    kept = None if settings.refresh else recalled(entry, store)
    if kept is None or settings.offline or kept.revision == revision(kept.detection):
        return kept
    return None


def revision(detection: Detection | None) -> int | None:
    """That of the converter of a source; None where the source is ONNX, which nothing converts."""
    if detection is None or detection.framework == "onnx":
        return None
    return plugins.converter(detection.framework).revision


def recalled(entry: RegistryEntry, store: Store) -> VerifiedModel | None:
    """What an earlier pull of the same entry left in the store, if it is all still there and fits."""
    value = store.recall(KIND, key(entry))
    if not isinstance(value, dict) or any(store.find(digest) is None for digest in value["files"].values()):
        return None
    pinned = {file.path: file.sha256 for file in entry.files}
    if entry.kind == "zoo" and None not in pinned.values() and not pinned.items() <= value["files"].items():
        return None  # an imported record may say anything; the registry's digests decide
    try:
        verified: VerifiedModel = wire.from_json(VerifiedModel, value["verified"])
    except (TypeError, ValueError, KeyError, AttributeError):
        return None  # written by another version: as good as absent
    folder = store.materialise(value["files"], entry.name)
    model = replace(verified.model, path=folder / value["main"])
    return replace(verified, model=model, entry=entry)


def files_of(entry: RegistryEntry, store: Store) -> dict[str, str]:
    """{relative path: sha256} of the ONNX model that a pull of `entry` left, main file first.

    Without its certificate, which holds the time and so differs from pull to pull.
    """
    value = store.recall(KIND, key(entry))
    assert isinstance(value, dict)
    main = Path(value["main"])
    files = {
        path: digest
        for path, digest in value["files"].items()
        if path != str(artifacts.certificate_beside(main))
    }
    return {str(main): files[str(main)], **files}


def key(entry: RegistryEntry) -> str:
    """The digest of what determines a pull: the source's bytes, how they are converted and judged."""
    sources = [(file.path, file.sha256 or file.sources) for file in entry.files]
    parts = wire.to_json([sources, entry.conversion, entry.tolerance, entry.verification])
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def keep(entry: RegistryEntry, store: Store, verified: VerifiedModel, files: dict[str, str]) -> VerifiedModel:
    """`verified`, with its `files` by name, as the next pull of `entry` will find it."""
    folder = store.materialise(files, entry.name)
    main = entry.files[0].path if verified.model.path.name not in files else verified.model.path.name
    portable = replace(verified, model=replace(verified.model, path=Path(main)))
    verified = replace(verified, model=replace(verified.model, path=folder / main))
    value = {
        "ref": str(entry.ref),
        "files": files,
        "main": main,
        "entry": wire.to_json(entry),
        "verified": wire.to_json(portable),
    }
    if verified.report is not None and verified.report.passed:  # an unproven model is never recalled
        store.remember(KIND, key(entry), value)
    return replace(verified, entry=entry)
