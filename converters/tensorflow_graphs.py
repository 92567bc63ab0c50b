"""A `Program` as ONNX: frozen by TensorFlow, mapped by tf2onnx, checked here.

tf2onnx reports an operation that it cannot map in its log and returns the graph nevertheless; what
it returned is therefore checked by `onnx_checks` before anyone sees it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Callable, Iterator

from converters import onnx_checks
from converters.tensorflow_operations import handlers
from converters.tensorflow_runtime import heard, quiet, tensorflow, tf2onnx
from zoo.errors import ConversionError, UnsupportedModelError
from zoo.records import Signature, record

if TYPE_CHECKING:
    import onnx

    from converters.tensorflow_programs import Program

DEFAULT_OPSET = 17
NEWEST_OPSET = 18
"""tf2onnx 1.17 maps to no later one."""
FAILURES = (ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError, RuntimeError)
"""What tf2onnx raises on a graph that it cannot handle."""

KEPT_WHOLE = ("_XlaMustCompile", "_noinline")
"""Attributes for which TensorFlow does not inline a function; tf2onnx has no calls."""


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


@record
class _Tensors:
    """The names of a concrete function's own inputs and outputs, and what they become."""

    inputs: list[str]
    outputs: list[str]
    renamed: dict[str, str]


def _mapped(program: Program, opset: int, messages: list[str]) -> onnx.ModelProto:
    tensors = _tensors(program)
    try:
        graph_def, tables = _frozen(program, tensors)
        return to_model(
            lambda: _parsed(graph_def, tables, tensors, opset),
        )
    except FAILURES as error:
        raise failed(error, messages) from error


def failed(error: BaseException, messages: list[str]) -> ConversionError:
    """The error for a tf2onnx failure: its own first message, which names the operation, if it logged one."""
    reason = messages[0] if messages else f"{type(error).__name__}: {error}"
    return ConversionError(f"tf2onnx failed: {onnx_checks.short(reason)}")


def _tensors(program: Program) -> _Tensors:
    resource = tensorflow().dtypes.resource
    captured = {tensor.name for tensor in program.concrete.graph.function_captures.by_val_internal.values()}
    inputs = [t.name for t in program.concrete.inputs if t.dtype != resource and t.name not in captured]
    outputs = [t.name for t in program.concrete.outputs if t.dtype != resource]
    names = [*(s.name for s in program.signature.inputs), *(s.name for s in program.signature.outputs)]
    return _Tensors(inputs, outputs, dict(zip([*inputs, *outputs], names)))


def _frozen(program: Program, tensors: _Tensors) -> tuple[Any, Any]:
    loader = tf2onnx().tf_loader
    with tensorflow().device("/cpu:0"), _captures_kept(program.concrete):
        graph_def, tables = loader.from_trackable(
            program.owner, program.concrete, tensors.inputs, tensors.outputs, False
        )
        if _release_compiled(graph_def):
            with tensorflow().Graph().as_default():
                graph_def = loader.tf_optimize(tensors.inputs, tensors.outputs, graph_def)
    return graph_def, tables


@contextlib.contextmanager
def _captures_kept(concrete: Any) -> Iterator[None]:
    """Give a function back the tables that tf2onnx takes from its captures, without which it cannot run."""
    captures = concrete.graph.function_captures
    kept = [(values, dict(values)) for values in (captures.by_val_internal, captures.by_val_external)]
    inputs = list(concrete._captured_inputs)
    try:
        yield
    finally:
        concrete._captured_inputs = inputs
        for values, before in kept:
            values.clear()
            values.update(before)


def _release_compiled(graph_def: Any) -> bool:
    """Let TensorFlow inline functions kept whole for XLA, such as Keras's grouped convolution."""
    functions = list(graph_def.library.function)
    nodes = [*graph_def.node, *(node for function in functions for node in function.node_def)]
    held = [(item, mark) for item in (*nodes, *functions) for mark in KEPT_WHOLE if mark in item.attr]
    for item, mark in held:
        del item.attr[mark]
    return bool(held)


def _parsed(graph_def: Any, tables: Any, tensors: _Tensors, opset: int) -> Any:
    tf = tensorflow()
    with tf.Graph().as_default() as graph, tf.device("/cpu:0"):
        tf.import_graph_def(graph_def, name="")
        return tf2onnx().tfonnx.process_tf_graph(
            graph,
            continue_on_error=True,
            opset=opset,
            custom_op_handlers=handlers(tables),
            input_names=tensors.inputs,
            output_names=tensors.outputs,
            tensors_to_rename=tensors.renamed,
            initialized_tables=tables,
        )


def to_model(parse: Callable[[], Any]) -> onnx.ModelProto:
    """The optimised graph of `parse` as a model.

    tf2onnx copies the whole graph, weights included, before each of its dozen optimisers, only to
    survive one that fails. Here they run without copies; should one fail, the graph is parsed anew
    and optimised the careful way.
    """
    optimizer = tf2onnx().optimizer
    try:
        graph = optimizer.optimize_graph(parse(), catch_errors=False)
    except Exception:  # noqa: BLE001  (whatever an optimiser raises, the careful way follows)
        graph = optimizer.optimize_graph(parse(), catch_errors=True)
    return graph.make_model("zoo")


def interface(model: onnx.ModelProto) -> Signature:
    """The signature that the graph itself declares."""
    return onnx_checks.declared(model)
