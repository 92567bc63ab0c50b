"""Protocol buffers told apart by the shape of their fields: ONNX, TensorFlow, CoreML, Caffe, Paddle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from zoo.detection.protobuf import BYTES, VARINT, Field, fields, text
from zoo.detection.source import BrokenFileError, Source
from zoo.errors import UnsupportedFileError
from zoo.records import Detection

GLIMPSE = 2000


@dataclass(slots=True)
class Shape:
    """The first fields of a message, by number."""

    fields: dict[int, list[Field]] = field(default_factory=dict)
    complete: bool = False

    def wires(self, number: int) -> set[int]:
        return {one.wire for one in self.fields.get(number, ())}

    def message(self, number: int) -> Field | None:
        found = self.fields.get(number)
        return found[0] if found and found[0].wire == BYTES else None

    def varint(self, number: int) -> int | None:
        found = self.fields.get(number)
        return found[-1].value if found and found[-1].wire == VARINT else None


def protobuf_file(source: Source) -> Detection | None:
    """What a protocol buffer is by its shape, None for other bytes."""
    shape = shape_of(source)
    if shape is None:
        return None
    return next((found for look in _LOOKS if (found := look(source, shape))), None)


def shape_of(source: Source, start: int = 0, end: int | None = None) -> Shape | None:
    """The fields of a message; None where the bytes are no message at all.

    A message whose last field is cut off still has a shape: `complete` is then False.
    """
    shape = Shape()
    read = fields(source, start, end)
    try:
        for one in islice(read, GLIMPSE):
            shape.fields.setdefault(one.number, []).append(one)
        shape.complete = next(read, None) is None
    except BrokenFileError:
        pass
    return shape if shape.fields else None


def _inner(source: Source, one: Field | None) -> Shape:
    return (one and shape_of(source, one.start, one.end)) or Shape()


# --- ONNX ---------------------------------------------------------------------------------------


def _onnx(source: Source, shape: Shape) -> Detection | None:
    graph = shape.message(7)
    known = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
    if graph is None or shape.wires(1) - {VARINT} or not shape.fields.keys() <= known:
        return None
    inside = _inner(source, graph)
    if not inside.fields.keys() <= {1, 2, 5, 10, 11, 12, 13, 14, 15, 16} or not inside.fields:
        return None
    opsets = {}
    for one in shape.fields.get(8, ()):
        opset = _inner(source, one)
        domain = opset.message(1)
        opsets[text(source, domain) if domain else ""] = opset.varint(2) or 0
    producer = shape.message(2)
    details: dict[str, Any] = {"ir_version": shape.varint(1), "opsets": opsets}
    details["producer"] = text(source, producer) if producer else ""
    if not shape.complete:
        raise _cut(source, "ONNX model")
    if details["producer"].startswith("MATLAB"):
        version = shape.message(3)
        details["versions"] = {"MATLAB's exporter": text(source, version) if version else "?"}
        return Detection("matlab", "onnx", f"MATLAB's ONNX export, opset {opsets.get('', '?')}", details)
    return Detection("onnx", "model", f"ONNX model, opset {opsets.get('', '?')}", details)


def _onnx_by_start(source: Source, shape: Shape) -> Detection | None:
    # A download that broke off: the graph's length reaches beyond the end, so that no field 7 was read.
    version = shape.varint(1)
    if version is None or not 1 <= version <= 20 or shape.complete or 7 in shape.fields:
        return None
    producer = shape.message(2)
    if producer is None or not shape.fields.keys() <= {1, 2, 3, 4, 5, 6, 8, 14}:
        return None
    raise _cut(source, f"ONNX model written by {text(source, producer, 80)}")


def _tensor(source: Source, shape: Shape) -> Detection | None:
    numbers = shape.fields.keys()
    if not (
        numbers <= {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14} and numbers & {4, 5, 6, 7, 9, 10, 11, 13}
    ):
        return None
    dtype = shape.varint(2)
    if dtype is None or not 1 <= dtype <= 30 or not shape.complete or not shape.wires(1) <= {VARINT, BYTES}:
        return None
    # TensorFlow's TensorProto has dtype in field 1, the shape in 2, the bytes in 4.
    raise UnsupportedFileError(
        f"{source.path.name} is one tensor (ONNX TensorProto), not a model",
        hint="Such files are test inputs and outputs that lie beside a model.",
    )


# --- TensorFlow ---------------------------------------------------------------------------------


def _saved_model(source: Source, shape: Shape) -> Detection | None:
    meta = shape.message(2)
    if shape.varint(1) != 1 or meta is None or not shape.fields.keys() <= {1, 2}:
        return None
    inside = _inner(source, meta)
    if not (inside.message(1) and inside.message(2)):
        return None
    if not shape.complete:
        raise _cut(source, "TensorFlow SavedModel")
    hint = "Give the folder that holds saved_model.pb and variables/."
    if (source.path.parent / "variables").is_dir() or source.path.name == "saved_model.pb":
        raise UnsupportedFileError(
            f"{source.path.name} is the graph of a TensorFlow SavedModel folder", hint=hint
        )
    raise UnsupportedFileError(f"{source.path.name} is a TensorFlow SavedModel without its folder", hint=hint)


def saved_model_details(source: Source) -> dict[str, Any]:
    """Tags, TensorFlow version and whether Keras wrote it, of a saved_model.pb; raises `BrokenFileError`."""
    shape = shape_of(source)
    meta = shape.message(2) if shape else None
    if shape is None or meta is None or not shape.complete:
        raise BrokenFileError("saved_model.pb holds no SavedModel message")
    info = _inner(source, _inner(source, meta).message(1))
    tags = [text(source, one) for one in info.fields.get(4, ())]
    version = info.message(5)
    return {
        "tags": tags,
        "versions": {"tensorflow": text(source, version)} if version else {},
        "meta_graphs": len(shape.fields[2]),
    }


def _graph_def(source: Source, shape: Shape) -> Detection | None:
    node = shape.message(1)
    if node is None or not shape.fields.keys() <= {1, 2, 3, 4, 5}:
        return None
    inside = _inner(source, node)
    name, op = inside.message(1), inside.message(2)
    if not (name and op) or not inside.fields.keys() <= {1, 2, 3, 4, 5, 6, 7}:
        return None
    operator = text(source, op, 80)
    if not operator.replace("_", "").replace(">", "").isalnum():
        return None
    details = {"nodes": len(shape.fields[1]), "first_op": operator}
    return Detection("tensorflow", "frozen_graph", "TensorFlow frozen graph (GraphDef)", details)


# --- CoreML, Caffe, Paddle ----------------------------------------------------------------------


def _coreml(source: Source, shape: Shape) -> Detection | None:
    kinds = [number for number in shape.fields if 200 <= number <= 3000]
    version = shape.varint(1)
    if version is None or not 1 <= version <= 20 or shape.message(2) is None or not kinds:
        return None
    if not shape.fields.keys() <= {1, 2, 10, *kinds}:
        return None
    form = _COREML.get(kinds[0], f"model type {kinds[0]}")
    details = {"specification": version, "type": form}
    return Detection("coreml", "mlmodel", f"CoreML {form}, specification {version}", details)


_COREML = {
    200: "pipeline classifier",
    201: "pipeline regressor",
    202: "pipeline",
    300: "GLM regressor",
    301: "SVM regressor",
    302: "tree ensemble regressor",
    303: "neural network regressor",
    400: "GLM classifier",
    401: "SVM classifier",
    402: "tree ensemble classifier",
    403: "neural network classifier",
    500: "neural network",
    502: "ML program",
    600: "one-hot encoder",
    601: "imputer",
    602: "feature vectorizer",
    603: "dict vectorizer",
    604: "scaler",
    606: "categorical mapping",
    607: "normalizer",
    609: "array feature extractor",
}


def _caffe(source: Source, shape: Shape) -> Detection | None:
    layer = shape.message(100) or shape.message(2)
    if layer is None or not shape.fields.keys() <= {1, 2, 3, 4, 5, 6, 7, 8, 100}:
        return None
    inside = _inner(source, layer)
    blobs = inside.message(7) if 100 in shape.fields else inside.message(6)
    named = inside.message(1) if 100 in shape.fields else (inside.message(4) or inside.message(2))
    if named is None and blobs is None:
        return None
    layers = len(shape.fields.get(100) or shape.fields[2])
    return Detection("caffe", "caffemodel", f"Caffe weights, {layers} layers", {"layers": layers})


def _paddle(source: Source, shape: Shape) -> Detection | None:
    block = shape.message(1)
    if block is None or not shape.fields.keys() <= {1, 2, 3, 4, 5} or shape.wires(4) - {BYTES}:
        return None
    inside = _inner(source, block)
    if inside.varint(1) is None or inside.varint(2) is None or not (inside.message(3) or inside.message(4)):
        return None
    return Detection("paddle", "pdmodel", "PaddlePaddle program (ProgramDesc)")


def _cut(source: Source, what: str) -> UnsupportedFileError:
    return UnsupportedFileError(
        f"{source.path.name} is an incomplete {what}: its {source.size} bytes end in the middle of a field",
        hint="The download broke off; get the file again.",
    )


Look = Callable[[Source, Shape], Detection | None]
_LOOKS: tuple[Look, ...] = (
    _onnx, _onnx_by_start, _saved_model, _coreml, _graph_def, _paddle, _caffe, _tensor,
)  # fmt: skip
