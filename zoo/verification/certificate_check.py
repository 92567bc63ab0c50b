"""Is this file what its certificate says? Told from bytes alone: the model is not parsed or run.

A protobuf message may be continued by appending fields, and the last one wins: bytes behind the
certified ones could replace the graph. So they must be metadata of ours and nothing else.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoo.errors import VerificationError
from zoo.records import record
from zoo.verification.certificate import METADATA_KEY, Certificate, beside, dumps, loads

_METADATA_FIELD = 14
_MOST_APPENDED = 64 << 20
"""Bytes behind the certified ones that are looked at; a certificate is a few kilobytes."""


@record
class CertificateCheck:
    """A certificate with what was found wrong; `signed_by` are the ids of keys whose signatures hold."""

    certificate: Certificate
    problems: tuple[str, ...]
    signed_by: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems


def check_certificate(model: Path, certificate: Path | None = None) -> CertificateCheck:
    """Compare a model file, its external data and the embedded copy with the certificate beside it.

    Raises `VerificationError` where there is no certificate to compare with.
    """
    path = certificate or beside(model)
    if path.is_file():
        stated = loads(path.read_bytes())
    else:
        stated = _embedded_only(model, path)
    problems = [*byte_problems(stated, model), *_file_problems(stated, model.parent)]
    if not problems:
        problems += _copy_problems(stated, model)
    return CertificateCheck(stated, tuple(problems))


def _embedded_only(model: Path, path: Path) -> Certificate:
    text = embedded(model, 0)
    if text is None:
        raise VerificationError(
            f"{model.name} has no certificate, neither inside nor as {path.name}",
            hint="`zoo verify` and `zoo convert` write one when the proof succeeds.",
        )
    return loads(text)


def require_bytes(certificate: Certificate, model: Path) -> None:
    """Raise `VerificationError` unless the file holds the certified bytes."""
    problems = byte_problems(certificate, model)
    if problems:
        raise VerificationError(problems[0])


def byte_problems(certificate: Certificate, model: Path) -> list[str]:
    """What is wrong with the bytes of the ``.onnx`` file."""
    stated = certificate.model
    size = model.stat().st_size
    if size < stated.size:
        return [f"{model.name} has {size} bytes, the certificate is for {stated.size}"]
    actual = _digest(model, stated.size)
    if actual != stated.sha256:
        return [f"{model.name} is not the certified file: sha256 {actual}, certified {stated.sha256}"]
    if size - stated.size > _MOST_APPENDED:
        return [f"{size - stated.size} bytes were appended to {model.name}"]
    try:
        keys = [key for key, _ in appended(model, stated.size)]
    except ValueError as error:
        return [f"bytes were appended to {model.name} that are not metadata: {error}"]
    foreign = [key for key in keys if not key.startswith("zoo.")]
    return [f"metadata {foreign[0]!r} was appended to {model.name} after it was certified"] if foreign else []


def _file_problems(certificate: Certificate, folder: Path) -> list[str]:
    problems = []
    for name, sha256 in certificate.model.files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif _digest(path, path.stat().st_size) != sha256:
            problems.append(f"{name} is not the certified file")
    return problems


def _copy_problems(certificate: Certificate, model: Path) -> list[str]:
    text = embedded(model, certificate.model.size)
    if text is None or text == dumps(certificate):
        return []
    return [f"the certificate beside {model.name} is not the one inside it: one of them was changed"]


def embedded(model: Path, start: int) -> str | None:
    """The last certificate in the metadata from byte `start` on, None where there is none."""
    found = [value for key, value in _entries(model, start) if key == METADATA_KEY]
    return found[-1] if found else None


def _entries(model: Path, start: int) -> list[tuple[str, str]]:
    if start:
        return appended(model, start)
    import onnx

    proto = onnx.load(str(model), load_external_data=False)
    return [(prop.key, prop.value) for prop in proto.metadata_props]


def appended(model: Path, start: int) -> list[tuple[str, str]]:
    """Metadata entries behind byte `start`; ValueError where there is anything else."""
    with model.open("rb") as file:
        file.seek(start)
        data = file.read(_MOST_APPENDED + 1)
    entries, place = [], 0
    while place < len(data):
        number, payload, place = _field(data, place)
        if number != _METADATA_FIELD:
            raise ValueError(f"field {number}")
        entries.append(_entry(payload))
    return entries


def _entry(data: bytes) -> tuple[str, str]:
    texts, place = {1: "", 2: ""}, 0
    while place < len(data):
        number, payload, place = _field(data, place)
        if number not in texts:
            raise ValueError(f"field {number} in a metadata entry")
        texts[number] = payload.decode("utf-8")
    return texts[1], texts[2]


def _field(data: bytes, place: int) -> tuple[int, bytes, int]:
    """Number, payload and end of a length-delimited protobuf field."""
    tag, place = _varint(data, place)
    if tag & 7 != 2:
        raise ValueError(f"a field of wire type {tag & 7}")
    length, place = _varint(data, place)
    if place + length > len(data):
        raise ValueError("a field that does not end")
    return tag >> 3, data[place : place + length], place + length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    raise ValueError("a number that does not end")


def _digest(path: Path, size: int) -> str:
    digest, left = hashlib.sha256(), size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
