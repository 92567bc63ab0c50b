"""Caffe's two files: the network as protobuf text, the weights as protobuf bytes.

Source: src/caffe/proto/caffe.proto of Caffe 1.0. Only what a network for inference needs is read: layers with
their parameters from the text, and by layer name the blobs from the bytes (layers of both generations).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple, Union

from zoo.errors import UnsupportedFileError
from zoo.records import record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

Message = Dict[str, List[Any]]
"""Fields of a text message: every value that each name has, in order."""

DEEPEST = 32
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z_]\w*)"""
    r"""|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?)|(?P<mark>[{}:<>,;\[\]])"""
)
_OLD_TYPES = {
    "CONVOLUTION": "Convolution",
    "DECONVOLUTION": "Deconvolution",
    "INNER_PRODUCT": "InnerProduct",
    "POOLING": "Pooling",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "TANH": "TanH",
    "LRN": "LRN",
    "DROPOUT": "Dropout",
    "SOFTMAX": "Softmax",
    "CONCAT": "Concat",
    "ELTWISE": "Eltwise",
    "FLATTEN": "Flatten",
    "SLICE": "Slice",
    "SPLIT": "Split",
    "POWER": "Power",
    "ABSVAL": "AbsVal",
}


@record
class Layer:
    """One layer: `parameters` are its message, `blobs` its weights in order."""

    name: str
    kind: str
    bottoms: Tuple[str, ...]
    tops: Tuple[str, ...]
    parameters: Any
    blobs: Tuple[Any, ...] = ()

    def option(self, group: str, name: str, default: Any = None) -> Any:
        """One value of ``<group>_param``."""
        values = self.options(group, name)
        return values[0] if values else default

    def options(self, group: str, name: str) -> list[Any]:
        """All values of ``<group>_param``."""
        message = self.parameters.get(f"{group}_param", [{}])[0]
        return list(message.get(name, [])) if isinstance(message, dict) else []


# --- the network, as text ---------------------------------------------------------------------------


def network(path: Path) -> tuple[dict[str, tuple[int, ...]], list[Layer]]:
    """Inputs with their shapes, and the layers of the phase TEST, in order.

    Raises `UnsupportedFileError` for a file that is no network, or has no input of a known shape.
    """
    try:
        message = parse_text(path.read_text(encoding="utf-8", errors="replace"))
    except ValueError as error:
        raise UnsupportedFileError(f"{path.name} is no Caffe network: {error}") from error
    layers = [_layer(one) for name in ("layer", "layers") for one in message.get(name, [])]
    layers = [layer for layer in layers if _is_tested(layer)]
    inputs = _declared(message)
    for layer in layers:
        if layer.kind == "Input":
            shape = layer.options("input", "shape")
            inputs.update(
                (top, _dims(shape[min(i, len(shape) - 1)])) for i, top in enumerate(layer.tops) if shape
            )
    if not inputs:
        raise UnsupportedFileError(
            f"{path.name} has no input with a shape: it reads its data from a database or file",
            hint='Use the network for inference (deploy.prototxt), which has `layer { type: "Input" … }`.',
        )
    return inputs, [layer for layer in layers if layer.kind != "Input"]


def _layer(message: Any) -> Layer:
    kind = str(message.get("type", ["?"])[0])
    names = message.get("name", ["?"])
    bottoms, tops = (tuple(map(str, message.get(key, []))) for key in ("bottom", "top"))
    return Layer(str(names[0]), _OLD_TYPES.get(kind, kind), bottoms, tops, message)


def _is_tested(layer: Layer) -> bool:
    included = [str(rule.get("phase", ["TEST"])[0]) for rule in layer.parameters.get("include", [])]
    excluded = [str(rule.get("phase", [""])[0]) for rule in layer.parameters.get("exclude", [])]
    return (not included or "TEST" in included) and "TEST" not in excluded


def _declared(message: Message) -> dict[str, tuple[int, ...]]:
    """The old way: ``input``, and ``input_dim`` four times or ``input_shape`` for each."""
    names = list(map(str, message.get("input", [])))
    shapes = [_dims(one) for one in message.get("input_shape", [])]
    flat = list(map(int, message.get("input_dim", [])))
    shapes = shapes or [tuple(flat[i : i + 4]) for i in range(0, len(flat), 4)]
    return dict(zip(names, shapes))


def _dims(message: Any) -> tuple[int, ...]:
    return tuple(int(dim) for dim in message.get("dim", []))


