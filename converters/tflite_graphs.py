"""One entry of a TFLite file as a tf2onnx graph, under the names of the entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.tensorflow_operations import handlers
from converters.tensorflow_runtime import tf2onnx

if TYPE_CHECKING:
    from converters.tflite_files import Entry


def parsed(model: Any, entry: Entry, interpreter: Any, opset: int) -> Any:
    """tf2onnx's graph of `entry`, with the subgraphs that it calls, at `opset`."""
    tf2onnx()
    from tf2onnx import tflite_utils, tfonnx
    from tf2onnx.tf_loader import clear_functions

    clear_functions()
    codes = _opcodes(model, tflite_utils)
    called = _called(model, entry.subgraph, tflite_utils)
    subgraphs = [_graph(model, model.Subgraphs(index), codes, {}) for index in called]
    renamed = Renamed(model.Subgraphs(entry.subgraph), entry)
    main = _graph(model, renamed, codes, _shapes(renamed, interpreter, entry), entry)
    for graph in (main, *subgraphs):
        graph.set_config(None, opset, None)
    return tfonnx.process_graphs(main, subgraphs, handlers(), [], [], True, None, None, None, is_tflite=True)


class Renamed:
    """A subgraph whose tensors have unique names: those of the entry for its inputs and outputs.

    tf2onnx connects nodes by tensor name, and TFLite does not promise that names differ.
    """

    def __init__(self, graph: Any, entry: Entry) -> None:
        self._graph = graph
        self.names = _unique_names(graph, entry)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    def Tensors(self, index: int) -> Any:
        return _RenamedTensor(self._graph.Tensors(index), self.names[index])


class _RenamedTensor:
    def __init__(self, tensor: Any, name: str) -> None:
        self._tensor = tensor
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tensor, name)

    def Name(self) -> bytes:
        return self._name.encode()


def _unique_names(graph: Any, entry: Entry) -> list[str]:
    chosen = {index: name for name, index in (*entry.outputs.items(), *entry.inputs.items())}
    taken = set(chosen.values())
    names = []
    for index in range(graph.TensorsLength()):
        name = chosen.get(index)
        if name is None:
            name = (graph.Tensors(index).Name() or b"").decode() or f"tensor_{index}"
            name = name if name not in taken else f"{name}__{index}"
        taken.add(name)
        names.append(name)
    return names


def _shapes(renamed: Renamed, interpreter: Any, entry: Entry) -> dict[str, list[int]]:
    """Shapes as TFLite infers them; those in the file are not always right."""
    if entry.subgraph != 0:
        return {}
    details = interpreter.get_tensor_details()
    count = len(renamed.names)
    return {renamed.names[d["index"]]: d["shape_signature"].tolist() for d in details if d["index"] < count}


def _graph(model: Any, table: Any, codes: dict[int, str], shapes: Any, entry: Entry | None = None) -> Any:
    from tf2onnx.graph import Graph
    from tf2onnx.tflite_utils import parse_tflite_graph

    prefix = "" if entry is not None else f"{table.Name().decode()}_"
    nodes, _, _, output_shapes, dtypes, inputs, outputs, name = parse_tflite_graph(
        table, codes, model, prefix, shapes
    )
    if entry is not None:
        inputs, outputs = list(entry.inputs), list(entry.outputs)
    return Graph(
        nodes,
        output_shapes,
        dtypes,
        input_names=inputs,
        output_names=outputs,
        is_subgraph=entry is None,
        graph_name=name,
    )


def operation_names(model: Any) -> dict[int, str]:
    """The name of each operation code of a flatbuffer."""
    tf2onnx()
    from tf2onnx import tflite_utils

    return _opcodes(model, tflite_utils)


def _opcodes(model: Any, tflite_utils: Any) -> dict[int, str]:
    codes = {}
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        number = code.DeprecatedBuiltinCode()
        name = tflite_utils.lookup_enum(number, "BuiltinOperator")
        if name == "PLACEHOLDER_FOR_GREATER_OP_CODES":
            name = tflite_utils.lookup_enum(code.BuiltinCode(), "BuiltinOperator")
        codes[index] = code.CustomCode().decode() if name == "CUSTOM" else name
    return codes


def _called(model: Any, main: int, tflite_utils: Any) -> list[int]:
    """The subgraphs that `main` calls, callees first."""
    order: list[int] = []

    def visit(index: int) -> None:
        for callee in tflite_utils.get_subgraph_dependencies(model, index):
            if callee not in order:
                visit(callee)
                order.append(callee)

    visit(main)
    return order
