"""A TensorFlow model as something to trace: frozen graphs and functions.

SavedModels are in `tensorflow_saved_models`, Keras models in `tensorflow_keras`.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping

from converters.tensorflow_programs import Port
from converters.tensorflow_runtime import quiet, tensorflow
from zoo.errors import (
    ConversionError,
    MissingInputError,
    UnsupportedFileError,
    UnsupportedModelError,
    UsageError,
)
from zoo.records import record

if TYPE_CHECKING:
    from zoo.records import ConversionRequest


@record
class Source:
    """A model ready to be traced: ``call(*tensors) -> {name: tensor}`` over its `ports`.

    `notes` are facts for the user; `owner` keeps variables and tables alive.
    """

    call: Callable[..., Any]
    ports: tuple[Port, ...]
    owner: Any
    notes: tuple[str, ...] = ()


def frozen_graph(path: Path, request: ConversionRequest) -> Source:
    """A frozen GraphDef between its placeholders and its sinks.

    Options ``inputs`` and ``outputs`` name other tensors, ``constants`` fixes placeholders to values.
    """
    graph_def = _graph_def(path)
    _refuse_lowered_loops(graph_def)
    _set_constants(graph_def, request.options.get("constants") or {})
    outputs = listed(request.options.get("outputs")) or sinks(graph_def)
    _pass_dropout(graph_def)
    inputs = listed(request.options.get("inputs")) or placeholders(graph_def, outputs)
    if not inputs or not outputs:
        missing = "input (no placeholder)" if not inputs else "output (every node feeds another)"
        raise MissingInputError(
            f"{path.name} is a GraphDef without an {missing}",
            hint="Name tensors of it: --option inputs=name,… --option outputs=name,….",
        )
    return graph_source(graph_def, dict(zip(inputs, inputs)), dict(zip(outputs, outputs)))


def graph_source(graph_def: Any, inputs: dict[str, str], outputs: dict[str, str]) -> Source:
    """A GraphDef without variables between named tensors: `inputs` and `outputs` map names to tensors."""
    ports = _graph_ports(graph_def, inputs)
    _drop_waiting(graph_def, inputs)

    def call(*tensors: Any) -> dict[str, Any]:
        fed = {_tensor_name(name): tensor for name, tensor in zip(inputs.values(), tensors)}
        fetched = [_tensor_name(name) for name in outputs.values()]
        results = tensorflow().graph_util.import_graph_def(graph_def, fed, fetched, name="")
        return dict(zip(outputs, results))

    return Source(call, ports, graph_def)


def _drop_waiting(graph_def: Any, inputs: Mapping[str, str]) -> None:
    """Let no node wait for a placeholder that another tensor replaces: nothing would ever feed it."""
    replaced = {f"^{_node_name(name)}" for name in inputs.values()}
    for node in graph_def.node:
        if replaced.intersection(node.input):
            node.input[:] = [name for name in node.input if name not in replaced]


def function(model: Any) -> Source:
    """A live tf.function with an input signature; its outputs keep the keys of a dictionary."""
    tf = tensorflow()
    signature = getattr(model, "input_signature", None)
    if not signature:
        raise MissingInputError(
            "the tf.function has no input_signature",
            hint="Write @tf.function(input_signature=[tf.TensorSpec(…)]).",
        )
    names = [spec.name or f"input_{index}" for index, spec in enumerate(signature)]

    def call(*tensors: Any) -> dict[str, Any]:
        outputs = model(*tensors)
        if isinstance(outputs, dict):
            return outputs
        flat = tf.nest.flatten(outputs)
        return {"output" if len(flat) == 1 else f"output_{i}": value for i, value in enumerate(flat)}

    return Source(call, tuple(map(port, names, signature)), model)


def _refuse_lowered_loops(graph_def: Any) -> None:
    kinds = {node.op for node in graph_def.node}
    if {"Enter", "TensorListReserve"} <= kinds:
        raise UnsupportedModelError(
            "the graph was frozen with its loops lowered to Enter, Switch and Merge over tensor lists, which "
            "have no ONNX form",
            hint="Freeze it again with convert_variables_to_constants_v2(…, lower_control_flow=False).",
        )


def _set_constants(graph_def: Any, values: Mapping[str, Any]) -> None:
    """Fix placeholders, such as the keep_prob of a dropout, to the values of option ``constants``."""
    tf = tensorflow()
    nodes = {node.name: node for node in graph_def.node if node.op == "Placeholder"}
    for name, value in values.items():
        if name not in nodes:
            raise UsageError(f"the graph has no placeholder {name!r}", hint=f"It has: {', '.join(nodes)}")
        node = nodes[name]
        node.op = "Const"
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, node.attr["dtype"].type))
        node.attr.pop("shape", None)


def _pass_dropout(graph_def: Any) -> None:
    """Take out TensorFlow 1's dropout where it keeps everything: ``x · floor(1 + random)``.

    Random numbers in [0, 1) change nothing there, except that 1 + random is rounded to 2 now and then.
    """
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        factors = [nodes.get(_node_name(name)) for name in node.input] if node.op == "Mul" else []
        for factor, value in zip(factors, reversed(node.input)):
            if factor is not None and factor.op == "Floor" and _is_one_plus_random(factor, nodes):
                node.op = "Identity"
                node.input[:] = [value]
                break


def _is_one_plus_random(floor: Any, nodes: Mapping[str, Any]) -> bool:
    total = nodes[_node_name(floor.input[0])]
    terms = [nodes[_node_name(name)] for name in total.input]
    if total.op not in ("Add", "AddV2") or len(terms) != 2:
        return False
    return any(_is_one(a, nodes) and _is_random(b, nodes) for a, b in (terms, terms[::-1]))


def _is_one(node: Any, nodes: Mapping[str, Any]) -> bool:
    while node.op == "Identity":
        node = nodes[_node_name(node.input[0])]
    return node.op == "Const" and bool((tensorflow().make_ndarray(node.attr["value"].tensor) == 1).all())


def _is_random(node: Any, nodes: Mapping[str, Any]) -> bool:
    """Whether a node is a uniform random number, perhaps scaled as ``tf.random.uniform`` does."""
    if node.op == "RandomUniform":
        return True
    scaled = node.op in ("Mul", "Add", "AddV2")
    return scaled and any(_is_random(nodes[_node_name(name)], nodes) for name in node.input)


def placeholders(graph_def: Any, outputs: list[str]) -> list[str]:
    """The placeholders that `outputs` depend on; one with a default keeps it and is no input."""
    return [node.name for node in needed_nodes(graph_def, outputs) if node.op == "Placeholder"]


def needed_nodes(graph_def: Any, outputs: list[str]) -> list[Any]:
    """The nodes of a graph that `outputs` depend on, in the order of the graph."""
    nodes = {node.name: node for node in graph_def.node}
    needed: set[str] = set()
    waiting = [_node_name(name) for name in outputs]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            waiting.extend(map(_node_name, nodes[name].input))
    return [node for node in graph_def.node if node.name in needed]


def sinks(graph_def: Any) -> list[str]:
    """The names of the nodes that compute something which no other node takes."""
    consumed = {_node_name(name) for node in graph_def.node for name in node.input}
    idle = ("NoOp", "Assert", "Print", "Placeholder", "Const", "Assign", "SaveV2", "CheckNumerics")
    return [node.name for node in graph_def.node if node.name not in consumed and node.op not in idle]


def port(name: str, spec: Any) -> Port:
    """The `Port` of a tf.TensorSpec."""
    shape = None if spec.shape.rank is None else tuple(spec.shape)
    return Port(name, spec.dtype.name, shape)


def _graph_def(path: Path) -> Any:
    from google.protobuf.message import DecodeError

    graph_def = tensorflow().compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise UnsupportedFileError(f"{path.name} is not a TensorFlow GraphDef: {error}") from error
    if not graph_def.node:
        raise UnsupportedFileError(f"{path.name} holds a GraphDef without nodes")
    return graph_def


def _graph_ports(graph_def: Any, names: dict[str, str]) -> tuple[Port, ...]:
    tf = tensorflow()
    with tf.Graph().as_default() as graph, quiet():
        try:
            tf.import_graph_def(graph_def, name="")
            tensors = [graph.get_tensor_by_name(_tensor_name(name)) for name in names.values()]
        except KeyError as error:
            raise UsageError(
                f"the graph has no such tensor: {error}", hint="Check --option inputs=…"
            ) from error
        except (ValueError, tf.errors.OpError) as error:
            raise ConversionError(f"TensorFlow does not accept the graph: {error}") from error
    return tuple(port(name, tensor) for name, tensor in zip(names, tensors))


def _node_name(name: str) -> str:
    return name.lstrip("^").split(":")[0]


def _tensor_name(name: str) -> str:
    return name if ":" in name else f"{name}:0"


def listed(value: Any) -> list[str]:
    """An option as a list: JSON lists and comma-separated text are both accepted."""
    if value is None:
        return []
    return [str(item) for item in (value.split(",") if isinstance(value, str) else value)]


@contextlib.contextmanager
def suffixed(path: Path, suffix: str) -> Iterator[Path]:
    """`path` under a name with the suffix by which Keras chooses its reader."""
    if path.name.endswith(suffix):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link
