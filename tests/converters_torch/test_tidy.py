"""An exporter's graph made presentable: names, shapes, nothing of the author's machine."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from converters import onnx_tidy
from zoo.records import TensorSpec

FLOAT = TensorProto.FLOAT


def graph_of(nodes: list[onnx.NodeProto], inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    values = {name: helper.make_tensor_value_info(name, FLOAT, ["n"]) for name in [*inputs, *outputs]}
    graph = helper.make_graph(nodes, "g", [values[n] for n in inputs], [values[n] for n in outputs])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def specs(*names: str) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name, "float32", ("n",)) for name in names)


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


ONE = np.ones(2, np.float32)


def test_an_input_that_the_exporter_left_out_is_put_back_in_its_place() -> None:
    model = graph_of([helper.make_node("Neg", ["b"], ["y"])], ["b"], ["y"])
    onnx_tidy.name_inputs(model, specs("a", "b"))
    assert [value.name for value in model.graph.input] == ["a", "b"]
    assert run(model, a=ONE, b=ONE)[0].tolist() == [-1, -1]


def test_inputs_may_swap_their_names() -> None:
    model = graph_of([helper.make_node("Sub", ["a", "b"], ["y"])], ["a", "b"], ["y"])
    onnx_tidy.name_inputs(model, specs("b", "a"))
    assert run(model, b=3 * ONE, a=ONE)[0].tolist() == [2, 2]


def test_an_input_and_one_value_twice_may_be_outputs() -> None:
    model = graph_of([helper.make_node("Neg", ["x"], ["y"])], ["x"], ["x", "y"])
    model.graph.output.add().CopyFrom(model.graph.output[1])
    onnx_tidy.name_outputs(model, specs("same", "first", "second"))
    assert [value.name for value in model.graph.output] == ["same", "first", "second"]
    assert [array.tolist() for array in run(model, x=ONE)] == [[1, 1], [-1, -1], [-1, -1]]


def test_a_weight_or_value_with_an_outputs_name_gives_way() -> None:
    nodes = [helper.make_node("Neg", ["x"], ["output"]), helper.make_node("Exp", ["output"], ["y"])]
    model = graph_of(nodes, ["x"], ["y"])
    onnx_tidy.name_outputs(model, specs("output"))
    assert np.allclose(run(model, x=ONE)[0], np.exp(-1))


def test_a_renamed_value_is_renamed_in_the_branches_that_read_it() -> None:
    branches = {
        key: helper.make_graph(
            [helper.make_node(kind, ["x"], ["out"])],
            key,
            [],
            [helper.make_tensor_value_info("out", FLOAT, None)],
        )
        for key, kind in (("then_branch", "Neg"), ("else_branch", "Exp"))
    }
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=condition),
        helper.make_node("If", ["c"], ["y"], **branches),
    ]
    model = graph_of(nodes, ["x"], ["y"])
    onnx_tidy.name_inputs(model, specs("renamed"))
    assert run(model, renamed=ONE)[0].tolist() == [-1, -1]


def test_nothing_of_the_authors_machine_stays() -> None:
    node = helper.make_node("Neg", ["x"], ["y"], doc_string="/home/someone/net.py:3")
    node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/someone/net.py")
    model = graph_of([node], ["x"], ["y"])
    model.metadata_props.add(key="pkg.torch.onnx.x", value="/home/someone")
    model.metadata_props.add(key="kept", value="labels")
    model.graph.doc_string = "/home/someone"
    onnx_tidy.strip_provenance(model)
    assert b"someone" not in model.SerializeToString()
    assert [p.key for p in model.metadata_props] == ["kept"]
