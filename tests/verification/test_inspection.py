from __future__ import annotations

import hashlib
import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.verification.graphs import model, nested_bomb, save, seeded_mlp, value
from zoo.errors import CheckError
from zoo.records import TensorSpec
from zoo.verification.inspection import check, check_expansion, inspect


def external(folder):
    proto = seeded_mlp()
    path = folder / "model.onnx"
    onnx.save(proto, str(path), save_as_external_data=True, location="weights.bin", size_threshold=64)
    return path


def test_facts_of_a_file(tmp_path):
    proto = seeded_mlp()
    proto.metadata_props.append(onnx.StringStringEntryProto(key="author", value="someone"))
    path = save(proto, tmp_path)
    facts = inspect(path)
    assert facts.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (facts.opset, facts.ir_version, facts.size) == (17, 8, path.stat().st_size)
    assert facts.signature.inputs == (TensorSpec("x", "float32", ("batch", 5)),)
    assert [spec.name for spec in facts.signature.outputs] == ["probabilities", "total"]
    assert facts.metadata == {"author": "someone"}
    assert len(facts.graph_digest) == 64


def test_an_initialiser_that_is_also_an_input_is_no_input(tmp_path):
    proto = seeded_mlp()
    proto.graph.input.append(value("b", [8]))
    assert [spec.name for spec in inspect(save(proto, tmp_path)).signature.inputs] == ["x"]


def test_a_good_file_passes(tmp_path):
    check(save(seeded_mlp(), tmp_path))


def test_good_external_data_passes(tmp_path):
    check(external(tmp_path))


def test_a_bomb_of_nested_functions_is_refused_before_anything_walks_it(tmp_path):
    path = save(nested_bomb(26), tmp_path)
    start = time.perf_counter()
    with pytest.raises(CheckError, match=r"expands to 1\d\d,\d{3},\d{3} nodes"):
        check(path)
    assert time.perf_counter() - start < 1


def test_an_honest_nest_of_functions_is_counted_exactly():
    assert check_expansion(nested_bomb(4)) == 1 + 2 + 4 + 8 + 16


def test_functions_that_call_each_other_in_a_circle_are_refused():
    imports = [helper.make_opsetid("f", 1)]

    def calling(name, other):
        return helper.make_function(
            "f", name, ["x"], ["y"], [helper.make_node(other, ["x"], ["y"], domain="f")], imports
        )

    functions = [calling("a", "b"), calling("b", "c"), calling("c", "a")]
    node = helper.make_node("a", ["x"], ["y"], domain="f")
    with pytest.raises(CheckError, match="calls itself"):
        check_expansion(
            model([node], [value("x", [1])], [value("y", [1])], domains=["f"], functions=functions)
        )


def test_two_functions_that_share_a_third_are_no_circle():
    assert check_expansion(nested_bomb(3, fan=3)) == 1 + 3 + 9 + 27


def test_an_operator_of_an_unknown_domain_is_named(tmp_path):
    node = helper.make_node("Frobnicate", ["x"], ["y"], domain="com.example")
    path = save(model([node], [value("x", [1])], [value("y", [1])], domains=["com.example"]), tmp_path)
    with pytest.raises(CheckError, match=r"Frobnicate.*com\.example"):
        check(path)


def test_an_operator_that_does_not_exist_is_refused(tmp_path):
    path = save(
        model([helper.make_node("Erfc", ["x"], ["y"])], [value("x", [1])], [value("y", [1])]), tmp_path
    )
    with pytest.raises(CheckError, match="Erfc"):
        check(path)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "missing.bin", "a\\..\\b"])
def test_external_data_elsewhere_is_refused(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    path = external(folder)
    (tmp_path / "weights.bin").write_bytes((folder / "weights.bin").read_bytes())
    proto = onnx.load(str(path), load_external_data=False)
    for tensor in [t for t in proto.graph.initializer if t.external_data]:
        tensor.external_data[0].value = location
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(CheckError, match="external data"):
        check(path)


def test_a_symbolic_link_as_external_data_is_refused(tmp_path):
    path = external(tmp_path)
    (tmp_path / "weights.bin").rename(tmp_path / "other.bin")
    (tmp_path / "weights.bin").symlink_to(tmp_path / "other.bin")
    with pytest.raises(CheckError, match="regular file"):
        check(path)


def test_external_data_that_is_too_short_is_refused(tmp_path):
    path = external(tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:-8])
    with pytest.raises(CheckError, match="needs bytes"):
        check(path)


def test_external_data_hidden_in_an_attribute_is_found(tmp_path):
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "t")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.append(onnx.StringStringEntryProto(key="location", value="../secret"))
    node = helper.make_node("Constant", [], ["y"])
    node.attribute.append(helper.make_attribute("value", tensor))
    path = save(model([node], [], [value("y", [1])]), tmp_path)
    with pytest.raises(CheckError, match="outside the model's folder"):
        check(path)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\x08\x08" * 50])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(CheckError):
        inspect(path)
