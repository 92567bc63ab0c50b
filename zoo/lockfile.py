"""``zoo.lock``: the exact models a project uses, so that no other can take their place.

TOML, as the lock files of Python's package managers are: line by line comparable, and read by the
standard library. It pins what is fetched (the digests of the sources) and what is loaded (the
digests of the ONNX files). Converters such as tf2onnx do not give the same bytes twice, so a
converted model is the locked one when either its bytes or its canonical graph digest are.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import DigestMismatchError, RegistryFormatError, UnknownModelError
from zoo.records import ModelRef, OnnxModel, RegistryEntry, record
from zoo.store.disk import storing, write_atomically
from zoo.store.layout import checked_path, is_digest

LOCK_NAME = "zoo.lock"
VERSION = 1


@record
class LockedModel:
    """One locked model.

    `ref` is ``name`` or ``name:variant``. `sources` is what is fetched and `files` the ONNX model
    (main file first, then external data), both as {relative path: sha256}. `graph_digest` is
    canonical and set where it was known.
    """

    ref: str
    kind: str
    sources: dict[str, str]
    files: dict[str, str]
    graph_digest: str | None = None


@record
class LockFile:
    """A lock file as read from `path`."""

    path: Path
    models: tuple[LockedModel, ...]

    def find(self, ref: ModelRef | str) -> LockedModel:
        """The locked model of a reference; raises `UnknownModelError` for one that is not locked."""
        for model in self.models:
            if model.ref == str(ref):
                return model
        raise UnknownModelError(
            f"{str(ref)!r} is not locked in {self.path}", hint=f"`zoo lock {ref}` adds it to the lock file."
        )


def locked_model(entry: RegistryEntry, model: OnnxModel, files: Mapping[str, str]) -> LockedModel:
    """Lock what a pull of `entry` gave: `files` is {relative path: sha256} of the ONNX model."""
    main = [path for path, digest in files.items() if digest == model.digest]
    ordered = {path: files[path] for path in (*main, *sorted(set(files) - set(main)))}
    sources = {file.path: file.sha256 for file in entry.files if file.sha256 is not None}
    return LockedModel(str(entry.ref), entry.kind, sources, ordered, model.graph_digest)


# --- check ----------------------------------------------------------------------------------------


def check_entry(lock: LockFile, entry: RegistryEntry) -> LockedModel:
    """Refuse an entry whose sources are not the locked ones, before anything is fetched.

    Raises `DigestMismatchError` naming the file, or `UnknownModelError`.
    """
    locked = lock.find(entry.ref)
    wanted = {file.path: file.sha256 for file in entry.files}
    for path in {**locked.sources, **wanted}:
        if locked.sources.get(path) != wanted.get(path):
            raise _other(lock, locked, path, wanted.get(path), locked.sources.get(path))
    return locked


def check_model(lock: LockFile, ref: ModelRef | str, model: OnnxModel, files: Mapping[str, str]) -> None:
    """Refuse an ONNX model that is not the locked one. Raises `DigestMismatchError`."""
    locked = lock.find(ref)
    if dict(files) == locked.files:
        return
    same_graph = model.graph_digest is not None and model.graph_digest == locked.graph_digest
    if locked.kind == "converted" and same_graph:
        return
    for path in {**locked.files, **files}:
        if locked.files.get(path) != files.get(path):
            raise _other(lock, locked, path, files.get(path), locked.files.get(path))


def _other(
    lock: LockFile, locked: LockedModel, path: str, actual: str | None, expected: str | None
) -> DigestMismatchError:
    return DigestMismatchError(
        f"{locked.ref} is not the model locked in {lock.path}: {path} is {actual or 'absent'},"
        f" locked is {expected or 'no such file'}",
        hint=f"If the change is wanted: `zoo lock {locked.ref}` locks the new model.",
    )


# --- write ----------------------------------------------------------------------------------------


def write_lock(path: Path, models: Iterable[LockedModel]) -> LockFile:
    """Replace the lock file, sorted by reference: the same models give the same bytes."""
    unique = {model.ref: model for model in models}
    ordered = tuple(unique[ref] for ref in sorted(unique))
    head = f"# Written by `zoo lock`; not meant for editing.\nversion = {VERSION}\n"
    text = "\n".join([head, *(_model_text(model) for model in ordered)])
    with storing(path):
        write_atomically(path.absolute(), text.encode())
    return LockFile(path, ordered)


def _model_text(model: LockedModel) -> str:
    lines = ["[[model]]", f"ref = {_quoted(model.ref)}", f"kind = {_quoted(model.kind)}"]
    if model.graph_digest is not None:
        lines.append(f"graph_digest = {_quoted(model.graph_digest)}")
    for name, files in (("sources", model.sources), ("files", model.files)):
        lines += [f"{name} = [", *(f"    {_file_text(*item)}," for item in files.items()), "]"]
    return "\n".join(lines) + "\n"


def _file_text(path: str, digest: str) -> str:
    return f"{{ path = {_quoted(path)}, sha256 = {_quoted(digest)} }}"


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's is one but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- read -----------------------------------------------------------------------------------------


def read_lock(path: Path) -> LockFile:
    """Read a lock file. Raises `RegistryFormatError` naming file and line, or file and key path."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _malformed(path, f"cannot be read: {error.strerror}", hint="`zoo lock` writes it.") from error
    except ValueError as error:
        raise _malformed(path, str(error)) from error
    if body.get("version") != VERSION:
        raise _malformed(path, f"version is {body.get('version')!r}, this zoo reads {VERSION}")
    tables = body.get("model", [])
    if not isinstance(tables, list):
        raise _malformed(path, "model is not an array of tables")
    models = tuple(_model(path, f"model[{n}]", table) for n, table in enumerate(tables))
    if len({model.ref for model in models}) != len(models):
        raise _malformed(path, "a model is locked twice")
    return LockFile(path, models)


