"""What a ``.tflite`` flatbuffer says of itself, read without running it.

The schema is TensorFlow's ``tensorflow/compiler/mlir/lite/schema/schema.fbs``, in the bindings that
tf2onnx ships.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from converters.tensorflow_runtime import tf2onnx
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

HEAVY = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "BATCH_MATMUL",
    "EMBEDDING_LOOKUP",
    "TRANSPOSE_CONV",
)


@record
class Entry:
    """One callable of the file: a signature, or the first subgraph of a file without signatures.

    `inputs` and `outputs` map names to tensor indices, in the order of the source.
    """

    signature: str | None
    subgraph: int
    inputs: dict[str, int]
    outputs: dict[str, int]


def read(path: Path) -> Any:
    """The root table of a flatbuffer; raises `UnsupportedFileError` when it is none of TFLite's."""
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise UnsupportedFileError(f"{path.name} does not have the TFL3 mark of a TFLite model")
    try:
        model = root(bytearray(content))
        graphs = model.SubgraphsLength()
    except (struct.error, IndexError, ValueError) as error:
        raise UnsupportedFileError(f"{path.name} is a damaged TFLite model: {error}") from error
    if graphs == 0:
        raise UnsupportedFileError(f"{path.name} is a TFLite model without a graph")
    return model


def root(content: bytearray) -> Any:
    """The root table of a flatbuffer in memory."""
    tf2onnx()
    from tf2onnx.tflite.Model import Model

    return Model.GetRootAs(content, 0)


def entry(model: Any, wanted: Any) -> Entry:
    """The signature `wanted`, the only one or ``serving_default``; without signatures the first subgraph."""
    signatures = {table.SignatureKey().decode(): table for table in map(model.SignatureDefs, _count(model))}
    if not signatures and wanted is None:
        return _first_subgraph(model)
    listed = ", ".join(signatures) or "none"
    if wanted is None:
        if "serving_default" not in signatures and len(signatures) > 1:
            raise MissingInputError(
                f"the model has {len(signatures)} signatures: {listed}",
                hint="Choose one: --option signature=NAME.",
            )
        wanted = "serving_default" if "serving_default" in signatures else next(iter(signatures))
    if wanted not in signatures:
        raise UsageError(f"the model has no signature {wanted!r}", hint=f"Its signatures: {listed}")
    return _signature_entry(model, str(wanted), signatures[wanted])


def invoked(interpreter: Any, entry: Entry, feeds: Mapping[str, np.ndarray]) -> Any:
    """`interpreter` after it was sized for `feeds`, given them and run."""
    for name, index in entry.inputs.items():
        interpreter.resize_tensor_input(index, feeds[name].shape)
    interpreter.allocate_tensors()
    for name, index in entry.inputs.items():
        interpreter.set_tensor(index, feeds[name])
    interpreter.invoke()
    return interpreter


def operations(model: Any, subgraph: int) -> list[str]:
    """The operation of each node; of a custom one its own name."""
    from tf2onnx.tflite.BuiltinOperator import BuiltinOperator

    kinds = {code: name for name, code in vars(BuiltinOperator).items() if not name.startswith("_")}
    graph = model.Subgraphs(subgraph)
    codes = [model.OperatorCodes(graph.Operators(i).OpcodeIndex()) for i in range(graph.OperatorsLength())]
    return [_operation(code, kinds) for code in codes]


def custom_operations(model: Any) -> list[str]:
    """The names of the operations that are not of TFLite's own set, each once."""
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]
    return sorted({code.CustomCode().decode() for code in codes if code.CustomCode()})


def refuse_sparse(model: Any, subgraph: int) -> None:
    """Raise `UnsupportedModelError` for weights that are stored sparse, which tf2onnx reads as if dense."""
    graph = model.Subgraphs(subgraph)
    tensors = [graph.Tensors(i) for i in range(graph.TensorsLength())]
    sparse = [tensor.Name().decode() for tensor in tensors if tensor.Sparsity() is not None]
    if sparse:
        raise UnsupportedModelError(
            f"{len(sparse)} weights are stored sparse, such as {sparse[0]!r}: tf2onnx cannot read them",
            hint="Use the dense variant of the model.",
        )


