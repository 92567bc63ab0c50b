"""Zip files: which of the many formats that are zips inside."""

from __future__ import annotations

import io
import zipfile
from typing import Any, cast

from zoo.detection.pickled import torch_detection
from zoo.detection.pickles import GLIMPSE, scan
from zoo.detection.source import BrokenFileError, Source, Tape, parse_json
from zoo.errors import UnsupportedFileError
from zoo.records import Detection

MAX_DIRECTORY = 64 << 20
MEMBER_CEILING = 1 << 30


def zip_file(source: Source) -> Detection | None:
    """What a zip file is; raises `UnsupportedFileError` for one that is no model."""
    if source.head[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        return None
    with open_zip(source) as archive:
        names = [info.filename for info in archive.infolist()]
        for look in (_keras, _torch, _numpy, _others):
            if found := look(source, archive, names):
                return found
    listed = ", ".join(names[:5]) or "nothing"
    raise UnsupportedFileError(
        f"{source.path.name} is a zip archive with {listed}{' …' if len(names) > 5 else ''}, not a model",
        hint="Unpack it and give the model file or folder inside.",
    )


def open_zip(source: Source) -> zipfile.ZipFile:
    """The archive; raises `UnsupportedFileError` where its directory is damaged or huge."""
    tail = source.read(max(0, source.size - 65_600), 65_600)
    at = tail.rfind(b"PK\x05\x06")
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if size != 0xFFFFFFFF and size > MAX_DIRECTORY:
        raise _damaged(source, f"a directory of {size} bytes")
    try:
        return zipfile.ZipFile(source.file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise _damaged(source, str(error)) from error


def member(archive: zipfile.ZipFile, name: str, limit: int = 1 << 20) -> bytes:
    """At most `limit` bytes of a member; raises `BrokenFileError`."""
    try:
        with archive.open(name) as file:
            return file.read(limit)
    except ZIP_ERRORS as error:
        raise BrokenFileError(f"zip member {name!r}: {error}") from error


def member_tape(archive: zipfile.ZipFile, name: str) -> Tape:
    """A member to be read forwards, at most a gibibyte of it; raises `BrokenFileError`."""
    try:
        return Tape(cast(io.BufferedIOBase, archive.open(name)), MEMBER_CEILING)
    except ZIP_ERRORS as error:
        raise BrokenFileError(f"zip member {name!r}: {error}") from error


ZIP_ERRORS = (zipfile.BadZipFile, KeyError, RuntimeError, NotImplementedError, OSError, EOFError, ValueError)


def _damaged(source: Source, why: str) -> UnsupportedFileError:
    return UnsupportedFileError(
        f"{source.path.name} is a damaged zip file: {why}",
        hint="The file is cut off or was changed; get it again.",
    )


def _keras(source: Source, archive: zipfile.ZipFile, names: list[str]) -> Detection | None:
    if not {"config.json", "metadata.json"} <= set(names):
        return None
    details: dict[str, Any] = {}
    try:
        details["keras_version"] = parse_json(member(archive, "metadata.json")).get("keras_version")
        details["class"] = parse_json(member(archive, "config.json", 1 << 26)).get("class_name")
    except (ValueError, AttributeError) as error:
        raise _damaged(source, f"its Keras configuration cannot be read ({error})") from error
    version = details["keras_version"]
    return Detection("tensorflow", "keras", f"Keras {version or '3'} model", details)


def _torch(source: Source, archive: zipfile.ZipFile, names: list[str]) -> Detection | None:
    leaves = {name.partition("/")[2] for name in names} | set(names)
    if "archive_format" in leaves or "serialized_exported_program.json" in leaves:
        layout = "torch >= 2.8" if "archive_format" in leaves else "torch < 2.8"
        return Detection("torch", "pt2", "PyTorch exported program", {"layout": layout})
    if "constants.pkl" in leaves and any("/code/" in f"/{name}" for name in names):
        mobile = " with mobile bytecode" if "bytecode.pkl" in leaves else ""
        return Detection(
            "torch", "torchscript", f"TorchScript module{mobile}", {"root": names[0].partition("/")[0]}
        )
    pickled = next((name for name in names if name.rpartition("/")[2] == "data.pkl"), None)
    if pickled is None:
        return None
    try:
        found = scan(member_tape(archive, pickled), GLIMPSE)
    except BrokenFileError as error:
        raise _damaged(source, str(error)) from error
    return torch_detection(found, "zip", {"root": pickled.rpartition("/")[0]})


def _numpy(source: Source, archive: zipfile.ZipFile, names: list[str]) -> Detection | None:
    if not names or not all(name.endswith(".npy") for name in names):
        return None
    keys = [name.removesuffix(".npy") for name in names]
    heads = [member(archive, name, 256) for name in names[:1000]]
    objects = any(b"'|O'" in head or b"'O'" in head for head in heads)
    details = {"arrays": keys[:50], "objects": objects}
    note = ", some of them pickled objects" if objects else ""
    if any("/" in key for key in keys):
        # Chainer's serializer names parameters by their path; numpy alone has no such names.
        return Detection("chainer", "npz", f"Chainer parameters, {len(keys)} arrays{note}", details)
    return Detection("numpy", "npz", f"{len(keys)} numpy arrays{note}", details)


def _others(source: Source, archive: zipfile.ZipFile, names: list[str]) -> Detection | None:
    known = set(names)
    if "model.ini" in known:
        text = member(archive, "model.ini", 1 << 16).decode("utf-8", "replace")
        version = next((line for line in text.splitlines() if line.startswith("h2o_version")), "")
        return Detection("h2o", "mojo", "H2O MOJO", {"h2o_version": version.partition("=")[2].strip()})
    if "schema.json" in known and b"__module__" in member(archive, "schema.json", 1 << 16):
        return Detection("skops", "model", "skops file of a scikit-learn object")
    for leaf, what in _INSIDE.items():
        if any(name == leaf or name.endswith(f"/{leaf}") for name in names):
            raise UnsupportedFileError(
                f"{source.path.name} is a zip archive that holds {what} ({leaf})",
                hint="Unpack it and give the model file or folder inside.",
            )
    return None


_INSIDE = {
    "saved_model.pb": "a TensorFlow SavedModel",
    "MAR-INF/MANIFEST.json": "a TorchServe model archive",
    "Manifest.json": "a CoreML package",
    "META-INF/MANIFEST.MF": "a Java archive",
    "[Content_Types].xml": "an Office document",
}
