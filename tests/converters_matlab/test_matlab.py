"""MATLAB's exports are repaired, and held to what MATLAB answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import scipy.io.matlab
from onnx import helper

import zoo
from converters import matlab_repairs
from converters.matlab_files import arranged, read_mat
from tests.converters_matlab.exports import (
    model,
    save_v5,
    save_v73,
    small_cnn,
    small_cnn_answer,
    written,
)
from zoo.detect import detect
from zoo.errors import (
    MissingInputError,
    UnsupportedFileError,
    UnsupportedModelError,
    UsageError,
    VerificationError,
)
from zoo.records import TensorSpec, VerificationReport


def images(rows: int = 4) -> Any:
    """In MATLAB's order: height, width, channels, batch."""
    return np.random.default_rng(1).random((8, 8, 3, rows)).astype(np.float32)


def answers(rows: int = 4) -> Any:
    return small_cnn_answer(images(rows).transpose(3, 2, 0, 1)).astype(np.float32)


def compared(report: VerificationReport) -> dict[str, Any]:
    return {case.case.name: case.outputs for case in report.cases if case.outputs}


# --- end to end -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("opset", "save"), [(6, save_v5), (8, save_v73), (14, save_v5)])
def test_an_export_of_any_age_computes_what_matlab_answered(opset, save, tmp_path):
    path = written(tmp_path, small_cnn(opset))
    save(tmp_path / "net.mat", {"X": images(), "Y": answers()})

    verified = zoo.convert(path, tmp_path / "out.onnx")

    assert verified.report.verdict == "verified"
    assert {"sample-4", "typical-1", "typical-7", "typical-300"} <= compared(verified.report).keys()
    assert 0 < compared(verified.report)["sample-4"][0].max_abs < 1e-5  # two computations, not one
    assert (verified.model.opset, verified.model.signature.inputs[0].shape[0]) == (17, "BatchSize")
    assert verified.report.reference.startswith("MATLAB's answers")


def test_another_answer_of_matlabs_is_a_mismatch(tmp_path):
    path = written(tmp_path, small_cnn(8))
    wrong = answers()
    wrong[2, 1] += 1e-3
    save_v5(tmp_path / "net.mat", {"X": images(), "Y": wrong})

    with pytest.raises(VerificationError):
        zoo.convert(path, tmp_path / "out.onnx")

    assert not (tmp_path / "out.onnx").exists()


def test_without_a_mat_file_the_hint_gives_matlabs_commands(tmp_path):
    path = written(tmp_path, small_cnn(8))

    with pytest.raises(MissingInputError, match=r"no net\.mat beside it") as caught:
        zoo.convert(path, tmp_path / "out.onnx")

    assert 'exportONNXNetwork(net, "net.onnx"' in caught.value.hint
    assert 'save("net.mat", "X", "Y"' in caught.value.hint


def test_the_file_itself_can_be_the_reference_and_the_report_says_so(tmp_path):
    path = written(tmp_path, small_cnn(8))

    verified = zoo.convert(path, tmp_path / "out.onnx", options={"reference": "file"})

    assert verified.report.passed
    assert any("no answers of MATLAB's" in note for note in verified.report.notes)


def test_a_fixed_batch_is_freed_on_request(tmp_path):
    path = written(tmp_path, reshaping_net(batch=1))

    verified = zoo.convert(path, tmp_path / "out.onnx", options={"reference": "file", "batch": "dynamic"})

    assert verified.report.passed
    assert {"typical-1", "typical-2", "typical-7"} <= compared(verified.report).keys()
    assert verified.model.signature.inputs[0].shape[0] == "batch"


def test_an_export_is_verified_against_its_answers_in_one_call(tmp_path):
    path = written(tmp_path, small_cnn(14))
    save_v5(tmp_path / "answers.mat", {"X": images(), "Y": answers().T})  # K-by-N, as a dlnetwork gives

    report = zoo.verify(path, options={"reference": "answers.mat"})

    assert report.passed


def test_sequences_come_in_the_order_that_the_file_states(tmp_path):
    path = written(tmp_path, lstm(opset=8))
    x = np.random.default_rng(2).normal(size=(3, 2, 6)).astype(np.float32)  # C, B, T
    y = lstm_answer(x.transpose(2, 1, 0)).transpose(2, 1, 0)
    save_v5(tmp_path / "net.mat", {"X": x, "Y": y, "Xformat": "CBT", "Yformat": "CBT"})

    verified = zoo.convert(path, tmp_path / "out.onnx")

    assert verified.report.passed
    assert any(name.startswith("sample") for name in compared(verified.report))


