"""Chainer chains converted in their own environment, the batch free, and what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import TensorSpec, VerifiedModel

pytestmark = pytest.mark.network

PICTURES = "x:float32[batch,3,16,16]"
ROWS = "x:float32[batch,8]"
HERE = Path(__file__).parent


@pytest.fixture
def saved(environment: Callable, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test's own with the chains' code and what the environment's Chainer saved."""
    built = environment("chainer")
    made = tmp_path_factory.getbasetemp() / "chainer-models"
    if not made.exists():
        made.mkdir()
        shutil.copy(HERE / "nets.py", made)
        argv = [str(built.interpreter), "-W", "ignore", str(HERE / "make_models.py")]
        variables = {**os.environ, **built.variables, "PYTHONPATH": str(made)}
        subprocess.run(argv, check=True, cwd=made, env=variables)
    return Path(shutil.copytree(made, tmp_path / "models"))


def converted(source: Path, *inputs: str, **options: object) -> VerifiedModel:
    output = source.parent / "model.onnx"
    return zoo.convert(source, output, input=list(inputs), **options)  # type: ignore[arg-type]


def empty(folder: Path) -> Path:
    """Parameters of a chain that has none, told from plain arrays by the slash."""
    path = folder / "none.npz"
    np.savez(path, **{"none/none": np.zeros(1, np.float32)})
    return path


def without_parameters(folder: Path, name: str, *inputs: str) -> VerifiedModel:
    return converted(empty(folder), *inputs, builder=f"nets.py:{name}", options={"strict": False})


def batches(verified: VerifiedModel) -> set[int]:
    assert verified.report is not None
    return {case.case.batch for case in verified.report.cases if case.passed}


def test_parameters_with_a_builder_are_verified_at_several_batch_sizes(saved: Path) -> None:
    verified = converted(saved / "Pictures.npz", PICTURES, builder="nets.py:Pictures")
    assert {1, 2, 7} <= batches(verified)
    assert verified.model.signature.outputs == (TensorSpec("output", "float32", ("batch", 5)),)
    assert (verified.model.opset, verified.report.environment.name) == (11, "chainer")


def test_a_state_that_starts_with_a_row_for_each_row_is_verified(saved: Path) -> None:
    verified = converted(saved / "Recurrent.npz", "x:float32[batch,5,8]", builder="nets.py:Recurrent")
    assert {1, 2, 7} <= batches(verified)
    assert [spec.name for spec in verified.model.signature.outputs] == ["z", "a"]


def test_rounding_that_a_normalisation_makes_large_is_known_for_noise(saved: Path) -> None:
    verified = converted(saved / "Normalised.npz", "x:float32[batch,5,8]", builder="nets.py:Normalised")
    bounds = {c.case.family: c.outputs[0].details["bound"] for c in verified.report.cases if c.outputs}
    assert verified.report.passed
    assert "large" in bounds
    assert bounds["typical"]["factor"] == 32.0  # measured against float64


def test_resizing_and_normalising_are_those_of_chainer(saved: Path) -> None:
    assert {1, 2, 7} <= batches(without_parameters(saved, "Resized", "x:float32[batch,3,8,8]"))


def test_the_chain_inside_a_classifier_is_found(saved: Path) -> None:
    assert converted(saved / "Classifier.npz", PICTURES, builder="nets.py:Pictures").report.passed


def test_a_pickled_chain_is_converted_with_its_code_at_hand(saved: Path) -> None:
    assert converted(saved / "Pictures.pickle", PICTURES, options={"classes": "nets.py"}).report.passed


def test_a_fixed_batch_stays_fixed(saved: Path) -> None:
    verified = converted(saved / "Pictures.npz", "x:float32[2,3,16,16]", builder="nets.py:Pictures")
    assert verified.model.signature.inputs[0].shape[0] == 2


def test_parameters_without_a_builder_are_refused(saved: Path) -> None:
    with pytest.raises(MissingInputError, match="holds parameters only") as caught:
        converted(saved / "Pictures.npz", PICTURES)
    assert "--builder" in str(caught.value.hint)


def test_shapes_that_nothing_says_are_asked_for(saved: Path) -> None:
    with pytest.raises(MissingInputError, match=r"shapes of its inputs \(x\)"):
        converted(saved / "Pictures.npz", builder="nets.py:Pictures")


def test_parameters_of_another_class_are_refused(saved: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="has no array 'cell/"):
        converted(saved / "Pictures.npz", PICTURES, builder="nets.py:Recurrent")


def test_parameters_of_another_size_are_refused(saved: Path) -> None:
    with pytest.raises((UnsupportedModelError, UsageError), match="does not fit the builder's chain"):
        converted(saved / "Pictures.npz", PICTURES, builder="nets.py:Pictures", builder_kwargs={"classes": 7})


def test_a_parameter_that_was_never_initialised_is_refused(saved: Path) -> None:
    with pytest.raises(UnsupportedFileError, match="cannot be read") as caught:
        converted(saved / "Uninitialised.npz", ROWS, builder="nets.py:Pictures")
    assert "never initialised" in str(caught.value.hint)


def test_parameters_cut_off_are_refused(saved: Path) -> None:
    path = saved / "Pictures.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UnsupportedFileError, match="damaged zip"):
        converted(path, PICTURES, builder="nets.py:Pictures")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Looping", "for another batch size"),
        ("Unsupported", "CReLU is not supported"),
        ("Drawing", "the model is random"),
    ],
)
def test_what_has_no_graph_is_refused_with_the_reason(name: str, reason: str, saved: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        without_parameters(saved, name, ROWS)


def test_another_dynamic_axis_than_the_batch_is_refused(saved: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="of a traced chain only the batch can be"):
        without_parameters(saved, "Resized", "x:float32[batch,3,height,8]")
