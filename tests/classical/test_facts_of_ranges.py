"""Faults that show only where a model was fitted: far from zero, kernels and centres are all alike there.

Each fault is planted in a copy of the source, and that copy's graph is judged against the source on the rows
that the verifier makes. Without what the model says of its own range none of its rows would show the fault.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import cluster, linear_model, mixture, naive_bayes, svm
from sklearn.decomposition import KernelPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor, kernels
from sklearn.kernel_ridge import KernelRidge

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Feeds, request, run, session_of
from zoo.records import SourceDescription
from zoo.verification.feeds import FeedMaker, feeds_of
from zoo.verification.search import Predict, decision_feeds

FAR, SCALE = np.array([5000.0, -4000.0, 3000.0]), 20.0
"""Of the columns that all models are fitted on."""
GAMMA = 1 / (2 * SCALE**2)
SEEN, ON_THE_LINE = 1e-6, 0.02
"""Share of an output's largest element by which a fault must move it, and of a case's labels: rows that lie
on a decision to the last bit turn by rounding.
"""


def rows() -> np.ndarray:
    return FAR + SCALE * np.random.default_rng(0).normal(size=(120, 3))


def labels(classes: int = 2) -> np.ndarray:
    apart = ((rows() - FAR) / SCALE).sum(axis=1)
    return np.digitize(apart, np.quantile(apart, np.arange(1, classes) / classes))


def shown(source: Any, faulty: Any, known: bool) -> bool:
    """Whether a row of the verifier's gives another answer; `known`: with what the source says of itself."""
    converter = SklearnConverter()
    description = converter.describe(source, request())
    if not known:
        description = dataclasses.replace(description, domains=())
    session = session_of(converter.convert(faulty, request()))
    feeds = _feeds(description, lambda one, *names: converter.predict(source, one))
    return any(_differs(run(session, one), converter.predict(source, one)) for one in feeds)


def _feeds(description: SourceDescription, predict: Predict) -> Iterator[Feeds]:
    maker = FeedMaker(description)
    for _, one in feeds_of(maker):
        yield one
    for _, one in decision_feeds(maker, predict, description):
        yield one


def _differs(actual: Feeds, expected: Feeds) -> bool:
    for name, wanted in expected.items():
        if wanted.dtype.kind != "f" and np.mean(actual[name] != wanted) > ON_THE_LINE:
            return True
        if wanted.dtype.kind == "f":
            bound = SEEN * np.abs(wanted).max(initial=0.0)
            if np.abs(actual[name] - wanted).max(initial=0.0) > bound:
                return True
    return False


def moved(name: str, by: float) -> Callable[[Any], None]:
    """Adds to the first row of a fitted array."""

    def fault(model: Any) -> None:
        array = np.array(getattr(model, name))
        array[:1] += by
        setattr(model, name, array)

    return fault


def latent_moved(model: Any) -> None:
    moved("X_train_", SCALE)(model.base_estimator_)


WIDE = kernels.RBF(2 * SCALE)
FAULTS = {
    "SVC": (svm.SVC(gamma=GAMMA), moved("support_vectors_", SCALE)),
    "SVR": (svm.SVR(gamma=GAMMA), moved("support_vectors_", SCALE)),
    "OneClassSVM": (svm.OneClassSVM(gamma=GAMMA), moved("support_vectors_", SCALE)),
    "GaussianProcessRegressor": (
        GaussianProcessRegressor(WIDE, alpha=0.1, optimizer=None),
        moved("X_train_", 2.0),
    ),
    "GaussianProcessClassifier": (GaussianProcessClassifier(WIDE, optimizer=None), latent_moved),
    "KernelRidge": (KernelRidge(kernel="rbf", gamma=GAMMA), moved("X_fit_", 2.0)),
    "KernelPCA": (KernelPCA(3, kernel="rbf", gamma=GAMMA), moved("X_fit_", 2.0)),
    "KMeans": (cluster.KMeans(4, n_init=1, random_state=0), moved("cluster_centers_", 2.0)),
    "Birch": (cluster.Birch(threshold=SCALE), moved("subcluster_centers_", 5.0)),
    "GaussianMixture": (mixture.GaussianMixture(3, random_state=0), moved("means_", 0.5)),
    "GaussianNB": (naive_bayes.GaussianNB(), moved("theta_", 0.01)),
    "LinearDiscriminantAnalysis": (LinearDiscriminantAnalysis(), moved("intercept_", 0.01)),
    "QuadraticDiscriminantAnalysis": (QuadraticDiscriminantAnalysis(), moved("means_", 0.01)),
    "LogisticRegression": (
        linear_model.LogisticRegression(solver="newton-cholesky"),
        moved("intercept_", 0.01),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_where_a_model_was_fitted_shows_and_nowhere_else(name):
    kind, plant = FAULTS[name]
    source = kind.fit(rows(), labels())
    faulty = copy.deepcopy(source)
    plant(faulty)
    assert shown(source, faulty, known=True)
    assert not shown(source, faulty, known=False)
    assert not shown(source, source, known=True)


def test_rows_on_the_other_side_of_where_a_line_turns_are_fed_too() -> None:
    """A turn far on one side must not draw all rows to it: a fault beyond the origin would never show."""
    model = linear_model.LogisticRegression().fit(np.arange(40.0)[:, None] / 4, np.arange(40) >= 32)
    (domain,) = SklearnConverter().describe(model, request()).domains
    assert domain.columns[0].low == -3.0
    assert domain.columns[0].high > 8
