"""The bytes of a certified file: those the certificate is for, and what was appended behind them.

A protobuf message may be continued by appending fields, and the last one wins: bytes behind the
certified ones could replace the graph. So they must be metadata of ours and nothing else. The model
is not parsed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from zoo.errors import VerificationError

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.verification.certificate import Certificate

_METADATA_FIELD = 14
_MOST_APPENDED = 64 << 20
"""Bytes behind the certified ones that are looked at; a certificate is a few kilobytes."""


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
    actual = digest_of_first(model, stated.size)
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


def digest_of_first(path: Path, size: int) -> str:
    digest, left = hashlib.sha256(), size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(left, 1 << 20))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
