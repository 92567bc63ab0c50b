"""Linear models: labels by scores, links, several targets, sparse coefficients, far columns."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import linear_model as lm
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC, LinearSVR

from tests.classical.harness import Options, assert_same
from zoo.records import TensorSpec


def passive_aggressive(kind: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(lm, f"PassiveAggressive{kind}")(random_state=0)


REGRESSORS = [
    lm.ARDRegression(),
    lm.BayesianRidge(),
    lm.ElasticNet(0.1),
    lm.ElasticNetCV(cv=3, alphas=5),
    lm.HuberRegressor(),
    lm.Lars(),
    lm.LarsCV(cv=3),
    lm.Lasso(0.1),
    lm.LassoCV(cv=3, alphas=5),
    lm.LassoLars(0.1),
    lm.LassoLarsCV(cv=3),
    lm.LassoLarsIC(),
    lm.LinearRegression(),
    lm.LinearRegression(positive=True, fit_intercept=False),
    lm.OrthogonalMatchingPursuit(),
    lm.OrthogonalMatchingPursuitCV(cv=3),
    passive_aggressive("Regressor"),
    lm.QuantileRegressor(alpha=0.01),
    lm.Ridge(fit_intercept=False),
    lm.RidgeCV(),
    lm.SGDRegressor(),
    lm.SGDRegressor(average=True, loss="huber"),
    lm.TheilSenRegressor(max_subpopulation=50),
    lm.RANSACRegressor(random_state=0),
    lm.RANSACRegressor(lm.Ridge(), min_samples=20, random_state=0),
    LinearSVR(),
]
SEVERAL = [
    lm.LinearRegression(),
    lm.Ridge(),
    lm.RidgeCV(),
    lm.Lasso(0.1),
    lm.MultiTaskLasso(0.1),
    lm.MultiTaskLassoCV(cv=3, alphas=5),
    lm.MultiTaskElasticNet(0.1),
    lm.MultiTaskElasticNetCV(cv=3, alphas=5),
    lm.OrthogonalMatchingPursuit(),
    lm.RANSACRegressor(random_state=0),
]
COUNTS = [
    lm.PoissonRegressor(),
    lm.GammaRegressor(),
    lm.TweedieRegressor(power=0),
    lm.TweedieRegressor(power=1.5),
    lm.TweedieRegressor(power=1, link="identity", alpha=0.1, fit_intercept=False),
]
CLASSIFIERS = [
    lm.LogisticRegression(),
    lm.LogisticRegression(fit_intercept=False, C=100),
    lm.LogisticRegressionCV(Cs=3, cv=3, l1_ratios=(0.0,), use_legacy_attributes=False, scoring="accuracy"),
    lm.SGDClassifier(random_state=0),
    lm.SGDClassifier(loss="log_loss", random_state=0),
    lm.SGDClassifier(loss="modified_huber", random_state=0),
    lm.SGDClassifier(loss="squared_error", average=True, random_state=0),
    lm.Perceptron(random_state=0),
    passive_aggressive("Classifier"),
    lm.RidgeClassifier(),
    lm.RidgeClassifierCV(),
    LinearSVC(),
    LinearSVC(multi_class="crammer_singer"),
]


def fit(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        return model.fit(X, y)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    X = np.random.default_rng(0).normal(size=(90, 4)).round(2)
    X[:, 3] = 0.0
    return X


def targets(X: np.ndarray) -> np.ndarray:
    return X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.3 + np.sin(9 * X[:, 0])


@pytest.mark.parametrize("model", REGRESSORS, ids=str)
def test_regressors_of_one_target(model: Any, X: np.ndarray) -> None:
    assert_same(fit(model, X, targets(X)), X)


@pytest.mark.parametrize("model", SEVERAL, ids=str)
def test_regressors_of_several_targets(model: Any, X: np.ndarray) -> None:
    assert_same(fit(model, X, np.stack([targets(X), X[:, 1], 5 - X[:, 2]], axis=1)), X)


@pytest.mark.parametrize("model", COUNTS, ids=str)
def test_links_are_undone(model: Any, X: np.ndarray) -> None:
    assert_same(fit(model, X, np.exp(targets(X) / 4)), X)


@pytest.mark.parametrize(
    "labels", [["no", "yes"], [-1, 1], [True, False], [3, 5, 9], ["ä", "b", "ç", "d"]], ids=str
)
@pytest.mark.parametrize("model", CLASSIFIERS, ids=str)
def test_classifiers_of_any_labels(model: Any, labels: list[Any], X: np.ndarray) -> None:
    y = np.array(labels)[np.digitize(targets(X), np.linspace(-1, 1, len(labels) - 1))]
    assert_same(fit(model, X, y), X)


@pytest.mark.parametrize("loss", ["modified_huber", "log_loss"])
def test_saturated_probabilities_do_not_decide(loss: str, X: np.ndarray) -> None:
    y = np.digitize(targets(X), [-1.5, 0, 1.5])
    model = fit(lm.SGDClassifier(loss=loss, alpha=1e-9, random_state=0), X, y)
    rows = X * 1e5
    even = model.predict_proba(rows).argmax(axis=1) != model.predict(rows)
    assert even.any()
    assert_same(model, rows)


def test_several_label_columns(X: np.ndarray) -> None:
    assert_same(lm.RidgeClassifier().fit(X, np.stack([X[:, 0] > 0, X[:, 1] > 0.3], axis=1).astype(int)), X)


def test_sparse_coefficients(X: np.ndarray) -> None:
    model = lm.SGDClassifier(penalty="l1", alpha=0.1, random_state=0).fit(X, targets(X) > 0)
    assert_same(model.sparsify(), X)


def test_one_class_by_descent(X: np.ndarray) -> None:
    assert_same(lm.SGDOneClassSVM(random_state=0).fit(X), X)


@pytest.mark.parametrize("kind", [lm.LogisticRegression, lm.Ridge, lm.PoissonRegressor, lm.SGDClassifier])
def test_fitted_in_float32(kind: Any, X: np.ndarray) -> None:
    rows = X.astype(np.float32)
    y = (targets(X) > 0).astype(int)
    # SGD adds a float64 intercept to a product in float32, so its float64 answer is no more exact.
    described = assert_same(fit(kind(), rows, y), rows, Options(rtol=1e-5))
    assert [spec.dtype for spec in described.signature.inputs] == ["float32"]


def test_columns_far_from_zero(X: np.ndarray) -> None:
    rows = X + np.array([1.7e9, 0, 0, 5.0])
    assert_same(make_pipeline(StandardScaler(), lm.LogisticRegression()).fit(rows, targets(X) > 0), rows)


def test_whole_numbers(X: np.ndarray) -> None:
    rows = (X * 10).astype(np.int64)
    model = lm.LogisticRegression().fit(rows, np.digitize(targets(X), [-1, 1]))
    assert_same(model, rows, Options(inputs=(TensorSpec("X", "int64", ("batch", 4)),)))
