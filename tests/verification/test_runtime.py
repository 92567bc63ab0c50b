from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.verification.graphs import endless_loop, model, nested_bomb, save, seeded_mlp, value
from zoo.errors import CheckError, VerificationError
from zoo.tensors import load_tensors, save_tensors
from zoo.verification.runtime import Session, run


@pytest.fixture
def mlp(tmp_path):
    return save(seeded_mlp(), tmp_path)


@pytest.mark.parametrize("optimisation", ["none", "basic", "extended", "all"])
def test_a_model_gives_its_outputs_by_name_at_every_level(mlp, optimisation):
    outputs = run(mlp, {"x": np.ones((2, 5), np.float32)}, optimisation=optimisation)
    assert list(outputs) == ["probabilities", "total"]
    assert outputs["probabilities"].sum(axis=1) == pytest.approx([1, 1])


def test_only_the_outputs_asked_for_come(mlp):
    assert list(run(mlp, {"x": np.ones((2, 5), np.float32)}, ["total"])) == ["total"]


def test_a_missing_input_is_named(mlp):
    with pytest.raises(VerificationError, match="'x'"):
        run(mlp, {"y": np.ones((2, 5), np.float32)})


def test_a_wrong_shape_is_a_verification_error_on_one_line(mlp):
    with pytest.raises(VerificationError) as caught:
        run(mlp, {"x": np.ones((2, 4), np.float32)})
    assert "\n" not in caught.value.message


def test_a_file_that_is_no_model_is_a_check_error(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(CheckError, match="does not load"):
        Session(path)


def test_a_sequence_of_maps_becomes_columns_in_the_order_of_the_classes(tmp_path):
    maps = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[10, 9, 100])
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    path = save(model([node], [maps], [helper.make_value_info("y", kind)], domains=["ai.onnx.ml"]), tmp_path)
    given = run(path, {"x": np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], np.float32)})["y"]
    assert np.array_equal(given, np.array([[0.2, 0.1, 0.7], [0.3, 0.5, 0.2]], np.float32))


def test_text_comes_back_as_unicode_that_can_be_saved(tmp_path):
    text = TensorProto.STRING
    node = helper.make_node("Identity", ["x"], ["y"])
    path = save(model([node], [value("x", ["n"], text)], [value("y", ["n"], text)]), tmp_path)
    given = run(path, {"x": np.array(["naïve", "東京", ""])})
    save_tensors(tmp_path / "given.npz", given)
    assert load_tensors(tmp_path / "given.npz")["y"].tolist() == ["naïve", "東京", ""]


@pytest.mark.parametrize("element", [TensorProto.BFLOAT16, TensorProto.FLOAT16])
def test_half_formats_are_fed_and_read(tmp_path, element):
    node = helper.make_node("Identity", ["x"], ["y"])
    path = save(model([node], [value("x", ["n"], element)], [value("y", ["n"], element)]), tmp_path)
    session = Session(path)
    fed = np.array([1.5, -2.0, 0.0], np.float16 if element == TensorProto.FLOAT16 else np.float32)
    assert session.run({"x": fed})["y"].tolist() == [1.5, -2.0, 0.0]


def test_a_sequence_of_unlike_tensors_becomes_one_output_for_each(tmp_path):
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    node = helper.make_node("SequenceConstruct", ["a", "b"], ["y"])
    inputs = [value("a", ["n"]), value("b", ["m"])]
    path = save(model([node], inputs, [helper.make_value_info("y", kind)]), tmp_path)
    given = run(path, {"a": np.ones(2, np.float32), "b": np.zeros(3, np.float32)})
    assert {name: array.shape for name, array in given.items()} == {"y.0": (2,), "y.1": (3,)}


def test_hostile_graphs_are_what_the_tests_say_they_are():
    assert len(nested_bomb(26).SerializeToString()) < 4000
    assert len(endless_loop().SerializeToString()) < 400


def test_a_graph_of_nothing_is_called_that():
    empty = onnx.helper.make_model(
        onnx.helper.make_graph([], "empty", [], []),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    with pytest.raises(CheckError, match="its graph has no outputs"):
        Session(empty.SerializeToString())
