"""Voting, stacking, one against the rest, chains, calibration, thresholds, searches, transformed targets."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import multiclass, multioutput
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    RandomForestClassifier,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, QuantileTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.classical.harness import Options, assert_same, assert_same_or_refused

CLOSE = Options(rtol=1e-8)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(6).normal(size=(120, 3)).round(2)


def labels(X: np.ndarray, count: int = 3) -> np.ndarray:
    return np.array([5, 2, 9])[np.digitize(X[:, 0] + X[:, 1] ** 2, [0.2, 1.0][: count - 1])]


def fit(model: Any, X: np.ndarray, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def some(probabilities: bool = True) -> list[tuple[str, Any]]:
    last = GaussianNB() if probabilities else LinearSVC()
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    return [("lr", make_pipeline(StandardScaler(), LogisticRegression())), ("dt", tree), ("last", last)]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("settings", [{}, {"voting": "soft"}, {"weights": [1, 2.5, 1]}], ids=str)
def test_voting(settings: dict[str, Any], count: int, X: np.ndarray) -> None:
    assert_same(VotingClassifier(some(), **settings).fit(X, labels(X, count)), X, CLOSE)


def test_voting_as_a_step(X: np.ndarray) -> None:
    for voting in ("hard", "soft"):
        model = make_pipeline(VotingClassifier(some(), voting=voting), LogisticRegression())
        assert_same(model.fit(X, labels(X)), X, CLOSE)


def test_voting_of_regressors(X: np.ndarray) -> None:
    parts = [("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=3)), ("c", "drop")]
    assert_same(VotingRegressor(parts, weights=[1, 3, 1]).fit(X, X[:, 0] ** 2), X)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("method", ["auto", "predict_proba", "decision_function", "predict"])
@pytest.mark.parametrize("passthrough", [False, True])
def test_stacking(passthrough: bool, method: str, count: int, X: np.ndarray) -> None:
    parts = some(method == "predict_proba")
    parts = [(n, p) for n, p in parts if method != "decision_function" or n != "dt"]
    model = StackingClassifier(parts, stack_method=method, passthrough=passthrough, cv=3)
    assert_same(fit(model, X, labels(X, count)), X, CLOSE)


def test_stacking_of_regressors(X: np.ndarray) -> None:
    parts = [("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=3))]
    assert_same(StackingRegressor(parts, final_estimator=Ridge(), passthrough=True).fit(X, X[:, 0] ** 2), X)


MEMBERS = [
    LogisticRegression(),
    LinearSVC(),
    SVC(),
    GaussianNB(),
    DecisionTreeClassifier(max_depth=3, random_state=0),
    SGDClassifier(loss="modified_huber", random_state=0),
    LinearRegression(),
]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("member", MEMBERS, ids=str)
@pytest.mark.parametrize("kind", [multiclass.OneVsRestClassifier, multiclass.OneVsOneClassifier])
def test_several_classes_from_two(kind: Any, member: Any, count: int, X: np.ndarray) -> None:
    if kind is multiclass.OneVsOneClassifier and isinstance(member, LinearRegression):
        pytest.skip("scikit-learn gives other answers than votes for regressors")
    assert_same(fit(kind(member), X, labels(X, count)), X, CLOSE)


def test_code_words(X: np.ndarray) -> None:
    assert_same(multiclass.OutputCodeClassifier(LogisticRegression(), random_state=0).fit(X, labels(X)), X)


def test_label_columns(X: np.ndarray) -> None:
    y = np.stack([X[:, 0] > 0, X[:, 1] > 0.2, X[:, 2] > 9], axis=1).astype(int)
    assert_same(fit(multiclass.OneVsRestClassifier(LogisticRegression()), X, y), X)


def test_several_outputs(X: np.ndarray) -> None:
    y = np.stack([labels(X), labels(-X)], axis=1)
    assert_same(multioutput.MultiOutputClassifier(LogisticRegression()).fit(X, y), X)
    assert_same(multioutput.MultiOutputClassifier(LinearSVC()).fit(X, y), X)
    assert_same(multioutput.MultiOutputRegressor(Ridge()).fit(X, X[:, :2] ** 2), X)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_chains(method: str, X: np.ndarray) -> None:
    y = np.stack([X[:, 0] > 0, X[:, 1] > 0.2, X[:, 2] > X[:, 0]], axis=1).astype(int)
    model = multioutput.ClassifierChain(LogisticRegression(), order=[2, 0, 1], chain_method=method)
    assert_same(model.fit(X, y), X)


def test_chains_of_regressors(X: np.ndarray) -> None:
    assert_same(multioutput.RegressorChain(Ridge(), order=[1, 0]).fit(X, X[:, :2] ** 2), X)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("member", [LinearSVC(), GaussianNB(), KNeighborsClassifier(4)], ids=str)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("ensemble", [True, False])
def test_calibration(ensemble: bool, method: str, member: Any, count: int, X: np.ndarray) -> None:
    if method == "temperature" and not isinstance(member, LinearSVC):
        pytest.skip("of probabilities of 0 scikit-learn finds a temperature at times only")
    model = CalibratedClassifierCV(member, method=method, cv=3, ensemble=ensemble)
    assert_same(fit(model, X, labels(X, count)), X, CLOSE)


def test_calibration_of_a_frozen_estimator(X: np.ndarray) -> None:
    fitted = RandomForestClassifier(10, random_state=0).fit(X, labels(X))
    assert_same(CalibratedClassifierCV(FrozenEstimator(fitted), cv=2).fit(X, labels(X)), X, CLOSE)


@pytest.mark.parametrize("member", [LogisticRegression(), LinearSVC()], ids=str)
@pytest.mark.parametrize("positive", [None, 2, 5])
def test_thresholds(positive: Any, member: Any, X: np.ndarray) -> None:
    y = labels(X, 2)
    assert_same(FixedThresholdClassifier(member, threshold=0.3, pos_label=positive).fit(X, y), X)
    assert_same(FixedThresholdClassifier(member, pos_label=positive).fit(X, y), X)
    assert_same(TunedThresholdClassifierCV(member, cv=3).fit(X, y), X)


def test_searches(X: np.ndarray) -> None:
    grid = {"C": [0.1, 1.0]}
    assert_same(GridSearchCV(LogisticRegression(), grid, cv=3).fit(X, labels(X)), X)
    assert_same(RandomizedSearchCV(LinearSVC(), grid, n_iter=2, cv=3).fit(X, labels(X)), X)


def test_what_only_passes_on(X: np.ndarray) -> None:
    assert_same(FrozenEstimator(LogisticRegression().fit(X, labels(X))), X)
    y = np.where(np.arange(len(X)) % 2, -1, labels(X))
    assert_same(SelfTrainingClassifier(LogisticRegression()).fit(X, y), X)


@pytest.mark.parametrize("pair", [(np.log1p, np.expm1), (np.log, np.exp), (np.sqrt, np.square)], ids=str)
def test_transformed_targets(pair: tuple[Any, Any], X: np.ndarray) -> None:
    y = np.abs(X[:, 0]) + 0.1
    assert_same(TransformedTargetRegressor(Ridge(), func=pair[0], inverse_func=pair[1]).fit(X, y), X)


def test_scaled_targets(X: np.ndarray) -> None:
    assert_same(TransformedTargetRegressor(Ridge(), transformer=StandardScaler()).fit(X, X[:, 0] * 9), X)
    assert_same(TransformedTargetRegressor(Ridge(), transformer=StandardScaler()).fit(X, X[:, :2] * 9), X)


SHAPED = [
    PowerTransformer(),
    PowerTransformer(standardize=False),
    PowerTransformer(method="box-cox"),
    QuantileTransformer(n_quantiles=30),
    QuantileTransformer(n_quantiles=30, output_distribution="normal"),
]


@pytest.mark.parametrize("transformer", SHAPED, ids=str)
@pytest.mark.parametrize("regressor", [Ridge(), DecisionTreeRegressor(max_depth=4, random_state=0)], ids=str)
def test_targets_of_another_shape(transformer: Any, regressor: Any, X: np.ndarray) -> None:
    y = np.exp(X[:, 0] + X[:, 1] / 3).round(2) + 0.01
    model = TransformedTargetRegressor(regressor, transformer=transformer).fit(X, y)
    assert_same(model, X, Options(rtol=1e-10))


def test_targets_that_are_skewed_to_the_left(X: np.ndarray) -> None:
    model = TransformedTargetRegressor(Ridge(), transformer=PowerTransformer())
    assert_same(model.fit(X, -np.exp(X[:, 0]) - X[:, 1]), X, Options(rtol=1e-10))


def test_targets_through_python_code_are_refused(X: np.ndarray) -> None:
    model = TransformedTargetRegressor(Ridge(), func=lambda y: y * 2, inverse_func=lambda y: y / 2)
    assert "Python code" in assert_same_or_refused(model.fit(X, X[:, 0]), X)
