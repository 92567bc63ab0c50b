"""A traced function as a GraphDef whose large weights lie beside it.

TensorFlow and tf2onnx copy a graph at every step: into a function, a session, an optimiser, protobufs
that free nothing while they live. A ResNet-50 of 100 MB takes tf2onnx 7.4 GB that way. The weights have
no bearing on those steps, so they are set aside as soon as they are frozen, and tf2onnx gets them
back where it makes ONNX constants of them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Iterator

from converters.tensorflow_models import needed_nodes
from converters.tensorflow_runtime import tensorflow, tf2onnx
from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    from converters.tensorflow_programs import Program

ASIDE_FROM = 1 << 16
"""Constants of so many bytes are set aside; smaller ones may be shapes, which the optimisers must see."""

KEPT_WHOLE = ("_XlaMustCompile", "_noinline", "api_implements")
"""Attributes for which TensorFlow does not inline a function; tf2onnx has no calls."""


@record
class Frozen:
    """A GraphDef without variables, and what it does not hold itself.

    `inputs` and `outputs` are the names of its tensors, in the order of the program's signature.
    `weights` maps constants, which have only a dtype and a shape in the graph, to their bytes.
    `tables` maps the shared names of lookup tables to their keys and values.
    """

    graph_def: Any
    inputs: list[str]
    outputs: list[str]
    weights: dict[str, bytes]
    tables: dict[bytes, Any]


def frozen(program: Program) -> Frozen:
    """The program's graph with its variables as constants and its calls inlined."""
    resource = tensorflow().dtypes.resource
    captured = {tensor.name for tensor in program.concrete.graph.function_captures.by_val_internal.values()}
    inputs = [t.name for t in program.concrete.inputs if t.dtype != resource and t.name not in captured]
    outputs = [t.name for t in program.concrete.outputs if t.dtype != resource]
    loader = tf2onnx().tf_loader
    with tensorflow().device("/cpu:0"), _captures_kept(program.concrete):
        graph_def, tables = loader.from_trackable(program.owner, program.concrete, inputs, outputs, True)
    graph_def = loader.fix_freezing_errors_part2(loader.fix_freezing_errors(graph_def))
    _release_calls(graph_def)
    weights = _set_aside(graph_def)
    with tensorflow().Graph().as_default(), tensorflow().device("/cpu:0"):
        graph_def = loader.tf_optimize(inputs, outputs, graph_def)
    _mark_constants(graph_def, weights)
    _refuse_random(graph_def, outputs)
    return Frozen(
        graph_def, inputs, outputs, {name: tensor.tensor_content for name, tensor in weights.items()}, tables
    )


def _refuse_random(graph_def: Any, outputs: list[str]) -> None:
    functions = (node for function in graph_def.library.function for node in function.node_def)
    for node in (*needed_nodes(graph_def, outputs), *functions):
        if "Random" in node.op or node.op in (
            "Multinomial",
            "StatelessMultinomial",
            "StatelessTruncatedNormal",
        ):
            raise UnsupportedModelError(
                f"the model draws random numbers ({node.op} in {node.name!r}): no two of its answers agree",
                hint="Export it for inference. A dropout of a frozen graph is fixed by "
                "--option 'constants={\"keep_prob\": 1}'.",
            )


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


def _release_calls(graph_def: Any) -> None:
    """Let TensorFlow inline functions kept whole for XLA, such as Keras's grouped convolution."""
    functions = list(graph_def.library.function)
    nodes = [*graph_def.node, *(node for function in functions for node in function.node_def)]
    for item in (*nodes, *functions):
        for mark in KEPT_WHOLE:
            if mark in item.attr:
                del item.attr[mark]


def _set_aside(graph_def: Any) -> dict[str, Any]:
    """Turn large constants into placeholders, which no optimiser folds; returns their tensors by name."""
    weights = {}
    for node in graph_def.node:
        tensor = node.attr["value"].tensor if node.op == "Const" else None
        if tensor is not None and len(tensor.tensor_content) >= ASIDE_FROM:
            weights[node.name] = type(tensor).FromString(tensor.SerializeToString())
            del node.attr["value"]
            node.op = "Placeholder"
            node.attr["shape"].shape.CopyFrom(weights[node.name].tensor_shape)
    return weights


def _mark_constants(graph_def: Any, weights: dict[str, Any]) -> None:
    """Make constants of the placeholders of `_set_aside` again, without their content."""
    for node in graph_def.node:
        if node.name in weights:
            node.op = "Const"
            del node.attr["shape"]
            value = node.attr["value"].tensor
            value.dtype = weights[node.name].dtype
            value.tensor_shape.CopyFrom(weights[node.name].tensor_shape)
