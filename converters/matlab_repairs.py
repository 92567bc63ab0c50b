"""Old ONNX files of MATLAB brought to operators that today's runtimes have.

MATLAB's exporter writes opset 6 and later ones. ONNX Runtime has no operators from before opset 7, and onnx's
version converter stops at an axis with a name. From opset 6 to 7 the broadcasting of arithmetic changed
and a few attributes went; that step is made here, by the operators' specifications. All later steps are
the version converter's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

from converters.onnx_model import ANONYMOUS
from converters.onnx_tidy import dims, graphs, set_dims
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import onnx

OLDEST = 7
"""ONNX Runtime runs no operators from before this opset."""
DEFAULT = 17
_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"}
_GONE_AT_7 = {
    "Gemm": ("broadcast",),
    "BatchNormalization": ("is_test", "consumed_inputs"),
    "Dropout": ("is_test",),
    "PRelu": ("consumed_inputs",),
}


def at_opset(model: onnx.ModelProto, opset: int | None) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy at `opset`, else at 17 or the nearest that can be reached, and notes on what was done.

    Raises `UnsupportedModelError` where the asked opset is out of reach.
    """
    result = type(model).FromString(model.SerializeToString())
    found, notes = opset_of(result), []
    if found < OLDEST:
        _from_six(result)
        notes.append(f"opset {found} was brought to 7: ONNX Runtime has no older operators")
    wanted = max(DEFAULT, found) if opset is None else opset
    if wanted != opset_of(result):
        result = _converted(result, wanted, opset is not None, notes)
    _tidy(result)
    return result, tuple(notes)


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def _converted(model: onnx.ModelProto, wanted: int, is_asked: bool, notes: list[str]) -> onnx.ModelProto:
    import onnx
    from onnx import version_converter

    try:
        converted = version_converter.convert_version(model, wanted)
        onnx.checker.check_model(converted)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        if is_asked:
            raise UnsupportedModelError(
                f"opset {wanted} cannot be reached from opset {opset_of(model)}: {reason}",
                hint="Leave out --opset, or export anew: exportONNXNetwork(net, file, OpsetVersion=14).",
            ) from error
        notes.append(f"kept at opset {opset_of(model)}, for {wanted} cannot be reached: {reason}")
        return model
    return converted


def _tidy(model: onnx.ModelProto) -> None:
    """IR 4 to 10, where weights are no inputs; the file is the pipeline's now, not MATLAB's."""
    weights = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = min(max(model.ir_version, 8), 10)
    model.producer_name, model.producer_version = "zoo", ""
    del model.graph.value_info[:]
    model.ClearField("doc_string")
    model.graph.ClearField("doc_string")


# --- opset 6 to 7 ---------------------------------------------------------------------------------


def _from_six(model: onnx.ModelProto) -> None:
    import onnx

    inferred = onnx.shape_inference.infer_shapes(model)
    ranks = {value.name: len(dims(value)) for value in _values(inferred.graph)}
    for graph in graphs(model.graph):
        nodes = []
        for node in graph.node:
            nodes += _node_at_seven(node, ranks)
        del graph.node[:]
        graph.node.extend(nodes)
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = 7


def _values(graph: onnx.GraphProto) -> Iterator[Any]:
    from onnx import helper

    for part in graphs(graph):
        yield from (*part.input, *part.output, *part.value_info)
        for tensor in part.initializer:
            yield helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)


def _node_at_seven(node: onnx.NodeProto, ranks: dict[str, int]) -> list[onnx.NodeProto]:
    values = {attribute.name: attribute.i for attribute in node.attribute if attribute.type == attribute.INT}
    if node.op_type == "Upsample":
        raise UnsupportedModelError(
            "Upsample of opset 6 is not brought to opset 7",
            hint="Export anew: exportONNXNetwork(net, file, OpsetVersion=14).",
        )
    if node.op_type in _ARITHMETIC:
        _drop(node, ("broadcast", "axis", "consumed_inputs"))
        return _broadcast(node, values, ranks)
    if node.op_type == "PRelu":
        _drop(node, _GONE_AT_7["PRelu"])
        return _aligned(node, 1, ranks)
    _drop(node, _GONE_AT_7.get(node.op_type, ()))
    return [node]


def _drop(node: onnx.NodeProto, names: tuple[str, ...]) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name not in names]
    del node.attribute[:]
    node.attribute.extend(kept)


def _broadcast(node: onnx.NodeProto, values: dict[str, int], ranks: dict[str, int]) -> list[onnx.NodeProto]:
    """Opset 6 puts the second operand's axes at ``axis`` of the first; opset 7 at the end, as numpy."""
    if not values.get("broadcast") or "axis" not in values:
        return [node]
    return _aligned(node, values["axis"], ranks)


def _aligned(node: onnx.NodeProto, axis: int, ranks: dict[str, int]) -> list[onnx.NodeProto]:
    """Axes of size one behind those of the second operand, so that they begin at `axis` of the first."""
    from onnx import helper

    first, second = (ranks.get(name) for name in node.input[:2])
    if first is None or second is None:
        raise UnsupportedModelError(
            f"{node.op_type} of opset 6 broadcasts tensors of unknown rank ({', '.join(node.input)})",
            hint="Export anew: exportONNXNetwork(net, file, OpsetVersion=14).",
        )
    behind = first - (axis % first if first else 0) - second
    if behind <= 0 or second == 0:
        return [node]
    name = f"{node.output[0]}_aligned"
    axes = list(range(second, second + behind))
    before = helper.make_node("Unsqueeze", [node.input[1]], [name], axes=axes)
    node.input[1] = name
    return [before, node]


# --- a batch that the file fixes ------------------------------------------------------------------


def free_batch(model: onnx.ModelProto, name: str = "batch") -> None:
    """Make the first axis of all inputs and outputs dynamic; shapes that hold its size copy it instead."""
    import numpy as np
    from onnx import numpy_helper

    sizes = {dims(value)[0] for value in model.graph.input if dims(value)}
    for value in (*model.graph.input, *model.graph.output):
        set_dims(value, (name, *dims(value)[1:]))
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            shape = np.array(numpy_helper.to_array(tensor))
            if shape.size and int(shape[0]) in sizes:
                shape[0] = 0  # as it is in the input
                tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))
    del model.graph.value_info[:]


def is_fixed(shape: tuple[Any, ...]) -> bool:
    """Whether the first axis has a size."""
    return bool(shape) and isinstance(shape[0], int) and str(shape[0]) not in ANONYMOUS
