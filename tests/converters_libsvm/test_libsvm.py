"""LIBSVM's models give in ONNX the labels, decisions and probabilities that LIBSVM gives."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from converters import libsvm_files
from zoo.errors import UnsupportedFileError, UnsupportedModelError, UsageError

CLASSES = {"label", "scores"}
CHANCES = {*CLASSES, "probabilities", "probability_label"}


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("rbf3", CHANCES),
        ("rbf2", CHANCES),
        ("linear", CLASSES),
        ("poly", CLASSES),
        ("sigmoid", CLASSES),
        ("one_class", CLASSES),
        ("svr", {"variable"}),
        ("nu_svr", {"variable"}),
    ],
)
def test_every_kind_of_model_is_verified_in_float64(name, outputs, svm, tmp_path):
    verified = zoo.convert(svm(name), tmp_path / "o.onnx")

    assert verified.report.verdict == "verified"
    assert {spec.name for spec in verified.model.signature.outputs} == outputs
    assert verified.report.reference == "libsvm 3.37.0"
    found = [output for case in verified.report.cases for output in case.outputs]
    assert all(output.agreement == 1.0 for output in found if output.output.endswith("label"))
    assert all(output.max_abs < 1e-12 for output in found if output.output == "probabilities")


@pytest.mark.network
def test_features_that_no_support_vector_has_count_for_a_radial_kernel(svm, tmp_path):
    verified = zoo.convert(svm("rbf2"), tmp_path / "o.onnx", options={"features": 9})

    assert verified.report.passed
    assert verified.model.signature.inputs[0].shape == ("batch", 9)


@pytest.mark.network
def test_float32_rows_are_taken_where_asked(svm, tmp_path):
    verified = zoo.convert(svm("linear"), tmp_path / "o.onnx", input=["rows:float32[batch,5]"])

    assert verified.report.passed
    assert (verified.model.signature.inputs[0].name, verified.model.signature.inputs[0].dtype) == (
        "rows",
        "float32",
    )


@pytest.mark.network
def test_another_width_is_refused_with_the_option_that_gives_it(svm, tmp_path):
    with pytest.raises(UsageError, match=r"one input \[batch, 5\]") as caught:
        zoo.convert(svm("linear"), tmp_path / "o.onnx", input=["X:float64[batch,8]"])

    assert "features=N" in caught.value.hint


@pytest.mark.network
def test_a_precomputed_kernel_is_refused(svm, tmp_path):
    text = svm("linear").read_text().replace("kernel_type linear", "kernel_type precomputed")
    (tmp_path / "k.model").write_text(text)

    with pytest.raises(UnsupportedModelError, match="a precomputed kernel"):
        zoo.convert(tmp_path / "k.model", tmp_path / "o.onnx")


# --- the parser -------------------------------------------------------------------------------------

SMALL = """svm_type c_svc
kernel_type rbf
gamma 0.5
nr_class 2
total_sv 3
rho 0.25
label 1 -1
nr_sv 2 1
SV
0.5 1:0.125 3:-2
0.5 2:1e-3
-1 1:4 2:5 3:6
"""


def parsed(tmp_path, text: str):
    (tmp_path / "m.model").write_text(text)
    return libsvm_files.read(tmp_path / "m.model")


def test_absent_features_are_zero(tmp_path):
    model = parsed(tmp_path, SMALL)

    assert np.array_equal(model.vectors, [[0.125, 0, -2], [0, 1e-3, 0], [4, 5, 6]])
    assert (model.gamma, model.labels.tolist(), model.gives_probabilities) == (0.5, [1, -1], False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("-1 1:4 2:5 3:6\n", ""), "2 support vectors, its header says 3"),
        (("SV\n", ""), "its header ends without SV"),
        (("rho 0.25", "rho 0.25 1"), "rho has 2 values, 1 are needed"),
        (("nr_sv 2 1", "nr_sv 2 2"), "nr_sv sums to 4, there are 3 vectors"),
        (("c_svc", "c_svm"), "unknown 'c_svm'"),
        (("gamma 0.5\nnr_class 2", "gamma 0.5"), "it has no 'nr_class'"),
        (("1:4", "1:x"), "could not convert string to float"),
        (("1:4", "-7:4"), "a feature has the index"),
        (("1:4", "999999999999:4"), "a feature has the index"),
    ],
)
def test_damage_is_named(change, reason, tmp_path):
    with pytest.raises(UnsupportedFileError, match=reason):
        parsed(tmp_path, SMALL.replace(*change))


def test_a_sparse_model_that_would_fill_the_memory_is_refused(tmp_path):
    rows = "".join(f"1 {1000 * i + 1}:1\n" for i in range(1, 5000))
    text = SMALL[: SMALL.index("total_sv")] + f"total_sv 4999\nrho 0\nlabel 1 -1\nnr_sv 4998 1\nSV\n{rows}"

    with pytest.raises(UnsupportedModelError, match="4999 support vectors of 4999001 features"):
        parsed(tmp_path, text)
