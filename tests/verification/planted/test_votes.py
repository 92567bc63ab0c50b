"""Votes: sums that jump where one member turns. A rounding turns one there; a wrong threshold turns more."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from converters.from_sklearn import SklearnConverter
from tests.verification.planted.edits import add_constant, array, copied, nodes
from tests.verification.planted.harness import Subject
from zoo.records import TensorSpec
from zoo.verification.report import worst

SPEC = TensorSpec("X", "float32", ("batch", 4))
CLASSES = {"indices": np.array([0, 1, 2]), "names": np.array([5, 2, 9])}


@lru_cache(maxsize=None)
def voters(classes):
    """One member for each pair of classes, in float32; their votes and confidences are added in float64."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsOneClassifier

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4)).astype(np.float32)
    y = CLASSES[classes][np.digitize(rows[:, 0], [-0.5, 0.5])]
    model = OneVsOneClassifier(LogisticRegression()).fit(rows, y)
    return Subject(SklearnConverter(), model, Path(mkdtemp(prefix="votes-")), inputs=(SPEC,))


def by_skl2onnx(model):
    from skl2onnx import to_onnx

    return to_onnx(model, np.zeros((1, 4), np.float32), target_opset={"": 17, "ai.onnx.ml": 3})


@pytest.mark.parametrize("classes", CLASSES)
def test_our_conversion_is_verified(classes):
    subject = voters(classes)
    report = subject.judge(subject.convert())
    assert report.passed, worst(report)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_an_honest_conversion_by_skl2onnx_is_verified():
    subject = voters("indices")
    report = subject.judge(by_skl2onnx(subject.model))
    assert report.passed, worst(report)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_one_that_answers_with_the_index_of_the_class_is_not():
    subject = voters("names")
    report = subject.judge(by_skl2onnx(subject.model))
    assert report.verdict == "mismatch"
    assert "'label'" in worst(report)


@pytest.mark.parametrize("shift", [1e-2, 1e-3, 1e-4, 1e-5])
def test_the_threshold_of_one_member_wrong_by_little_is_caught(shift):
    """The scores of the members are of the size of 10: the least shift is one of 20 roundings."""
    graph = copied(voters("indices").convert())
    turn = nodes(graph, "Greater")[0]
    turn.input[1] = add_constant(graph, "moved", array(graph, turn.input[1]) + np.float32(shift))
    assert voters("indices").judge(graph).verdict == "mismatch"


def test_confidences_left_out_are_caught():
    graph = copied(voters("indices").convert())
    scores = nodes(graph, "Add")[-1]
    zero = add_constant(graph, "nothing", np.zeros(1, np.float64))
    scores.input[1] = zero
    assert voters("indices").judge(graph).verdict == "mismatch"
