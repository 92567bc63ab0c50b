"""Core ML's trees, linear models, support vectors and pipelines compute what their specification says."""

from __future__ import annotations

import math
import struct

import numpy as np
import onnxruntime
import pytest

import zoo
from tests.converters_coreml import fitted
from zoo.errors import UnsupportedModelError

pytestmark = pytest.mark.network


def answers(path, **feeds):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def families(verified):
    return {case.case.family for case in verified.report.cases if case.outputs}


def test_trees_with_every_kind_of_branch_are_verified_with_gaps(steps, tmp_path):
    verified = zoo.convert(steps("trees"), tmp_path / "o.onnx")

    assert verified.report.verdict == "verified"
    assert "missing" in families(verified)
    assert [str(spec) for spec in verified.model.signature.inputs] == [
        "a:float64[batch,3]",
        "b:float64[batch]",
    ]
    assert verified.report.reference.startswith("numpy's evaluation of the Core ML specification")


def test_a_classifier_of_trees_gives_its_labels_and_their_probabilities(steps, tmp_path):
    verified = zoo.convert(steps("classes"), tmp_path / "o.onnx")

    rows = np.random.default_rng(0).normal(size=(20, 4))
    found = answers(verified.path, a=rows[:, :3], b=rows[:, 3])
    labels = np.array(["low", "mid", "high"])[found["chances"].argmax(axis=1)]
    assert verified.report.passed
    assert found["kind"].tolist() == labels.tolist()
    assert np.allclose(found["chances"].sum(axis=1), 1)


@pytest.mark.parametrize("name", ["boosted", "boosted_three", "forest"])
def test_a_model_of_scikit_learn_answers_as_scikit_learn_does(name, steps, fitted_models, tmp_path):
    verified = zoo.convert(steps(name), tmp_path / "o.onnx")

    found, model = answers(verified.path, x=fitted.ROWS.astype(np.float64)), fitted_models[name]
    assert verified.report.passed
    assert found["label"].tolist() == model.predict(fitted.ROWS).astype(int).tolist()
    assert np.allclose(found["chances"], model.predict_proba(fitted.ROWS), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("link", "function"),
    [
        ("Logit", lambda x: 1 / (1 + math.exp(-x))),
        ("Probit", lambda x: math.erfc(-x / math.sqrt(2)) / 2),
    ],
)
def test_a_linear_model_has_its_link(link, function, steps, tmp_path):
    verified = zoo.convert(steps(f"linear_{link}"), tmp_path / "o.onnx")

    weights, offset = stated(steps(f"linear_{link}"))
    rows = np.random.default_rng(2).normal(size=(40, 4))
    expected = [function(score) for score in rows @ weights + offset]
    assert verified.report.passed
    assert np.allclose(answers(verified.path, a=rows[:, :3], b=rows[:, 3])["y"], expected, atol=1e-12)


def stated(path):
    """The four weights and the offset of a file with one row of them: the only doubles in a list there."""
    data = path.read_bytes()
    place = data.index(struct.pack("<BB", 0x0A, 32), data.index(b"\xe2\x12"))
    weights = np.frombuffer(data, "<f8", 4, place + 2)
    return weights, struct.unpack_from("<d", data, place + 2 + 32 + 2)[0]


@pytest.mark.parametrize("name", ["binary", "probit", "rest", "reference"])
def test_a_linear_classifier_is_verified(name, steps, tmp_path):
    verified = zoo.convert(steps(name), tmp_path / "o.onnx")

    found = answers(verified.path, a=np.random.default_rng(1).normal(size=(30, 3)), b=np.ones(30))
    classes = {"binary": [5, 3], "probit": [0, 1], "rest": [2, 0, 1], "reference": [0, 1, 2]}[name]
    is_open = any("which the specification leaves open" in note for note in verified.report.notes)
    assert verified.report.passed
    assert found["label"].tolist() == np.array(classes)[found["chances"].argmax(axis=1)].tolist()
    assert np.allclose(found["chances"].sum(axis=1), 1)
    assert is_open == (name == "rest")


@pytest.mark.parametrize("name", ["svr_rbf", "svr_poly"])
def test_support_vectors_are_verified(name, steps, tmp_path):
    assert zoo.convert(steps(name), tmp_path / "o.onnx").report.passed


def test_a_pipeline_imputes_scales_and_encodes_before_its_trees(steps, tmp_path):
    verified = zoo.convert(steps("pipeline"), tmp_path / "o.onnx")

    gap = np.array([[np.nan, 2.0, np.nan]])
    rest = {"town": np.array(["Köln"], dtype=object), "code": np.array([4.0])}
    filled = answers(verified.path, numbers=np.array([[1.0, 2.0, 0.5]]), **rest)
    assert verified.report.passed
    assert {"missing", "unknown"} <= families(verified)
    assert answers(verified.path, numbers=gap, **rest)["chances"].tolist() == filled["chances"].tolist()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("normalizer", "a Core ML normalizer is not converted"),
        ("circle", "tree 0 is no tree"),
        ("misfit", "2 scores for 3 classes"),
    ],
)
def test_what_the_specification_does_not_answer_is_refused(name, reason, steps, tmp_path):
    with pytest.raises(UnsupportedModelError, match=reason):
        zoo.convert(steps(name), tmp_path / "o.onnx")
