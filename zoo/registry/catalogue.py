"""The registry as its users see it: find, list and search entries."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from zoo.errors import RegistryError, UnknownModelError
from zoo.records import ModelRef, RegistryEntry
from zoo.registry.index import Index, build, fingerprint, index_path, read_index, write_index

_loaded: dict[Path, tuple[list[object], Registry]] = {}


class Registry:
    """The models of one registry file. There is no fallback from one registry to another."""

    def __init__(self, path: Path, index: Index) -> None:
        self.path = path
        self._index = index
        self._entries: dict[str, RegistryEntry] = {}

    @property
    def aliases(self) -> dict[str, str]:
        """Every alias and the reference that it stands for."""
        return dict(self._index.aliases)

    def find(self, ref: ModelRef | str) -> RegistryEntry:
        """The entry of a reference ``name[:variant][@revision]`` or alias.

        A revision is the version in the entry's provenance, or at least eight digits of the main
        file's sha256. Raises `UnknownModelError`, which names the closest names.
        """
        wanted = ModelRef.parse(ref) if isinstance(ref, str) else ref
        text = self._resolve(wanted)
        if text not in self._index.refs:
            raise self._unknown(wanted)
        entry = self._entry(text)
        if wanted.revision is not None:
            _check_revision(entry, wanted)
        return entry

    def entries(self) -> tuple[RegistryEntry, ...]:
        """All entries in the order of the file, the variants of a model after its default."""
        return tuple(self._entry(ref) for ref in self._index.listed)

    def search(self, text: str) -> tuple[RegistryEntry, ...]:
        """The entries that hold every word of `text` in name, task or description, names first."""
        words = text.casefold().split()
        found = [entry for entry in self.entries() if _holds(entry, words)]
        return tuple(sorted(found, key=lambda entry: not all(word in str(entry.ref) for word in words)))

    def _resolve(self, wanted: ModelRef) -> str:
        name = self._index.aliases.get(wanted.name, wanted.name)
        return f"{name}:{wanted.variant}" if wanted.variant else name

    def _entry(self, ref: str) -> RegistryEntry:
        if ref not in self._entries:
            self._entries[ref] = self._index.entry(ref)
        return self._entries[ref]

    def _unknown(self, wanted: ModelRef) -> UnknownModelError:
        name = self._index.aliases.get(wanted.name, wanted.name)
        if name in self._index.refs:
            return _unknown_variant(name, wanted, self._index.refs)
        return _unknown_name(wanted.name, [*self._index.listed, *self._index.aliases])


def load(path: Path | str | None = None, *, cache: Path | None = None) -> Registry:
    """The registry at `path`, else at ``ZOO_REGISTRY``, else the one that comes with `zoo`.

    A compiled index is kept in `cache` (else ``ZOO_CACHE``, else the user's cache folder). Raises
    `RegistryError` when there is no such file and `RegistryFormatError` when it is not valid.
    """
    place = registry_path(path)
    mark = _mark(place)
    known = _loaded.get(place)
    if known is None or known[0] != mark:
        known = (mark, Registry(place, _index(place, mark, cache)))
        _loaded[place] = known
    return known[1]


def registry_path(path: Path | str | None = None) -> Path:
    """`path`, else ``ZOO_REGISTRY``, else the registry that comes with `zoo`."""
    chosen = path or os.environ.get("ZOO_REGISTRY")
    if chosen:
        return Path(chosen).expanduser().resolve()
    package = Path(__file__).resolve().parents[1]
    packaged = package / "registry.yaml"
    return packaged if packaged.exists() else package.parent / "registry.yaml"


def _mark(place: Path) -> list[object]:
    try:
        return fingerprint(place)
    except OSError as error:
        raise RegistryError(
            f"cannot read the registry {str(place)!r}: {error.strerror or error}",
            hint="--registry PATH and ZOO_REGISTRY name another file.",
        ) from error


def _index(place: Path, mark: list[object], cache: Path | None) -> Index:
    where = index_path(place, cache or _cache_folder())
    index = read_index(where, mark)
    if index is None:
        # The YAML reader and the schema library cost more than a warm pull may.
        from zoo.registry.reading import compile_file

        index = build(*compile_file(place))
        write_index(index, where, mark)
    return index


def _cache_folder() -> Path:
    if chosen := os.environ.get("ZOO_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("zoo")


# --- what to say when there is no such model ------------------------------------------------------


def _holds(entry: RegistryEntry, words: list[str]) -> bool:
    text = " ".join([str(entry.ref), *entry.aliases, entry.task, entry.description]).casefold()
    return all(word in text for word in words)


def _check_revision(entry: RegistryEntry, wanted: ModelRef) -> None:
    revision = wanted.revision or ""
    version = entry.provenance.get("version")
    digest = entry.files[0].sha256 or ""
    if revision == version or (len(revision) >= 8 and digest.startswith(revision.lower())):
        return
    known = [f"{entry.ref}@{text}" for text in (version, digest[:12]) if text]
    raise UnknownModelError(
        f"{entry.ref} has no revision {revision!r} in this registry", hint=f"It pins {' = '.join(known)}"
    )


def _unknown_variant(name: str, wanted: ModelRef, refs: Iterable[str]) -> UnknownModelError:
    prefix = f"{name}:"
    variants = [ref.removeprefix(prefix) for ref in refs if ref.startswith(prefix)]
    hint = f"Its variants are {', '.join(variants)}" if variants else f"It has no variants: use {name!r}"
    return UnknownModelError(f"{wanted.name} has no variant {wanted.variant!r}", hint=hint)


def _unknown_name(name: str, known: list[str]) -> UnknownModelError:
    import difflib

    from zoo.registry.rules import look_alike

    lower = name.casefold()
    near = [other for other in known if other == lower or look_alike(other, lower)]
    close = difflib.get_close_matches(lower, known, n=3, cutoff=0.6)
    parts = [other for other in known if len(lower) > 2 and lower in other]
    names = list(dict.fromkeys([*near, *close, *parts]))[:3]
    message = f"{name!r} is not in the registry"
    if near:
        message += f", though {near[0]!r} is: the two are easily mistaken for each other"
    return UnknownModelError(message, hint=_where_next(name, names))


def _where_next(name: str, names: list[str]) -> str:
    if Path(name).is_file() or ("/" in name and Path(name).exists()):
        return f"{name!r} is a file here: `zoo convert {name}` converts it."
    if not names:
        return "`zoo list` shows all models, `zoo search WORD` finds one."
    return f"Did you mean {' or '.join(map(repr, names))}? `zoo list` shows all models."
