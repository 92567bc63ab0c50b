"""Answers that rounding decides are refused where the fitted model shows it, and sums keep numpy's order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import MiniBatchSparsePCA, SparsePCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.naive_bayes import ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Options, assert_same, request, run, session_of
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

RNG = np.random.default_rng(31)
ROWS = RNG.normal(size=(60, 5)) * [1, 20, 0.1, 3, 1]
TARGET = RNG.integers(0, 3, 60)
SECONDS = ROWS + np.array([0, 0, 1.7e9, 0, 0])


def converted(model: Any, rows: np.ndarray) -> Any:
    """A session that reads rows of their dtype."""
    spec = TensorSpec("X", str(rows.dtype), ("batch", rows.shape[1]))
    return session_of(SklearnConverter().convert(model, request(Options(inputs=(spec,)))))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_angles_of_seconds_behind_an_imputer_are_refused(dtype: str) -> None:
    model = make_pipeline(SimpleImputer(), RBFSampler(n_components=4, random_state=0))
    with pytest.raises(UnsupportedModelError, match=r"angles of .*e\+09.* a row alone"):
        converted(model.fit(SECONDS.astype(dtype)), SECONDS.astype(dtype))


def test_angles_of_small_numbers_behind_an_imputer_convert() -> None:
    model = make_pipeline(SimpleImputer(), RBFSampler(n_components=4, random_state=0)).fit(ROWS)
    # A million times as far the angles are those that are refused above.
    assert_same(model, ROWS, Options(skip=("large",), rtol=1e-11))


@pytest.mark.parametrize("kind", [MultinomialNB, ComplementNB])
def test_huge_counts_of_near_classes_are_refused(kind: Any) -> None:
    counts = RNG.poisson(1e9, (60, 5)).astype(float)
    with pytest.raises(UnsupportedModelError, match="rounding alone moves its answers by"):
        converted(kind().fit(counts, TARGET), counts)


@pytest.mark.parametrize("kind", [MultinomialNB, ComplementNB])
def test_huge_counts_of_classes_far_apart_convert(kind: Any) -> None:
    counts = RNG.poisson(1e9, (60, 3)) * np.where(np.eye(3)[TARGET] > 0, 1.0, 0.5)
    assert_same(kind().fit(counts, TARGET), counts, Options(skip=("large", "zeros")))


@pytest.mark.parametrize("kind", [SparsePCA, MiniBatchSparsePCA])
def test_a_row_alone_keeps_its_axis(kind: Any) -> None:
    model = kind(n_components=2, max_iter=4, random_state=0).fit(ROWS)
    assert model.transform(ROWS[:1]).shape == (2,), "scikit-learn keeps the axis now: drop answers._upright"
    description = assert_same(model, ROWS)
    assert description.signature.outputs[0].shape == ("batch", 2)
    alone = SklearnConverter().predict(model, {"X": ROWS[:1]})["transformed"]
    np.testing.assert_allclose(alone, model.transform(ROWS)[:1], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("width", [1, 3, 4, 8, 17, 33])
def test_norms_are_added_in_numpys_order(width: int, norm: str, dtype: str) -> None:
    rows = RNG.normal(size=(50, width)).astype(dtype)
    model = Normalizer(norm=norm).fit(rows)
    got = run(converted(model, rows), {"X": rows})["transformed"]
    np.testing.assert_array_equal(got, model.transform(rows))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_discriminants_of_a_constant_column_are_refused(dtype: str) -> None:
    rows = np.c_[ROWS, np.full(len(ROWS), 7.3)].astype(dtype)
    with pytest.raises(UnsupportedModelError, match="terms cancel") as error:
        converted(LinearDiscriminantAnalysis().fit(rows, TARGET), rows)
    assert "VarianceThreshold" in str(error.value.hint)


@pytest.mark.parametrize(
    "labels", [np.array([3, 1, 2], object), np.array([True, False, True], object)], ids=str
)
def test_labels_that_are_objects_keep_their_kind(labels: np.ndarray) -> None:
    assert_same(DummyClassifier().fit(ROWS, labels[TARGET]), ROWS)
