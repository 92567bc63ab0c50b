"""Imputers that look at other rows or columns, and the indicator."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the class importable
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Options, assert_same, request, run, session_of
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
PLAIN = Options()


@pytest.fixture(scope="module")
def holes() -> np.ndarray:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(80, 4))
    X[:, 3] += X[:, 0]
    X[rng.random(X.shape) < 0.2] = np.nan
    X[7] = np.nan
    return X


def same(model, X: np.ndarray, dtype: str = "float64", options: Options = PLAIN) -> None:
    rows = X.astype(dtype)
    spec = TensorSpec("X", dtype, ("batch", X.shape[1]))
    assert_same(model.fit(rows), rows, dataclasses.replace(options, inputs=(spec,)))


@DTYPES
@pytest.mark.parametrize("features", ["missing-only", "all"])
def test_indicators(features, dtype, holes) -> None:
    X = holes.copy()
    X[:, 1] = 1.5
    same(MissingIndicator(features=features, error_on_new=False), X, dtype)


def test_indicators_of_a_marker() -> None:
    same(MissingIndicator(missing_values=-1.0), np.array([[1.0, -1], [2, 3], [-1, 0]] * 9))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("count", [1, 5, 200])
@pytest.mark.parametrize("indicator", [False, True])
def test_the_nearest_rows_fill_holes(indicator, count, weights, holes) -> None:
    same(KNNImputer(n_neighbors=count, weights=weights, add_indicator=indicator), holes)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
@pytest.mark.parametrize("keep", [False, True])
def test_a_column_without_values(keep, holes) -> None:
    X = holes.copy()
    X[:, 2] = np.nan
    same(KNNImputer(keep_empty_features=keep), X)
    # A row alone in which all is missing is answered otherwise: see below.
    options = Options(skip=("missing", "all-missing"))
    same(IterativeImputer(max_iter=2, keep_empty_features=keep, tol=10), X, options=options)


@pytest.mark.parametrize(
    "options", [{}, {"add_indicator": True}, {"min_value": -1, "max_value": [1, 2, 3, 0.5]}]
)
@DTYPES
def test_columns_are_predicted_from_each_other(options, dtype, holes) -> None:
    # Rounding in float32 is fed back in every round.
    same(
        IterativeImputer(max_iter=4, tol=10, **options),
        holes,
        dtype,
        Options(rtol=1e-5 if dtype == "float32" else None),
    )


@pytest.mark.parametrize("estimator", [Ridge(), RandomForestRegressor(3, random_state=0)], ids=repr)
@pytest.mark.parametrize("order", ["ascending", "roman"])
def test_columns_are_predicted_by_other_estimators(estimator, order, holes) -> None:
    same(IterativeImputer(estimator, max_iter=2, imputation_order=order, tol=10, n_nearest_features=2), holes)


def test_a_batch_in_which_all_is_missing_keeps_the_initial_values(holes) -> None:
    model = IterativeImputer(max_iter=2, tol=10).fit(holes)
    session = session_of(SklearnConverter().convert(model, request()))
    for rows in (np.full((3, 4), np.nan), np.vstack([np.full((1, 4), np.nan), holes[:2]])):
        np.testing.assert_allclose(
            run(session, {"X": rows})["transformed"], model.transform(rows), rtol=1e-12
        )


def test_random_imputation_is_refused(holes) -> None:
    model = IterativeImputer(sample_posterior=True, max_iter=1, tol=10).fit(holes)
    with pytest.raises(UnsupportedModelError, match="at random"):
        SklearnConverter().convert(model, request())


@pytest.mark.parametrize("imputer", [KNNImputer(), IterativeImputer(max_iter=2, tol=10)], ids=repr)
@pytest.mark.parametrize("last", [LogisticRegression(), RandomForestClassifier(5, random_state=0)], ids=repr)
def test_imputed_frames_before_a_model(imputer, last, holes) -> None:
    table = pd.DataFrame(holes, columns=["a", "b", "ç", "d"])
    labels = np.where(np.nan_to_num(holes[:, 0]) > 0, "ja", "nein")
    # IterativeImputer answers a batch in which all is missing otherwise than the same row beside others.
    options = Options(skip=("missing", "all-missing")) if isinstance(imputer, IterativeImputer) else PLAIN
    description = assert_same(make_pipeline(imputer, last).fit(table, labels), table, options)
    assert all(domain.columns[0].accepts_nan for domain in description.domains)


def test_equally_far_donors_of_different_values_are_refused() -> None:
    rows = np.array([[1.0, 5.0], [2.0, 6.0], [2.0, 7.0], [3.0, 1.0], [4.0, 2.0], [np.nan, 3.0]])
    with pytest.raises(UnsupportedModelError, match="equally far donors"):
        SklearnConverter().convert(KNNImputer(n_neighbors=1).fit(rows), request())
