"""A `Program` as ONNX: frozen by TensorFlow, mapped by tf2onnx, checked here.

tf2onnx reports an operation that it cannot map in its log and returns the graph nevertheless; what
it returned is therefore checked by `onnx_checks` before anyone sees it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Iterator

from converters import onnx_checks
from converters.tensorflow_freezing import Frozen, frozen
from converters.tensorflow_operations import handlers
from converters.tensorflow_runtime import heard, quiet, tensorflow, tf2onnx
from zoo.errors import ConversionError, UnsupportedModelError

if TYPE_CHECKING:
    import onnx

    from converters.tensorflow_programs import Program

DEFAULT_OPSET = 17
NEWEST_OPSET = 18
"""tf2onnx 1.17 maps to no later one."""
FAILURES = (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError, RuntimeError)
"""What tf2onnx raises on a graph that it cannot handle."""


def supported_opset(opset: int | None) -> int:
    """The requested opset, or the default; raises `UnsupportedModelError` beyond what tf2onnx knows."""
    if opset is None:
        return DEFAULT_OPSET
    if not 13 <= opset <= NEWEST_OPSET:
        raise UnsupportedModelError(
            f"tf2onnx writes opsets 13 to {NEWEST_OPSET}, not {opset}", hint=f"Use --opset {DEFAULT_OPSET}."
        )
    return opset


def as_onnx(program: Program, opset: int | None) -> onnx.ModelProto:
    """The program in ONNX, with the names, the order and the dynamic axes of its signature.

    Raises:
        UnsupportedModelError: an operation has no ONNX form, or a dynamic axis was frozen on the way.
        ConversionError: TensorFlow or tf2onnx failed on the graph.
    """
    opset = supported_opset(opset)
    with heard() as messages, quiet():
        model = _mapped(program, opset, messages)
    return onnx_checks.finished(model, program.signature, messages)


def _mapped(program: Program, opset: int, messages: list[str]) -> onnx.ModelProto:
    try:
        graph = frozen(program)
        renamed = dict(zip([*graph.inputs, *graph.outputs], _names(program)))
        return to_model(lambda: _parsed(graph, renamed, opset))
    except FAILURES as error:
        raise failed(error, messages) from error


def failed(error: BaseException, messages: list[str]) -> ConversionError:
    """The error for a tf2onnx failure: its own first message, which names the operation, if it logged one."""
    reason = messages[0] if messages else f"{type(error).__name__}: {error}"
    return ConversionError(f"tf2onnx failed: {onnx_checks.short(reason)}")


def _names(program: Program) -> list[str]:
    return [spec.name for spec in (*program.signature.inputs, *program.signature.outputs)]


def _parsed(graph: Frozen, renamed: dict[str, str], opset: int) -> Any:
    tf = tensorflow()
    with tf.Graph().as_default() as tf_graph, tf.device("/cpu:0"):
        tf.import_graph_def(graph.graph_def, name="")
        return tf2onnx().tfonnx.process_tf_graph(
            tf_graph,
            continue_on_error=True,
            opset=opset,
            const_node_values=graph.weights,
            custom_op_handlers=handlers(graph.tables),
            input_names=graph.inputs,
            output_names=graph.outputs,
            tensors_to_rename=renamed,
            initialized_tables=graph.tables,
        )


def to_model(parse: Callable[[], Any]) -> onnx.ModelProto:
    """The optimised graph of `parse` as a model.

    tf2onnx copies the whole graph, weights included, before each of its dozen optimisers, only to
    survive one that fails. Here they run without copies; should one fail, the graph is parsed anew
    and optimised the careful way.
    """
    optimizer = tf2onnx().optimizer
    with _constants_copied_once():
        graph = parse()
        try:
            graph = optimizer.optimize_graph(graph, catch_errors=False)
        except Exception:  # noqa: BLE001  (whatever an optimiser raises, the careful way follows)
            graph = optimizer.optimize_graph(parse(), catch_errors=True)
        return _standard(graph.make_model("zoo"))


def _standard(model: onnx.ModelProto) -> onnx.ModelProto:
    """Say in opset 13 and later what ``tf_half_pixel_for_nn`` said before: floor(x + 1/2) of half pixels."""
    for node in onnx_checks.nodes(model.graph):
        for attribute in node.attribute:
            if node.op_type == "Resize" and attribute.s == b"tf_half_pixel_for_nn":
                attribute.s = b"half_pixel"
                _set_text(node, "nearest_mode", b"round_prefer_ceil")
    return model


def _set_text(node: onnx.NodeProto, name: str, value: bytes) -> None:
    from onnx import AttributeProto

    found = next((attribute for attribute in node.attribute if attribute.name == name), None)
    if found is None:
        found = node.attribute.add(name=name, type=AttributeProto.STRING)
    found.s = value


@contextlib.contextmanager
def _constants_copied_once() -> Iterator[None]:
    """Keep tf2onnx from copying every constant into its node's protobuf after each optimiser.

    Protobuf frees nothing within a message that lives: after two dozen passes the weights are held two
    dozen times. The model is made from the node's attributes, so a constant's protobuf is never read.
    """
    from tf2onnx.graph import Node

    original = Node.update_proto

    def update_proto(node: Any, external_tensor_storage: Any = None) -> None:
        if not node.is_const():
            original(node, external_tensor_storage)

    Node.update_proto = update_proto
    try:
        yield
    finally:
        Node.update_proto = original
