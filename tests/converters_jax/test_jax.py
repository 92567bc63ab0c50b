"""Checkpoints of JAX, with the function that reads them, compute in ONNX what JAX computes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import zoo
from converters.from_jax import JaxConverter
from converters.jax_programs import inputs_of
from zoo.detect import detect
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import Artifact, ConversionRequest, VerifiedModel

pytestmark = pytest.mark.network

IMAGE = "image:float32[batch,8,8,3]"


def cases(verified: VerifiedModel) -> set[str]:
    return {case.case.name for case in verified.report.cases if case.outputs}


def shapes(verified: VerifiedModel) -> dict[str, Any]:
    return {spec.name: spec.shape for spec in verified.model.signature.outputs}


@pytest.mark.parametrize("name", ["cnn.msgpack", "cnn_orbax"])
def test_a_convolutional_net_is_verified_at_every_batch_size(name, checkpoint, tmp_path):
    path = checkpoint(name)

    verified = zoo.convert(path, tmp_path / "o.onnx", builder="nets:cnn", input=[IMAGE])

    assert verified.report.verdict == "verified"
    assert {"typical-1", "typical-2", "typical-7"} <= cases(verified)
    assert (verified.model.opset, shapes(verified)) == (21, {"output": ("batch", 5)})
    assert "jax2onnx 0.17.1" in verified.report.reference


def test_a_recurrent_net_keeps_its_length_dynamic(checkpoint, tmp_path):
    path = checkpoint("recurrent.msgpack")

    verified = zoo.convert(
        path, tmp_path / "o.onnx", builder="nets:recurrent", input=["x:float32[batch,time,3]"]
    )  # fmt: skip

    assert verified.report.passed
    assert shapes(verified) == {"output": ("batch", "time", 8)}
    assert len({output.shape for case in verified.report.cases for output in case.outputs}) > 2


def test_a_training_state_is_read_without_its_optimiser(checkpoint, tmp_path):
    path = checkpoint("state.msgpack")

    verified = zoo.convert(
        path, tmp_path / "o.onnx", builder="nets:attention", input=["ids:int32[batch,length]"]
    )  # fmt: skip

    assert verified.report.passed
    assert verified.model.signature.inputs[0].dtype == "int32"


def test_an_nnx_module_gets_its_state_and_is_in_evaluation_mode(checkpoint, tmp_path):
    path = checkpoint("nnx.msgpack")

    verified = zoo.convert(path, tmp_path / "o.onnx", builder="nets:nnx_net", input=["x:float32[batch,6]"])

    assert verified.report.passed


def test_pickled_parameters_are_read_by_a_function_of_two_inputs(checkpoint, tmp_path):
    path = checkpoint("jax.pkl")

    verified = zoo.convert(
        path,
        tmp_path / "o.onnx",
        builder="nets:two_inputs",
        input=["x:float32[batch,6]", "y:float32[batch,4]"],
    )

    assert verified.report.passed
    assert shapes(verified) == {"sum": ("batch", 4), "total": ("batch",)}


def test_arguments_of_the_builder_reach_it(checkpoint, tmp_path):
    path = checkpoint("cnn.msgpack")

    with pytest.raises(UnsupportedModelError, match=r"JAX cannot trace the function.*\(128, 7\)"):
        zoo.convert(
            path, tmp_path / "o.onnx", builder="nets:cnn", builder_kwargs={"classes": 7}, input=[IMAGE]
        )  # fmt: skip


def test_a_comparison_with_a_dynamic_axis_is_refused_with_the_way_out(checkpoint, tmp_path):
    path = checkpoint("numpy.pkl")
    asked = {"framework": "jax", "builder": "nets:rounded"}

    with pytest.raises(UnsupportedModelError) as caught:
        zoo.convert(path, tmp_path / "o.onnx", input=["x:float32[batch,6]"], **asked)
    fixed = zoo.convert(path, tmp_path / "o.onnx", input=["x:float32[4,6]"], **asked)

    assert "Fix the axis" in caught.value.hint
    assert fixed.report.passed


def test_an_export_is_refused_for_it_holds_no_convertible_program():
    request = ConversionRequest(Artifact(Path("net.bin"), "", 0), "jax", "export")

    with pytest.raises(UnsupportedFileError, match="StableHLO, from which nothing converts to ONNX"):
        JaxConverter().load(request.artifact, request)


def test_parameters_without_their_function_are_refused():
    request = ConversionRequest(Artifact(Path("net.msgpack"), "", 0), "jax", "msgpack")

    with pytest.raises(MissingInputError, match="nothing of the function that uses them") as caught:
        JaxConverter().load(request.artifact, request)

    assert "--builder" in caught.value.hint


def test_inputs_that_nobody_states_are_asked_for():
    request = ConversionRequest(Artifact(Path("net.msgpack"), "", 0), "jax", "msgpack")

    with pytest.raises(MissingInputError, match="does not say the shapes") as caught:
        inputs_of(request)

    assert "--input" in caught.value.hint


def test_a_builder_of_something_else_is_refused(checkpoint, tmp_path):
    path = checkpoint("cnn.msgpack")

    with pytest.raises(UsageError, match="the builder gave a int"):
        zoo.convert(path, tmp_path / "o.onnx", builder="nets:number", input=[IMAGE])


def test_a_cut_checkpoint_is_refused(checkpoint, tmp_path):
    path = tmp_path / "cut.msgpack"
    path.write_bytes(checkpoint("cnn.msgpack").read_bytes()[:-100])

    with pytest.raises(UnsupportedFileError, match="cannot be read by Flax"):
        zoo.convert(path, tmp_path / "o.onnx", builder="json:loads", input=[IMAGE])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cnn.msgpack", "msgpack"),
        ("state.msgpack", "msgpack"),
        ("jax.pkl", "pickle"),
        ("exported.bin", "export"),
    ],
)
def test_files_are_known_by_their_content(name, kind, checkpoint, tmp_path):
    path = checkpoint(name)
    shutil.copy(path, tmp_path / "model.bin")

    found = detect(tmp_path / "model.bin")

    assert (found.framework, found.kind) == ("jax", kind)


def test_other_msgpack_files_are_not_taken_for_parameters(tmp_path):
    (tmp_path / "m.msgpack").write_bytes(b"\x81\xa4name\xa5value")

    with pytest.raises(UnsupportedFileError, match="no known model format"):
        detect(tmp_path / "m.msgpack")
