"""Formats that the first bytes settle, with the archives and documents that are no model."""

from __future__ import annotations

import re
import struct

from zoo.detection.source import BrokenFileError, Source, compression, parse_json
from zoo.errors import UnsupportedFileError
from zoo.records import Detection

# First bytes → framework, kind, description.
_FIRST: tuple[tuple[bytes, str, str, str], ...] = (
    (b"CBM1", "catboost", "cbm", "CatBoost model"),
    (b"GGUF", "gguf", "model", "GGUF model of llama.cpp"),
    (b"ggjt", "gguf", "ggml", "GGML model, before GGUF"),
    (b"lmgg", "gguf", "ggml", "GGML model, before GGUF"),
    (b"MATLAB 5.0 MAT-file", "matlab", "mat", "MATLAB data file"),
    (b"\x12\x01\x00\x00\x00\x00\x00\x00", "mxnet", "params", "MXNet parameters"),
    (b"7767517\n", "ncnn", "param", "ncnn network description"),
    (b"7767517\r\n", "ncnn", "param", "ncnn network description"),
    (b"\xdd\x85\x76\x00", "ncnn", "param_bin", "ncnn network description, binary"),
    (b"ftrt", "tensorrt", "engine", "TensorRT engine"),
)
_NO_MODEL: tuple[tuple[bytes, str], ...] = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x7fELF", "an ELF program or library"),
    (b"MZ", "a Windows program"),
    (b"!<arch>\n", "an ar archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1", "a Parquet table"),
    (b"ARROW1", "an Arrow table"),
    (b"\xac\xed\x00\x05", "a serialised Java object"),
    (b"RDX3\n", "an R data file"),
    (b"RDX2\n", "an R data file"),
    (b"#!", "a script"),
)
_FLATBUFFERS = {
    b"TFL3": ("tflite", "model", "TensorFlow Lite model"),
    b"ORTM": ("ort", "model", "ONNX Runtime model in its flatbuffer format"),
    b"ET12": ("executorch", "model", "ExecuTorch program"),
}


def by_first_bytes(source: Source) -> Detection | None:
    """What the first bytes settle; raises `UnsupportedFileError` for what is no model."""
    head = source.head
    for magic, framework, kind, description in _FIRST:
        if head.startswith(magic):
            return Detection(framework, kind, description)
    if found := _FLATBUFFERS.get(head[4:8]):
        if not 8 <= struct.unpack("<I", head[:4])[0] < source.size:
            raise _no_model(source, f"a damaged {found[2]}: its root lies outside the file", None)
        return Detection(*found)
    for magic, what in _NO_MODEL:
        if head.startswith(magic):
            raise _no_model(source, f"{what}, not a model", _unpack_hint(what))
    return None


def refuse_checkpoint(source: Source) -> None:
    """Raise for the index of a TensorFlow checkpoint: a LevelDB table, whose magic is at its end."""
    if source.read(max(0, source.size - 8), 8) == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":
        hint = "Give the SavedModel folder, or export one from the checkpoint with the model's own code."
        raise _no_model(source, "the index of a TensorFlow checkpoint, which has weights but no graph", hint)


def by_tar(source: Source) -> Detection | None:
    """The tar files of torch < 0.1.12, and the refusal of all others."""
    if source.head[257:262] != b"ustar" and not _old_tar(source.head):
        return None
    names = _first_names(source)
    if {"pickle", "storages"} <= {name.removeprefix("./") for name in names}:
        return Detection("torch", "module", "PyTorch file of 2017 (tar)", {"container": "tar"})
    listed = ", ".join(names[:5])
    raise _no_model(source, f"a tar archive ({listed or 'empty'}), not a model", _unpack_hint("archive"))


def safetensors(source: Source) -> Detection | None:
    """A length, then a JSON header that describes the tensors which follow."""
    length = int.from_bytes(source.head[:8], "little")
    if not (2 <= length <= min(source.size - 8, 100_000_000) and source.head[8:9] == b"{"):
        return None
    try:
        header = parse_json(source.exactly(8, length))
    except BrokenFileError:
        return None
    tensors = {name: value for name, value in header.items() if name != "__metadata__"}
    if not all(isinstance(value, dict) and "data_offsets" in value for value in tensors.values()):
        return None
    details = {"tensors": len(tensors), "metadata": header.get("__metadata__") or {}}
    return Detection("torch", "safetensors", f"safetensors, {len(tensors)} tensors", details)


def numpy_array(source: Source) -> Detection | None:
    """An .npy file; `details["objects"]` says that reading it would unpickle."""
    if not source.head.startswith(b"\x93NUMPY"):
        return None
    objects = bool(re.search(rb"'descr': *(\[.*)?'\|?O", source.head[:4096], re.DOTALL))
    note = " of pickled objects" if objects else ""
    return Detection("numpy", "npy", f"numpy array{note}", {"objects": objects})


def refuse_compressed(source: Source) -> None:
    """Raise for a compressed file that holds no pickle."""
    name = compression(source.head)
    if name and name not in ("zlib", "lzma"):
        hint = _unpack_hint("archive")
        if name in ("lz4", "zstd"):
            hint = f"Unpack it first (`{name} -d`); {name} cannot be read here."
        raise _no_model(source, f"a file compressed with {name}", hint)


def _old_tar(head: bytes) -> bool:
    # A v7 tar has no magic: its checksum, the sum of the header's bytes, tells.
    block = head[:512]
    if len(block) < 512 or not re.fullmatch(rb" *[0-7]+[ \0]*", block[148:156]):
        return False
    stated = int(block[148:156].strip(b" \0") or b"0", 8)
    return stated == sum(block) - sum(block[148:156]) + 8 * 32


def _first_names(source: Source, limit: int = 20) -> list[str]:
    names: list[str] = []
    offset = 0
    while len(names) < limit and offset + 512 <= source.size:
        block = source.read(offset, 512)
        size = re.fullmatch(rb" *([0-7]*)[ \0]*", block[124:136])
        if not block[0]:
            break
        names.append(block[:100].split(b"\0")[0].decode("utf-8", "replace"))
        if size is None:
            break
        offset += 512 + (int(size[1] or b"0", 8) + 511) // 512 * 512
    return names


def _unpack_hint(what: str) -> str | None:
    return "Unpack it and give the model file inside." if "archive" in what else None


def _no_model(source: Source, what: str, hint: str | None) -> UnsupportedFileError:
    return UnsupportedFileError(f"{source.path.name} is {what}", hint=hint)