def test_data_alone_is_refused(tmp_path):
    save_v5(tmp_path / "net.mat", {"X": images()})

    with pytest.raises(UnsupportedFileError, match="data, not a model"):
        zoo.convert(tmp_path / "net.mat", tmp_path / "out.onnx")


# --- MAT-files ------------------------------------------------------------------------------------

REAL = Path(scipy.io.matlab.__file__).parent / "tests" / "data"
"""Files that MATLAB 4.2 to 7.4 wrote; scipy ships them."""


@pytest.mark.skipif(not REAL.is_dir(), reason="this scipy was installed without its tests' data")
@pytest.mark.parametrize(
    ("name", "variable", "shape"),
    [
        ("testdouble_4.2c_SOL2.mat", "testdouble", (1, 9)),
        ("testdouble_6.1_SOL2.mat", "testdouble", (1, 9)),
        ("test3dmatrix_7.1_GLNX86.mat", "test3dmatrix", (2, 3, 4)),
        ("testhdf5_7.4_GLNX86.mat", "testdouble", (1, 9)),
    ],
)
def test_files_that_matlab_wrote_are_read_with_matlabs_axes(name, variable, shape):
    found = read_mat(REAL / name)

    assert found[variable].shape == shape


def test_both_containers_give_the_same_variables(tmp_path):
    variables = {"X": images(), "Y": answers(), "Xformat": "SSCB"}
    save_v5(tmp_path / "a.mat", variables)
    save_v73(tmp_path / "b.mat", variables)

    old, new = read_mat(tmp_path / "a.mat"), read_mat(tmp_path / "b.mat")

    assert old.keys() == new.keys()
    assert old["Xformat"] == new["Xformat"] == "SSCB"
    assert np.array_equal(old["X"], new["X"])


def test_a_damaged_mat_file_is_refused(tmp_path):
    save_v5(tmp_path / "a.mat", {"X": images()})
    (tmp_path / "a.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:1000])

    with pytest.raises(UnsupportedFileError, match="cannot be read as a MAT-file"):
        read_mat(tmp_path / "a.mat")


def test_a_file_without_the_variables_names_those_it_has(tmp_path):
    path = written(tmp_path, small_cnn(8))
    save_v5(tmp_path / "net.mat", {"photo": images(), "Y": answers()})

    with pytest.raises(UsageError, match=r"no variable data or X or X1; it has Y, photo"):
        zoo.convert(path, tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("shape", "order", "spec", "expected"),
    [
        ((8, 9, 3), "SSCB", ("batch", 3, 8, 9), (1, 3, 8, 9)),  # MATLAB drops the last axis of size one
        ((7, 4), "CB", ("batch", 7), (4, 7)),
        ((7, 4), "CB", ("batch", 7, 1, 1), (4, 7, 1, 1)),
        ((3, 2, 6), "CBT", ("t", "batch", 3), (6, 2, 3)),
        ((5, 5, 5, 2, 3), "SSSCB", ("batch", 2, 5, 5, 5), (3, 2, 5, 5, 5)),
    ],
)
def test_axes_are_put_into_onnxs_order(shape, order, spec, expected):
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)

    result = arranged(array, TensorSpec("x", "float32", spec), order, "X")

    assert (result.shape, result.dtype) == (expected, np.float32)
    if order == "SSCB":
        assert result[0, 2, 7, 8] == array[7, 8, 2]


def test_arrays_that_do_not_fit_are_refused_with_both_shapes():
    with pytest.raises(UsageError, match=r"\[4, 3, 9, 8\] in ONNX's order, the graph wants"):
        arranged(np.zeros((9, 8, 3, 4)), TensorSpec("x", "float32", ("batch", 3, 8, 9)), "SSCB", "X")


# --- repairs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize(("axis", "shape"), [(1, (3,)), (0, (2,)), (2, (4, 5)), (-1, (5,)), (1, (3, 4))])
def test_the_broadcasting_of_opset_six_is_kept(operation, axis, shape):
    b = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    node = helper.make_node(operation, ["x", "b"], ["y"], broadcast=1, axis=axis)
    old = model([node], {"b": b}, {"x": (2, 3, 4, 5)}, {"y": (2, 3, 4, 5)}, 6)
    x = np.random.default_rng(4).normal(size=(2, 3, 4, 5)).astype(np.float32)

    repaired, notes = matlab_repairs.at_opset(old, None)

    first = axis % 4
    expected = b.reshape((1,) * first + shape + (1,) * (4 - first - len(shape)))
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[operation]
    assert np.array_equal(run(repaired, x), function(x, expected))
    assert "opset 6 was brought to 7" in notes[0]


