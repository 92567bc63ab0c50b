"""LabelEncoder and LabelBinarizer, whose rows are labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import LabelBinarizer, LabelEncoder

import zoo
from converters.from_sklearn import SklearnConverter
from tests.classical.harness import request, run, session_of

LABELS: list[Any] = [
    ["näh", "yes", "Ω", "yes"],
    [5, -2, 9, 5],
    [0.5, 2.0, -1.0, 2.0],
    [True, False, True],
    ["only", "only"],
    ["no", "yes", "no"],
]


def answered(model: Any, labels: Any) -> np.ndarray:
    array = np.asarray(labels)
    feeds = {"X": array.astype(object) if array.dtype.kind == "U" else array}
    return run(session_of(SklearnConverter().convert(model, request())), feeds)["transformed"]


@pytest.mark.parametrize("labels", LABELS, ids=str)
def test_a_label_becomes_its_place(labels: Any) -> None:
    model = LabelEncoder().fit(labels)
    np.testing.assert_array_equal(answered(model, labels), model.transform(labels))


@pytest.mark.parametrize("options", [{}, {"neg_label": -1, "pos_label": 3}, {"sparse_output": True}], ids=str)
@pytest.mark.parametrize("labels", [labels for labels in LABELS if not isinstance(labels[0], float)], ids=str)
def test_a_label_becomes_a_row_of_flags(labels: Any, options: dict[str, Any]) -> None:
    model = LabelBinarizer(**options).fit(labels)
    wanted = model.transform(labels)
    wanted = wanted.toarray() if hasattr(wanted, "toarray") else wanted
    np.testing.assert_array_equal(answered(model, labels), wanted)


def test_an_unseen_label_has_no_column() -> None:
    model = LabelBinarizer().fit(["a", "b", "c"])
    np.testing.assert_array_equal(answered(model, ["b", "z"]), model.transform(["b", "z"]))


def test_encoders_of_labels_are_proven(tmp_path: Path) -> None:
    made = zoo.export(LabelEncoder().fit(["a", "b", "c"]), ["b", "a"], tmp_path / "labels.onnx")
    assert made.report.passed
