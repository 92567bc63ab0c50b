"""MXNet models converted in their own environment, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.certificates import check_certificate
from zoo.detect import detect
from zoo.errors import (
    MissingInputError,
    UnsafeFileError,
    UnsupportedFileError,
    UnsupportedModelError,
    UsageError,
)
from zoo.records import TensorSpec, VerifiedModel
from zoo.safety import assess

pytestmark = pytest.mark.network

PICTURES = "data:float32[batch,3,16,16]"
ROWS = "data:float32[batch,8]"


@pytest.fixture
def saved(environment: Callable, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test's own with all models, which the environment's MXNet saved."""
    built = environment("mxnet")
    made = tmp_path_factory.getbasetemp() / "mxnet-models"
    if not made.exists():
        made.mkdir()
        script = Path(__file__).with_name("make_models.py")
        subprocess.run([str(built.interpreter), "-I", str(script), str(made)], check=True)
    return Path(shutil.copytree(made, tmp_path / "models"))


def converted(source: Path, *inputs: str, **options: object) -> VerifiedModel:
    return zoo.convert(source, source.parent / "model.onnx", input=list(inputs), **options)  # type: ignore[arg-type]


def batches(verified: VerifiedModel) -> set[int]:
    assert verified.report is not None
    return {case.case.batch for case in verified.report.cases if case.passed}


def test_a_gluon_export_is_verified_at_several_batch_sizes(saved: Path) -> None:
    verified = converted(saved / "gluon-symbol.json", PICTURES)
    assert {1, 2, 7} <= batches(verified)
    assert (verified.model.opset, verified.model.ir_version) == (13, 8)
    assert verified.report.environment.name == "mxnet"


def test_changed_parameters_are_noticed_beside_the_same_symbol(saved: Path) -> None:
    symbol, parameters = saved / "two-symbol.json", saved / "two-0000.params"
    verified = converted(symbol)
    assert check_certificate(verified.path, symbol).passed
    assert check_certificate(verified.path, parameters).passed
    parameters.write_bytes((saved / "classifier-0000.params").read_bytes())
    (problem,) = check_certificate(verified.path, symbol).problems
    assert problem == "two-0000.params is not the file that the model was made from"


def test_a_symbol_is_audited_before_it_is_loaded(saved: Path) -> None:
    symbol, parameters = saved / "gluon-symbol.json", saved / "gluon-0000.params"
    assert [assess(path, detect(path)).verdict for path in (symbol, parameters)] == ["allowed", "allowed"]
    graph = json.loads(symbol.read_text())
    graph["nodes"][-1]["op"] = "Custom"
    symbol.write_text(json.dumps(graph))
    for path in (symbol, parameters):
        assert assess(path, detect(path)).reasons == ("the operation 'Custom'",)


def test_the_parameters_lead_to_their_symbol(saved: Path) -> None:
    assert converted(saved / "gluon-0000.params", PICTURES).report.passed


def test_defaults_that_the_exporter_loses_are_kept(saved: Path) -> None:
    assert {1, 2, 7} <= batches(converted(saved / "normalised-symbol.json", "data:float32[batch,4,8,8]"))


def test_a_loss_layer_answers_without_its_label(saved: Path) -> None:
    verified = converted(saved / "classifier-symbol.json", ROWS)
    assert verified.model.signature.inputs == (TensorSpec("data", "float32", ("batch", 8)),)
    assert verified.model.signature.outputs == (TensorSpec("softmax_output", "float32", ("batch", 4)),)


def test_outputs_keep_the_symbols_order_and_names(saved: Path) -> None:
    verified = converted(saved / "two-symbol.json")
    assert [spec.name for spec in verified.model.signature.outputs] == ["z_output", "a_output"]


def test_the_shape_that_a_symbol_states_is_taken_its_first_axis_free(saved: Path) -> None:
    assert {1, 2, 7} <= batches(converted(saved / "two-symbol.json"))


def test_indices_lie_within_their_table(saved: Path) -> None:
    verified = converted(saved / "words-symbol.json", "data:float32[batch,7]")
    assert {1, 2, 7} <= batches(verified)


def test_a_sample_says_the_shapes(saved: Path) -> None:
    sample = saved / "sample.npz"
    np.savez(sample, data=np.random.default_rng(0).random((4, 8)))
    verified = converted(saved / "classifier-symbol.json", sample=sample)
    assert "sample" in {case.case.family for case in verified.report.cases}


def test_shapes_that_nothing_says_are_asked_for(saved: Path) -> None:
    with pytest.raises(MissingInputError, match=r"shapes of its inputs \(data\)") as caught:
        converted(saved / "gluon-symbol.json")
    assert "--input 'data:float32[batch,3,224,224]'" in str(caught.value.hint)


def test_a_wrong_shape_is_refused_with_the_models_words(saved: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"accepts none of the sizes .*data:float32\[batch,9\]"):
        converted(saved / "classifier-symbol.json", "data:float32[batch,9]")


def test_an_unknown_input_is_refused(saved: Path) -> None:
    with pytest.raises(UsageError, match="no input 'pixels'"):
        converted(saved / "classifier-symbol.json", "pixels:float32[batch,8]")


@pytest.mark.parametrize(
    ("given", "missing"),
    [("gluon-symbol.json", "gluon-0000.params"), ("gluon-0000.params", "gluon-symbol.json")],
)
def test_one_file_without_the_other_is_refused(given: str, missing: str, saved: Path) -> None:
    (saved / missing).unlink()
    with pytest.raises(UnsupportedFileError, match="not beside it") as caught:
        converted(saved / given, PICTURES)
    assert missing in str(caught.value.hint)


def test_parameters_cut_off_are_refused(saved: Path) -> None:
    parameters = saved / "gluon-0000.params"
    parameters.write_bytes(parameters.read_bytes()[:-9])
    with pytest.raises(UnsupportedFileError, match="MXNet cannot read"):
        converted(parameters, PICTURES)


def test_parameters_of_another_model_are_refused(saved: Path) -> None:
    shutil.copy(saved / "classifier-0000.params", saved / "gluon-0000.params")
    with pytest.raises(UnsupportedFileError, match=r"does not belong to gluon-symbol\.json"):
        converted(saved / "gluon-symbol.json", PICTURES)


def test_several_epochs_ask_which(saved: Path) -> None:
    shutil.copy(saved / "classifier-0000.params", saved / "classifier-0003.params")
    with pytest.raises(MissingInputError, match="several epochs"):
        converted(saved / "classifier-symbol.json", ROWS)
    assert converted(saved / "classifier-symbol.json", ROWS, options={"epoch": 3}).report.passed


def test_an_operation_without_an_onnx_form_is_named(saved: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="GroupNorm"):
        converted(saved / "unknown-symbol.json", "data:float32[batch,4,8,8]")


def test_an_opset_that_the_exporter_does_not_know_is_refused(saved: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="does not write opset 17"):
        converted(saved / "classifier-symbol.json", ROWS, opset=17)


@pytest.mark.parametrize("operation", ["Custom", "_Native", "_NDArray", "_CustomFunction", "_cvimread"])
def test_a_symbol_that_reaches_beyond_the_model_is_refused(operation: str, saved: Path) -> None:
    path = saved / "classifier-symbol.json"
    graph = json.loads(path.read_text())
    graph["nodes"][-1]["op"] = operation
    path.write_text(json.dumps(graph))
    with pytest.raises(UnsafeFileError, match=f"operation '{operation}'"):
        converted(path, ROWS)