def notes(model: Any, subgraph: int) -> tuple[str, ...]:
    """What about the file's arithmetic makes TFLite's numbers differ from ONNX Runtime's."""
    kinds = _weight_types(model, subgraph)
    activations = _io_types(model, subgraph)
    found = []
    if "FLOAT16" in kinds:
        found.append("float16 weights: TFLite and ONNX both widen them to float32 before use")
    if "INT8" in kinds and _has_float_products(model, subgraph):
        found.append(
            "tolerance class dynamic-range: TFLite quantises the activations of products with int8 weights "
            "at run time, ONNX computes them in float32"
        )
    if activations & {"INT8", "UINT8", "INT16"} or _has_quantised_products(model, subgraph):
        found.append(
            "tolerance class quantised: int8 arithmetic rounds at every step; TFLite's own kernels differ "
            "from each other, and ONNX Runtime's fused ones from both, by steps of the output's scale"
        )
    return tuple(found)


def _count(model: Any) -> range:
    return range(model.SignatureDefsLength())


def _operation(code: Any, kinds: dict[int, str]) -> str:
    if code.CustomCode():
        return str(code.CustomCode().decode())
    # One byte was too little: newer files mark the old field with 127 and use another.
    number = code.DeprecatedBuiltinCode()
    return kinds.get(code.BuiltinCode() if number == 127 else number, f"operation {code.BuiltinCode()}")


def _first_subgraph(model: Any) -> Entry:
    graph = model.Subgraphs(0)
    inputs = _named(graph, [graph.Inputs(i) for i in range(graph.InputsLength())])
    outputs = _named(graph, [graph.Outputs(i) for i in range(graph.OutputsLength())])
    return Entry(None, 0, inputs, outputs)


def _named(graph: Any, indices: list[int]) -> dict[str, int]:
    named: dict[str, int] = {}
    for index in indices:
        name = (graph.Tensors(index).Name() or b"").decode() or f"tensor_{index}"
        named[name if name not in named else f"{name}_{index}"] = index
    return named


def _signature_entry(model: Any, key: str, table: Any) -> Entry:
    inputs = {t.Name().decode(): t.TensorIndex() for t in map(table.Inputs, range(table.InputsLength()))}
    outputs = {t.Name().decode(): t.TensorIndex() for t in map(table.Outputs, range(table.OutputsLength()))}
    return Entry(key, table.SubgraphIndex(), inputs, outputs)


def _type_names() -> dict[int, str]:
    from tf2onnx.tflite.TensorType import TensorType

    return {code: name for name, code in vars(TensorType).items() if not name.startswith("_")}


def _weight_types(model: Any, subgraph: int) -> set[str]:
    names, graph = _type_names(), model.Subgraphs(subgraph)
    tensors = map(graph.Tensors, range(graph.TensorsLength()))
    return {names[t.Type()] for t in tensors if t.Buffer() and not model.Buffers(t.Buffer()).DataIsNone()}


def _io_types(model: Any, subgraph: int) -> set[str]:
    names, graph = _type_names(), model.Subgraphs(subgraph)
    return {names[graph.Tensors(int(i)).Type()] for i in (*graph.InputsAsNumpy(), *graph.OutputsAsNumpy())}


def _products(model: Any, subgraph: int) -> list[tuple[str, str]]:
    """The types of the first two operands of each node that multiplies by weights."""
    names, graph = _type_names(), model.Subgraphs(subgraph)
    nodes = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    heavy = [node for node, kind in zip(nodes, operations(model, subgraph)) if kind in HEAVY]
    return [
        (names[graph.Tensors(node.Inputs(0)).Type()], names[graph.Tensors(node.Inputs(1)).Type()])
        for node in heavy
    ]


def _has_float_products(model: Any, subgraph: int) -> bool:
    return ("FLOAT32", "INT8") in _products(model, subgraph)


def _has_quantised_products(model: Any, subgraph: int) -> bool:
    return any(first in ("INT8", "UINT8", "INT16") for first, _ in _products(model, subgraph))
