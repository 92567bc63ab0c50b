"""From what a user types to the entry that is meant."""

from __future__ import annotations

from dataclasses import replace

from zoo import pipeline
from zoo.errors import DigestMismatchError, UsageError
from zoo.records import RegistryEntry, VerificationReport, VerifiedModel
from zoo.registry import entry_from_source, is_source, load, refuse_unknown_scheme
from zoo.settings import Settings
from zoo.store import Store


def entry_for(ref: str, settings: Settings, sha256: str | None = None) -> RegistryEntry:
    """The registry's entry, or one made from a source string with its pinned or remembered digest."""
    if not is_source(ref):
        if sha256 is not None:
            raise UsageError(
                f"{ref!r} is a name of the registry, which pins its own digests",
                hint="--sha256 goes with a source string such as hf:org/repo@revision/model.onnx.",
            )
        refuse_unknown_scheme(ref)
        return load(settings.registry, cache=settings.cache).find(ref)
    seen = Store.open(settings.cache).recall("trusted", _source_key(ref))
    remembered = seen["sha256"] if isinstance(seen, dict) else None
    if sha256 and remembered and sha256.lower() != remembered:
        raise DigestMismatchError(
            f"{ref} had sha256 {remembered} when it was first pulled; now {sha256.lower()} is asked for",
            hint="If the publisher changed the file, pull another revision or empty the cache of it.",
        )
    return replace(entry_from_source(ref, sha256 or remembered), trust="source")


def trust_on_first_use(entry: RegistryEntry, verified: VerifiedModel, settings: Settings) -> None:
    """Remember the digest of a source that came without one, to hold it to it from now on."""
    file = entry.files[0]
    if file.sha256 is None and verified.source_digest is not None:
        value = {"source": file.sources[0], "sha256": verified.source_digest}
        Store.open(settings.cache).remember("trusted", _source_key(file.sources[0]), value)


def reproven(ref: str, settings: Settings) -> VerificationReport:
    """Prove an entry of the registry anew, and report also when it fails."""
    entry = entry_for(ref, settings)
    verified = pipeline.pull(entry, replace(settings, refresh=True, keep_unverified=True))
    assert verified.report is not None
    return verified.report


def _source_key(source: str) -> str:
    import hashlib

    return hashlib.sha256(source.encode()).hexdigest()