def parse_text(text: str) -> Message:
    """A protobuf text message. Raises ValueError with the place of what is no such text."""
    tokens = _tokens(text)
    message, end = _message(tokens, 0, 0)
    if end != len(tokens):
        raise ValueError(f"an unexpected {tokens[end]!r}")
    return message


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            line = text.count("\n", 0, place) + 1
            raise ValueError(f"line {line} has {text[place : place + 10]!r}")
        if match.lastgroup is not None:
            found.append((match.lastgroup, match[0]))
        place = match.end()
    return found


def _message(tokens: list[tuple[str, str]], place: int, depth: int) -> tuple[Message, int]:
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    message: Message = {}
    while place < len(tokens) and tokens[place][1] not in "}>":
        kind, name = tokens[place]
        if kind != "word":
            if name in ",;":
                place += 1
                continue
            raise ValueError(f"a field's name is expected, not {name!r}")
        place += 1
        if place < len(tokens) and tokens[place][1] == ":":
            place += 1
        if place >= len(tokens):
            raise ValueError(f"it ends after {name!r}")
        if tokens[place][1] in "{<":
            value, place = _message(tokens, place + 1, depth + 1)
            if place >= len(tokens):
                raise ValueError(f"{name!r} is not closed")
            message.setdefault(name, []).append(value)
        else:
            message.setdefault(name, []).append(_value(*tokens[place]))
        place += 1
    return message, place


def _value(kind: str, text: str) -> Union[str, int, float, bool]:
    if kind == "string":
        return text[1:-1]
    if kind == "number":
        plain = text.rstrip("fF")
        return float(plain) if set(plain) & set(".eE") else int(plain)
    if kind != "word":
        raise ValueError(f"a value is expected, not {text!r}")
    return {"true": True, "false": False}.get(text, text)


# --- the weights, as bytes ----------------------------------------------------------------------------


def weights(path: Path) -> dict[str, tuple[np.ndarray, ...]]:
    """The blobs of every layer that has some, by its name. Raises `UnsupportedFileError`."""
    data = memoryview(path.read_bytes())
    found: dict[str, tuple[np.ndarray, ...]] = {}
    try:
        for number, value in _fields(data):
            if number in (100, 2) and isinstance(value, memoryview):
                name, blobs = _weighted(value, *((1, 7) if number == 100 else (4, 6)))
                if blobs:
                    found[name] = blobs
    except (ValueError, IndexError) as error:
        raise UnsupportedFileError(
            f"{path.name} is a damaged caffemodel: {error}", hint="The download broke off; get it again."
        ) from error
    return found


def _weighted(data: memoryview, name_field: int, blob_field: int) -> tuple[str, tuple[np.ndarray, ...]]:
    name, blobs = "", []
    for number, value in _fields(data):
        if isinstance(value, memoryview):
            if number == name_field:
                name = bytes(value).decode("utf-8", "replace")
            elif number == blob_field:
                blobs.append(_blob(value))
    return name, tuple(blobs)


def _blob(data: memoryview) -> np.ndarray:
    import numpy as np

    parts: list[np.ndarray] = []
    old, shape = {}, None
    for number, value in _fields(data):
        if number in (5, 8) and isinstance(value, memoryview):
            parts.append(np.frombuffer(value, "<f4" if number == 5 else "<f8").astype(np.float32))
        elif number == 5:
            parts.append(np.array([value], dtype=np.uint32).view(np.float32))
        elif number == 7 and isinstance(value, memoryview):
            shape = tuple(_dimensions(value))
        elif number in (1, 2, 3, 4) and isinstance(value, int):
            old[number] = value
    flat = np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
    dims = shape if shape is not None else tuple(old.get(i, 1) for i in (1, 2, 3, 4)) if old else flat.shape
    if int(np.prod(dims, dtype=np.int64)) != flat.size:
        raise ValueError(f"a blob of {flat.size} numbers has the shape {list(dims)}")
    return flat.reshape(dims)


def _dimensions(data: memoryview) -> Iterator[int]:
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            yield value
        elif number == 1 and isinstance(value, memoryview):
            place = 0
            while place < len(value):
                dim, place = _varint(value, place)
                yield dim


def _fields(data: memoryview) -> Iterator[tuple[int, Union[int, memoryview]]]:
    """The fields of a protobuf message: numbers as they stand, everything else as bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        wire = key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if wire == 2:
            length, place = _varint(data, place)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field of wire type {wire} at byte {place}")
        if place + length > len(data):
            raise ValueError(f"it ends in the middle of a field of {length} bytes")
        piece = data[place : place + length]
        yield key >> 3, piece if wire == 2 else int.from_bytes(piece, "little")
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[place]
        result |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return result, place
        if shift > 63:
            raise ValueError(f"a number at byte {place} does not end")
