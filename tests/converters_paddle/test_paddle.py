"""Paddle models converted in their own environment, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.detect import detect
from zoo.errors import (
    MissingInputError,
    UnsafeFileError,
    UnsupportedFileError,
    UnsupportedModelError,
    UsageError,
    WorkerError,
)
from zoo.records import TensorSpec, VerifiedModel
from zoo.safety import assess

pytestmark = pytest.mark.network
Saved = Callable[..., Path]


def converted(source: Path, tmp_path: Path, **options: object) -> VerifiedModel:
    return zoo.convert(source, tmp_path / "model.onnx", **options)  # type: ignore[arg-type]


def batches(verified: VerifiedModel) -> set[int]:
    assert verified.report is not None
    return {case.case.batch for case in verified.report.cases if case.passed}


def test_a_program_of_paddle_3_is_verified_at_several_batch_sizes(saved: Saved, tmp_path: Path) -> None:
    verified = converted(saved("pictures") / "pictures.json", tmp_path)
    assert {1, 2, 7} <= batches(verified)
    assert verified.model.signature.inputs == (TensorSpec("x", "float32", ("batch", 3, 16, 16)),)
    assert verified.model.opset == 17
    assert verified.report.environment.name == "paddle"


def test_a_program_of_before_paddle_3_is_verified(saved: Saved, tmp_path: Path) -> None:
    verified = converted(saved("pictures", old=True) / "pictures.pdmodel", tmp_path)
    assert {1, 2, 7} <= batches(verified)


def test_the_parameters_lead_to_their_program(saved: Saved, tmp_path: Path) -> None:
    verified = converted(saved("linear") / "linear.pdiparams", tmp_path)
    assert verified.report.passed


def test_a_folder_and_an_opset_are_taken(saved: Saved, tmp_path: Path) -> None:
    verified = converted(saved("linear"), tmp_path, opset=20)
    assert (verified.model.opset, verified.report.passed) == (20, True)


def test_a_recurrent_model_is_verified_at_several_lengths(saved: Saved, tmp_path: Path) -> None:
    verified = converted(saved("words") / "words.json", tmp_path)
    (ids,) = verified.model.signature.inputs
    assert ids.shape == ("batch", "ids_dim1")
    session = zoo.load(verified.path)
    for length in (3, 11):
        answer = session(ids=np.full((2, length), 49, np.int64))
        assert next(iter(answer.values())).shape == (2, 3)


def test_functions_that_paddle2onnx_writes_as_others_are_right(saved: Saved, tmp_path: Path) -> None:
    verified = converted(saved("curves") / "curves.json", tmp_path)
    assert {case.case.family for case in verified.report.cases if case.passed} >= {"typical", "large"}


@pytest.mark.parametrize("old", [False, True])
def test_a_program_that_only_computes_passes_the_audit(saved: Saved, old: bool) -> None:
    folder = saved("pictures", old=old)
    for path in (folder, *folder.glob("*.json"), *folder.glob("*.pdmodel"), *folder.glob("*.pdiparams")):
        assert assess(path, detect(path)).allowed, path.name


def test_a_program_that_writes_files_is_named_before_it_is_loaded(saved: Saved) -> None:
    path = saved("writing", old=True) / "writing.pdmodel"
    assert assess(path, detect(path)).reasons == ("the operation 'save'",)


def test_a_dynamic_axis_may_be_fixed(saved: Saved, tmp_path: Path) -> None:
    verified = converted(saved("words") / "words.json", tmp_path, input=["ids:int64[batch,9]"])
    assert verified.model.signature.inputs == (TensorSpec("ids", "int64", ("batch", 9)),)


def test_an_axis_that_the_program_fixes_cannot_be_changed(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x:float32\[batch,8\].*cannot become"):
        converted(saved("linear") / "linear.json", tmp_path, input=["x:float32[batch,9]"])


def test_a_program_without_its_parameters_is_refused(saved: Saved, tmp_path: Path) -> None:
    folder = saved("linear")
    (folder / "linear.pdiparams").unlink()
    with pytest.raises(UnsupportedFileError, match="a program with 2 parameters, which are not beside it"):
        converted(folder / "linear.json", tmp_path)


def test_parameters_without_their_program_are_refused(saved: Saved, tmp_path: Path) -> None:
    folder = saved("linear")
    (folder / "linear.json").unlink()
    with pytest.raises(UnsupportedFileError, match="whose program is not beside it"):
        converted(folder / "linear.pdiparams", tmp_path)


def test_parameters_cut_off_are_refused_where_paddle_reads_on(saved: Saved, tmp_path: Path) -> None:
    folder = saved("linear")
    parameters = folder / "linear.pdiparams"
    parameters.write_bytes(parameters.read_bytes()[:-5])
    with pytest.raises(UnsupportedFileError, match="its last tensor needs 5 bytes more"):
        converted(folder / "linear.json", tmp_path)


def test_parameters_of_another_model_are_refused_at_load(saved: Saved, tmp_path: Path) -> None:
    folder = saved("linear")
    (folder / "linear.pdiparams").write_bytes((saved("words") / "words.pdiparams").read_bytes())
    with pytest.raises(UnsupportedFileError, match=r"saved linear\.json but cannot load it"):
        converted(folder / "linear.json", tmp_path)


def test_a_program_that_paddle_saved_but_cannot_run_is_refused(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="More than one shadow output named with x"):
        converted(saved("same") / "same.json", tmp_path)


def test_a_program_cut_off_is_refused(saved: Saved, tmp_path: Path) -> None:
    program = saved("pictures", old=True) / "pictures.pdmodel"
    program.write_bytes(program.read_bytes()[:-40])
    with pytest.raises(UnsupportedFileError):
        converted(program, tmp_path)


def test_a_folder_of_two_programs_asks_which(saved: Saved, tmp_path: Path) -> None:
    folder = saved("linear")
    for path in saved("words").iterdir():
        path.rename(folder / path.name)
    with pytest.raises(MissingInputError, match=r"several Paddle programs: linear\.json, words\.json"):
        converted(folder, tmp_path)


def test_an_operation_without_an_onnx_form_is_named(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="no ONNX form for the operation svd"):
        converted(saved("decomposed") / "decomposed.json", tmp_path)


def test_a_model_that_draws_random_numbers_is_refused(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="the model is random"):
        converted(saved("random") / "random.json", tmp_path)


def test_where_paddle2onnx_aborts_its_reason_is_told(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"paddle2onnx gave up: .*pd_op\.flip"):
        converted(saved("flipped") / "flipped.json", tmp_path)


def test_a_program_that_writes_files_is_refused_and_writes_none(saved: Saved, tmp_path: Path) -> None:
    folder = saved("writing", old=True)
    with pytest.raises(UnsafeFileError, match="operation 'save'"):
        converted(folder / "writing.pdmodel", tmp_path)
    assert [path.name for path in folder.iterdir()] == ["writing.pdmodel"]