def _model(path: Path, where: str, table: Any) -> LockedModel:
    if not isinstance(table, dict):
        raise _malformed(path, f"{where} is not a table")
    unknown = set(table) - {"ref", "kind", "graph_digest", "sources", "files"}
    if unknown:
        raise _malformed(path, f"{where} has unknown keys: {', '.join(sorted(unknown))}")
    digest = _text(path, f"{where}.graph_digest", table["graph_digest"]) if "graph_digest" in table else None
    return LockedModel(
        _text(path, f"{where}.ref", table.get("ref")),
        _text(path, f"{where}.kind", table.get("kind")),
        _files(path, f"{where}.sources", table.get("sources")),
        _files(path, f"{where}.files", table.get("files")),
        digest,
    )


def _files(path: Path, where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, list):
        raise _malformed(path, f"{where} is not an array of files")
    files = {}
    for n, item in enumerate(value):
        name, digest = _file(path, f"{where}[{n}]", item)
        if name in files:
            raise _malformed(path, f"{where}[{n}] names {name!r} a second time")
        files[name] = digest
    return files


def _file(path: Path, where: str, item: Any) -> tuple[str, str]:
    if not isinstance(item, dict) or set(item) != {"path", "sha256"}:
        raise _malformed(path, f"{where} needs the keys path and sha256, and no other")
    digest = _text(path, f"{where}.sha256", item["sha256"])
    if not is_digest(digest):
        raise _malformed(path, f"{where}.sha256 is no sha256: {digest!r}")
    return str(checked_path(_text(path, f"{where}.path", item["path"]))), digest


def _text(path: Path, where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _malformed(path, f"{where} is {value!r}, expected a text")
    return value


def _malformed(path: Path, what: str, hint: str | None = None) -> RegistryFormatError:
    return RegistryFormatError(
        f"{path}: {what}", hint=hint or "Take it from version control, or write it anew with `zoo lock`."
    )