def test_the_slope_of_a_prelu_stays_with_its_channel():
    slope = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    old = model(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        {"slope": slope},
        {"x": (2, 3, 3, 3)},
        {"y": (2, 3, 3, 3)},
        6,
    )
    x = np.random.default_rng(5).normal(size=(2, 3, 3, 3)).astype(np.float32)

    repaired, _ = matlab_repairs.at_opset(old, None)

    assert np.array_equal(run(repaired, x), np.where(x < 0, x * slope.reshape(1, 3, 1, 1), x))


def test_softmax_of_old_opsets_keeps_its_meaning_on_images():
    shape = ("N", 3, 2, 2)
    old = model([helper.make_node("Softmax", ["x"], ["y"], axis=1)], {}, {"x": shape}, {"y": shape}, 8)
    x = np.random.default_rng(6).normal(size=(2, 3, 2, 2)).astype(np.float32)

    repaired, _ = matlab_repairs.at_opset(old, None)

    exps = np.exp(x.reshape(2, -1))  # before opset 13 all axes from `axis` on were one
    assert matlab_repairs.opset_of(repaired) == 17
    assert np.allclose(run(repaired, x).reshape(2, -1), exps / exps.sum(axis=1, keepdims=True), atol=1e-6)


def test_an_opset_out_of_reach_is_refused_with_the_export_that_reaches_it(tmp_path):
    with pytest.raises(UnsupportedModelError, match="opset 99 cannot be reached from opset 8") as caught:
        matlab_repairs.at_opset(small_cnn(8), 99)

    assert "OpsetVersion" in caught.value.hint


def test_the_source_of_a_repair_is_left_alone():
    source = small_cnn(6)
    before = source.SerializeToString()

    matlab_repairs.at_opset(source, None)

    assert source.SerializeToString() == before


def test_weights_are_no_inputs_and_the_producer_is_ours():
    repaired, _ = matlab_repairs.at_opset(small_cnn(8), None)

    assert [value.name for value in repaired.graph.input] == ["data"]
    assert (repaired.producer_name, repaired.ir_version) == ("zoo", 8)


def test_the_producer_tells_a_file_of_matlabs(tmp_path):
    found = detect(written(tmp_path, small_cnn(9)))

    assert (found.framework, found.kind) == ("matlab", "onnx")
    assert found.details["versions"] == {"MATLAB's exporter": "22.2.4 (R2022b)"}


# --- graphs ---------------------------------------------------------------------------------------


def run(proto: onnx.ModelProto, x: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def reshaping_net(batch: int) -> onnx.ModelProto:
    """A fixed batch that also stands in the shape of a Reshape."""
    random = np.random.default_rng(7)
    weights = {"shape": np.array([batch, 12]), "W": random.normal(size=(4, 12)), "B": random.normal(size=4)}
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "W", "B"], ["y"], transB=1),
    ]
    return model(nodes, weights, {"x": (batch, 3, 2, 2)}, {"y": (batch, 4)}, 9)


def _lstm_weights() -> dict[str, Any]:
    random = np.random.default_rng(8)
    return {
        "W": random.normal(size=(1, 16, 3)),
        "R": random.normal(size=(1, 16, 4)),
        "B": random.normal(size=(1, 32)),
    }


def lstm(opset: int) -> onnx.ModelProto:
    """[T, N, 3] → [T, N, 4]."""
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R", "B"], ["h"], hidden_size=4),
        helper.make_node("Squeeze", ["h"], ["y"], axes=[1]),
    ]
    shape = ("SequenceLength", "BatchSize")
    return model(nodes, _lstm_weights(), {"x": (*shape, 3)}, {"y": (*shape, 4)}, opset)


def lstm_answer(x: Any) -> Any:
    """The ONNX definition: gates i, o, f, c in this order."""
    w = {name: array.astype(np.float32)[0].astype(np.float64) for name, array in _lstm_weights().items()}
    h = c = np.zeros((x.shape[1], 4))
    steps = []
    for row in x.astype(np.float64):
        i, o, f, g = np.split(row @ w["W"].T + h @ w["R"].T + w["B"][:16] + w["B"][16:], 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        steps.append(h)
    return np.stack(steps).astype(np.float32)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))
