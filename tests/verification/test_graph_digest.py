from __future__ import annotations

import random

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.verification.graphs import choice, constant, model, nested_bomb, save, seeded_mlp, value
from zoo.errors import CheckError
from zoo.verification.graph_digest import graph_digest


def renamed(proto, seed):
    """The same computation: other names, another valid order of nodes, shuffled initialisers."""
    result = type(proto)()
    result.CopyFrom(proto)
    names: dict[str, str] = {}

    def new(name):
        return names.setdefault(name, f"v{seed}_{len(names)}") if name else ""

    rename(result.graph, new)
    order = random.Random(seed)
    nodes, known = list(result.graph.node), {""}
    known |= {item.name for item in (*result.graph.input, *result.graph.initializer)}
    shuffled = []
    while nodes:
        ready = [node for node in nodes if used(node) <= known]
        node = order.choice(ready)
        nodes.remove(node)
        shuffled.append(node)
        known |= set(node.output)
    del result.graph.node[:]
    result.graph.node.extend(shuffled)
    stored = list(result.graph.initializer)
    order.shuffle(stored)
    del result.graph.initializer[:]
    result.graph.initializer.extend(stored)
    return result


def used(node):
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            inner = {name for n in attribute.g.node for name in n.output}
            names |= {name for n in attribute.g.node for name in used(n)} - inner
    return names


def rename(graph, new):
    for item in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        item.name = new(item.name)
    for node in graph.node:
        node.name = new(node.name or "node")
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                rename(attribute.g, new)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), maker=st.sampled_from([seeded_mlp, choice]))
def test_names_and_order_do_not_count(seed, maker):
    proto = maker()
    assert graph_digest(renamed(proto, seed)) == graph_digest(proto)


def test_producer_doc_strings_and_metadata_do_not_count():
    proto = seeded_mlp()
    before = graph_digest(proto)
    proto.producer_name, proto.producer_version, proto.doc_string, proto.ir_version = "x", "2", "text", 9
    proto.graph.name, proto.graph.doc_string, proto.graph.node[0].doc_string = "g", "d", "/home/me/net.py:3"
    proto.metadata_props.append(onnx.StringStringEntryProto(key="time", value="now"))
    assert graph_digest(proto) == before


def test_the_way_a_tensor_is_stored_does_not_count(tmp_path):
    proto = seeded_mlp()
    before = graph_digest(proto)
    path = tmp_path / "model.onnx"
    onnx.save(proto, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    assert graph_digest(path) == before
    array = numpy_helper.to_array(seeded_mlp().graph.initializer[0])
    typed = seeded_mlp()
    typed.graph.initializer[0].ClearField("raw_data")
    typed.graph.initializer[0].float_data.extend(array.ravel().tolist())
    assert graph_digest(typed) == before


def change_weight(proto):
    array = numpy_helper.to_array(proto.graph.initializer[0]).copy()
    array.flat[0] = np.nextafter(array.flat[0], np.float32(9))
    proto.graph.initializer[0].CopyFrom(constant("w1", array))


def change_attribute(proto):
    proto.graph.node[4].attribute[0].i = 1


def change_operator(proto):
    proto.graph.node[2].op_type = "Sigmoid"


def change_topology(proto):
    proto.graph.node[5].input[0] = "sum"


def swap_outputs(proto):
    first, second = list(proto.graph.output)
    del proto.graph.output[:]
    proto.graph.output.extend([second, first])


def swap_addends(proto):
    proto.graph.node[1].input[:] = ["b", "product"]


def change_input_dtype(proto):
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def freeze_axis(proto):
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def change_opset(proto):
    proto.opset_import[0].version = 18


def drop_output(proto):
    del proto.graph.output[1]


def add_dead_node(proto):
    proto.graph.node.append(helper.make_node("Neg", ["sum"], ["unused"]))


@pytest.mark.parametrize(
    "change",
    [
        change_weight,
        change_attribute,
        change_operator,
        change_topology,
        swap_outputs,
        swap_addends,
        change_input_dtype,
        freeze_axis,
        change_opset,
        drop_output,
        add_dead_node,
    ],
)
def test_every_change_of_the_computation_counts(change):
    proto = seeded_mlp()
    before = graph_digest(proto)
    change(proto)
    assert graph_digest(proto) != before


def test_a_change_in_a_subgraph_counts():
    proto = choice()
    before = graph_digest(proto)
    proto.graph.node[2].attribute[0].g.node[0].op_type = "Sub"
    assert graph_digest(proto) != before


def test_exchanged_branches_count():
    proto = choice()
    before = graph_digest(proto)
    first, second = proto.graph.node[2].attribute
    first.name, second.name = second.name, first.name
    assert graph_digest(proto) != before


def test_a_change_in_a_function_counts_and_its_name_does_not():
    proto = nested_bomb(3)
    before = graph_digest(proto)
    proto.functions[2].name = "other"
    proto.graph.node[0].op_type = "other"
    assert graph_digest(proto) == before
    proto.functions[0].node[0].op_type = "Abs"
    assert graph_digest(proto) != before


def test_a_bomb_of_functions_costs_no_more_than_its_size():
    assert len(graph_digest(nested_bomb(40))) == 64


def test_names_of_dynamic_axes_do_not_count_but_which_are_equal_does():
    def two(first, second):
        node = helper.make_node("Concat", ["a", "b"], ["y"], axis=0)
        return model([node], [value("a", [first, 2]), value("b", [second, 2])], [value("y", [None, 2])])

    assert graph_digest(two("n", "n")) == graph_digest(two("batch", "batch"))
    assert graph_digest(two("n", "n")) != graph_digest(two("n", "m"))


def test_an_undefined_value_is_named(tmp_path):
    proto = seeded_mlp()
    proto.graph.node[0].input[0] = "nowhere"
    with pytest.raises(CheckError, match="nowhere"):
        graph_digest(save(proto, tmp_path))


def test_the_digest_of_the_first_version_of_the_algorithm_is_kept():
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    proto = model([node], [value("x", ["n", 3])], [value("y", ["n", 4])], [constant("w", weights)])
    assert graph_digest(proto) == "a166aa8d12faad8e56eb327a1ef615b5aeea17bbd8e6352ba9f14d2574560501"
