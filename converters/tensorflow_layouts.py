"""Graphs made for a GPU's channel-first layout, so that TensorFlow runs them on a CPU.

TensorFlow has no CPU kernels for ``data_format="NCHW"``, hence no reference. Each such node is set
between two transpositions and computes channel-last, which is the same arithmetic; tf2onnx, which
converts to channel-first anyway, takes the transpositions out again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable

from converters.tensorflow_freezing import frozen
from converters.tensorflow_models import Source, graph_source
from converters.tensorflow_runtime import tensorflow
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    from converters.tensorflow_programs import Program

TO_LAST = {"NCHW": (0, 2, 3, 1), "NCDHW": (0, 2, 3, 4, 1)}
TO_FIRST = {"NCHW": (0, 3, 1, 2), "NCDHW": (0, 4, 1, 2, 3)}
NAMES = {"NCHW": "NHWC", "NCDHW": "NDHWC"}
ALIGNED = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D")
EVERYWHERE = ("BiasAdd", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
"""Operations that TensorFlow runs channel-first on a CPU too; Keras 2 normalises layers with them."""
PER_AXIS = ("strides", "ksize", "dilations")


def is_channel_first(program: Program) -> bool:
    """Whether any node of the program, or of a function that it calls, needs a channel-first kernel."""
    graph_def = program.concrete.graph.as_graph_def()
    functions = (node for function in graph_def.library.function for node in function.node_def)
    return any(_layout(node) for node in (*graph_def.node, *functions))


def channel_last(program: Program) -> Source:
    """The program's frozen graph with every channel-first node computing channel-last.

    Raises:
        UnsupportedModelError: such a node is of a kind that this does not know.
    """
    graph = frozen(program)
    for node in graph.graph_def.node:
        if node.name in graph.weights:
            node.attr["value"].tensor.tensor_content = graph.weights[node.name]
    turned = tensorflow().compat.v1.GraphDef(
        versions=graph.graph_def.versions, library=graph.graph_def.library
    )
    for node in graph.graph_def.node:
        turned.node.extend(_turned(node))
    inputs = {spec.name: name for spec, name in zip(program.signature.inputs, graph.inputs)}
    outputs = {spec.name: name for spec, name in zip(program.signature.outputs, graph.outputs)}
    return graph_source(turned, inputs, outputs)


def _layout(node: Any) -> str | None:
    """``NCHW`` or ``NCDHW`` where the node has no kernel for it on a CPU."""
    if node.op in EVERYWHERE:
        return None
    layout = node.attr["data_format"].s.decode() if "data_format" in node.attr else ""
    return layout if layout in TO_LAST else None


def _turned(node: Any) -> Iterable[Any]:
    layout = _layout(node)
    if layout is None:
        return [node]
    if node.op not in ALIGNED:
        raise UnsupportedModelError(
            f"TensorFlow cannot run {node.op} in the layout {layout} on a CPU, and it cannot be turned here",
            hint="Build the model with data_format='channels_last' and load the same weights.",
        )
    inner = type(node)()
    inner.CopyFrom(node)
    inner.name = f"{node.name}/channel_last"
    inner.input[0] = f"{inner.name}/input"
    _turn_attributes(inner, layout)
    before = _transposition(inner.input[0], node.input[0], TO_LAST[layout], node)
    return [*before, inner, *_transposition(node.name, inner.name, TO_FIRST[layout], node)]


def _turn_attributes(node: Any, layout: str) -> None:
    node.attr["data_format"].s = NAMES[layout].encode()
    node.attr.pop("_output_shapes", None)
    order = TO_LAST[layout]
    for name in PER_AXIS:
        if name in node.attr:
            values = list(node.attr[name].list.i)
            node.attr[name].list.i[:] = [values[axis] for axis in order]
    if "explicit_paddings" in node.attr:
        pairs = list(node.attr["explicit_paddings"].list.i)
        turned = [pairs[2 * axis + side] for axis in order for side in (0, 1)] if pairs else []
        node.attr["explicit_paddings"].list.i[:] = turned


def _transposition(name: str, source: str, order: tuple[int, ...], like: Any) -> list[Any]:
    """A Transpose node and its constant, for tensors of the type that `like` computes with."""
    tf = tensorflow()
    permutation, transpose = type(like)(), type(like)()
    permutation.name, permutation.op = f"{name}/order", "Const"
    permutation.attr["dtype"].type = tf.int32.as_datatype_enum
    permutation.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(order, tf.int32))
    transpose.name, transpose.op = name, "Transpose"
    transpose.input.extend([source, permutation.name])
    transpose.attr["T"].type = like.attr["T"].type
    transpose.attr["Tperm"].type = tf.int32.as_datatype_enum
    return [permutation, transpose]
