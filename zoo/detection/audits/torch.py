"""PyTorch files: pickles in zips, TorchScript code, and the targets of exported programs."""

from __future__ import annotations

import io
import re
import zipfile
from typing import cast

from zoo.detection.audits.pickles import audit_pickle, audit_scan
from zoo.detection.audits.zips import audit_zip
from zoo.detection.pickles import scan
from zoo.detection.source import UNPACK_ERRORS, BrokenFileError, Source, Tape
from zoo.detection.zips import ZIP_ERRORS, member, member_tape, open_zip

MAX_TEXT = 256 << 20
MAX_NESTED = 256 << 20
_NAMESPACES = frozenset(
    {"aten", "prim", "prims", "quantized", "quantized_decomposed", "torchvision", "higher_order"}
)
_FILES = re.compile(r"\b(from_file|save|load|load_library|_load_from_bytes|read_file|write_file)\b")
_TARGET = re.compile(
    r"(torch\.ops\.(aten|prim|prims|quantized|quantized_decomposed|higher_order|torchvision)\.(?!from_file|save)\w+(\.\w+)?"
    r"|_operator\.\w+|math\.\w+|torch\.(sym_\w+|_sym_\w+|_check\w*|utils\._sympy\.functions\.\w+))"
)


def audit_pickles_in_zip(source: Source) -> list[str]:
    """A state_dict or module: every pickle inside."""
    with open_zip(source) as archive:
        reasons = audit_zip(source, archive)
        for name in archive.namelist():
            if name.endswith(".pkl"):
                reasons += _in_zip(archive, name)
        return reasons


def _in_zip(archive: zipfile.ZipFile, name: str) -> list[str]:
    try:
        return [f"{name}: {reason}" for reason in audit_pickle(member_tape(archive, name), persistent=True)]
    except UNPACK_ERRORS as error:
        return [f"{name} does not unpack: {error}"]


def audit_legacy(source: Source) -> list[str]:
    """The format of torch < 1.6: five pickles, then raw storages."""
    tape = source.tape()
    reasons: list[str] = []
    for part in ("magic number", "protocol", "system", "object", "keys"):
        found = scan(tape)
        reasons += [f"{part}: {reason}" for reason in audit_scan(found, persistent=True)]
        if found.broken is not None:
            break
    return reasons


# --- TorchScript ----------------------------------------------------------------------------------


def audit_torchscript(source: Source) -> list[str]:
    """TorchScript: its code runs in torch's own interpreter, so only its operations matter."""
    with open_zip(source) as archive:
        reasons = audit_zip(source, archive)
        for name in archive.namelist():
            if "/code/" in name and name.endswith(".py"):
                reasons += [
                    f"{name}: {reason}"
                    for reason in _code(member(archive, name, MAX_TEXT).decode("utf-8", "replace"))
                ]
        return reasons


def _code(code: str) -> list[str]:
    code = re.sub(r'"(\\.|[^"\\])*"', '""', code)
    reasons = [f"operations of {space!r}" for space in set(re.findall(r"\bops\.(\w+)\.", code)) - _NAMESPACES]
    if "torch.classes" in code:
        reasons.append("classes written in C++")
    for call in set(re.findall(r"\b(?:torch|ops\.\w+)\.(\w+)\s*\(", code)):
        if _FILES.fullmatch(call):
            reasons.append(f"the operation {call}")
    return reasons


# --- exported programs ------------------------------------------------------------------------------


def audit_exported(source: Source) -> list[str]:
    """A .pt2 file: the functions that its graph names, and the pickles it carries."""
    with open_zip(source) as archive:
        reasons = audit_zip(source, archive)
        for info in archive.infolist():
            try:
                reasons += _exported_member(archive, info)
            except (*ZIP_ERRORS, BrokenFileError) as error:
                reasons.append(f"{info.filename}: {error}")
        return reasons


def _exported_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> list[str]:
    if info.filename.endswith(".json"):
        text = member(archive, info.filename, MAX_TEXT).decode("utf-8", "replace")
        named = set(re.findall(r'"target"\s*:\s*"([^"]*)"', text))
        if "\\u" in "".join(named):
            return [f"{info.filename}: a target written with escapes"]
        return [f"{info.filename}: the target {name}" for name in sorted(named) if not _is_target(name)]
    start = member(archive, info.filename, 4)
    if start.startswith(b"PK\x03\x04"):
        return _nested_zip(archive, info)
    if info.filename.endswith((".pkl", ".pt")) or start[:2] in (
        b"\x80\x02",
        b"\x80\x03",
        b"\x80\x04",
        b"\x80\x05",
    ):
        return _in_zip(archive, info.filename)
    return []


def _is_target(name: str) -> bool:
    # Names of inputs, parameters and outputs stand under the same key; they have no dots before a module.
    return not name.startswith(("torch", "_operator", "math", "builtins", "operator")) or bool(
        _TARGET.fullmatch(name)
    )


def _nested_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> list[str]:
    if info.file_size > MAX_NESTED:
        return [f"{info.filename}: a zip of {info.file_size} bytes inside the zip"]
    with zipfile.ZipFile(io.BytesIO(archive.read(info))) as inner:
        reasons = []
        for name in inner.namelist():
            if name.endswith(".pkl"):
                tape = Tape(cast(io.BufferedIOBase, inner.open(name)), MAX_NESTED)
                found = audit_pickle(tape, persistent=True)
                reasons += [f"{info.filename}/{name}: {reason}" for reason in found]
        return reasons
