"""Naive Bayes, discriminants, mixtures, Gaussian processes, perceptrons, kernels, propagation, dummies."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import cluster, cross_decomposition, dummy, gaussian_process, kernel_ridge, mixture, naive_bayes
from sklearn.covariance import EllipticEnvelope
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.gaussian_process import kernels as gk
from sklearn.isotonic import IsotonicRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from tests.classical.harness import Options, assert_same, assert_same_or_refused
from zoo.records import TensorSpec

CLOSE = Options(rtol=1e-9)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(90, 3)).round(2)


def labels(X: np.ndarray, count: int = 3) -> np.ndarray:
    return np.array(["q", "ä", "z"])[np.digitize(X[:, 0] + X[:, 1] ** 2, [0.2, 1.0][: count - 1])]


def fit(model: Any, X: np.ndarray, y: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "model",
    [
        naive_bayes.GaussianNB(),
        naive_bayes.BernoulliNB(binarize=0.3),
        naive_bayes.BernoulliNB(binarize=None),
        naive_bayes.MultinomialNB(),
        naive_bayes.ComplementNB(norm=True),
        naive_bayes.CategoricalNB(),
    ],
    ids=str,
)
def test_naive_bayes(model: Any, count: int, X: np.ndarray) -> None:
    whole = np.abs(X * 2).astype(int)
    rows = X if getattr(model, "binarize", None) or isinstance(model, naive_bayes.GaussianNB) else whole
    rows = np.minimum(rows, 1) if getattr(model, "binarize", 1) is None else rows
    # The source looks large numbers up as categories, and raises IndexError.
    assert_same(model.fit(rows, labels(X, count)), rows, Options(rtol=1e-9, skip=("large",)))


@pytest.mark.parametrize("y", [[False, True], [-7, 2], [3, 3]], ids=str)
def test_labels_of_naive_bayes(y: list[Any], X: np.ndarray) -> None:
    assert_same(naive_bayes.GaussianNB().fit(X, np.array(y)[(X[:, 0] > 0).astype(int)]), X, CLOSE)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "model",
    [
        LinearDiscriminantAnalysis(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        LinearDiscriminantAnalysis(solver="eigen"),
        QuadraticDiscriminantAnalysis(),
        QuadraticDiscriminantAnalysis(reg_param=0.3),
    ],
    ids=str,
)
def test_discriminants(model: Any, count: int, X: np.ndarray) -> None:
    assert_same(model.fit(X, labels(X, count)), X, CLOSE)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("count", [2, 3])
def test_perceptrons(count: int, activation: str, X: np.ndarray) -> None:
    settings = {"hidden_layer_sizes": (5, 4), "max_iter": 30, "activation": activation, "random_state": 0}
    assert_same(fit(MLPClassifier(**settings), X, labels(X, count)), X, CLOSE)
    assert_same(fit(MLPRegressor(**settings), X, X[:, : count - 1].squeeze()), X, CLOSE)


def test_perceptron_with_label_columns(X: np.ndarray) -> None:
    y = np.stack([X[:, 0] > 0, X[:, 1] > 0.2], axis=1).astype(int)
    assert_same(fit(MLPClassifier(max_iter=20, random_state=0), X, y), X, CLOSE)


def test_perceptron_of_one_class_always_answers_it(X: np.ndarray) -> None:
    assert_same(fit(MLPClassifier(max_iter=5, random_state=0), X, np.full(len(X), 7)), X, CLOSE)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("kind", [mixture.GaussianMixture, mixture.BayesianGaussianMixture])
def test_mixtures(kind: Any, covariance: str, X: np.ndarray) -> None:
    assert_same(fit(kind(n_components=3, covariance_type=covariance, random_state=0), X), X)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_mixtures_of_whole_numbers_compute_in_whole_numbers_as_the_source_does(covariance: str) -> None:
    rng = np.random.default_rng(4)
    rows = np.c_[rng.integers(0, 5, 60), 1_700_000_000 + rng.integers(0, 10**6, 60)]
    far = np.vstack([rows, rows * 10**4, -rows * 10**9 // 7, rows + 3])
    model = mixture.GaussianMixture(3, covariance_type=covariance, random_state=0).fit(rows)
    assert_same(model, far, Options(inputs=(TensorSpec("X", "int64", ("batch", 2)),)))


@pytest.mark.parametrize(
    "model",
    [
        cluster.KMeans(4, n_init=1, random_state=0),
        cluster.MiniBatchKMeans(4, n_init=1, random_state=0),
        cluster.BisectingKMeans(5, random_state=0),
        cluster.MeanShift(bandwidth=1.0),
        cluster.AffinityPropagation(random_state=0),
        cluster.Birch(threshold=0.4, n_clusters=3),
    ],
    ids=str,
)
def test_clusterers(model: Any, X: np.ndarray) -> None:
    assert_same(fit(model, X), X)


KERNELS = [
    None,
    gk.ConstantKernel(2.0) * gk.RBF([1.0, 2.0, 0.5]) + gk.WhiteKernel(0.1),
    gk.Matern(nu=0.5) + gk.Matern(nu=1.5) * gk.Matern(nu=2.5),
    gk.RationalQuadratic(alpha=0.5) + 0.01 * gk.ExpSineSquared() + gk.WhiteKernel(),
    gk.DotProduct() ** 2 + gk.WhiteKernel(),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("normalize", [False, True])
def test_gaussian_process_regression(normalize: bool, kernel: Any, X: np.ndarray) -> None:
    model = gaussian_process.GaussianProcessRegressor(
        kernel, alpha=0.1, optimizer=None, normalize_y=normalize
    )
    assert_same(model.fit(X, X[:, 0] ** 2), X, CLOSE)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_gaussian_process_classification(kernel: Any, count: int, X: np.ndarray) -> None:
    model = gaussian_process.GaussianProcessClassifier(kernel, optimizer=None)
    assert_same(model.fit(X, labels(X, count)), X, Options(rtol=1e-7))


def test_matern_of_any_smoothness_is_refused(X: np.ndarray) -> None:
    model = gaussian_process.GaussianProcessRegressor(gk.Matern(nu=0.7), alpha=0.1, optimizer=None)
    assert "Bessel" in assert_same_or_refused(model.fit(X, X[:, 0]), X)


@pytest.mark.parametrize("kernel", ["linear", "poly", "sigmoid", "rbf", "laplacian", "cosine", "chi2"])
def test_kernel_ridge(kernel: str, X: np.ndarray) -> None:
    rows = np.abs(X)
    assert_same(
        kernel_ridge.KernelRidge(kernel=kernel, gamma=0.5).fit(rows, X[:, 0]), rows, Options(rtol=1e-8)
    )


@pytest.mark.parametrize("kernel", ["rbf", "knn"])
@pytest.mark.parametrize("kind", [LabelPropagation, LabelSpreading])
def test_propagation(kind: Any, kernel: str, X: np.ndarray) -> None:
    y = np.where(np.arange(len(X)) % 2, -1, np.digitize(X[:, 0], [-0.5, 0.5]))
    model = fit(kind(kernel=kernel, gamma=2, n_neighbors=5), X, y)
    assert_same(model, X + 0.003, Options(rtol=1e-8, skip=("zeros", "large")))


@pytest.mark.parametrize("bounds", ["clip", "nan", "raise"])
@pytest.mark.parametrize("increasing", [True, False])
def test_isotonic_steps(increasing: bool, bounds: str, X: np.ndarray) -> None:
    model = IsotonicRegression(out_of_bounds=bounds, increasing=increasing).fit(X[:, 0], X[:, 0] ** 3)
    assert_same(model, X[:, :1])


@pytest.mark.parametrize("strategy", ["most_frequent", "prior"])
def test_constant_classes(strategy: str, X: np.ndarray) -> None:
    assert_same(dummy.DummyClassifier(strategy=strategy).fit(X, labels(X)), X)
    assert_same(dummy.DummyClassifier(strategy=strategy).fit(X, np.stack([labels(X), labels(X, 2)], 1)), X)


def test_constant_answers(X: np.ndarray) -> None:
    assert_same(dummy.DummyClassifier(strategy="constant", constant="z").fit(X, labels(X)), X)
    assert_same(dummy.DummyRegressor(strategy="median").fit(X, X[:, 0]), X)
    assert_same(dummy.DummyRegressor(strategy="quantile", quantile=0.3).fit(X, X[:, :2]), X)


def test_random_answers_are_refused(X: np.ndarray) -> None:
    assert "random" in assert_same_or_refused(
        dummy.DummyClassifier(strategy="stratified").fit(X, labels(X)), X
    )


@pytest.mark.parametrize("targets", [1, 2])
def test_partial_least_squares(targets: int, X: np.ndarray) -> None:
    y = X[:, :targets].squeeze() ** 2
    assert_same(cross_decomposition.PLSRegression(2).fit(X, y), X)
    for kind in (cross_decomposition.PLSCanonical, cross_decomposition.CCA, cross_decomposition.PLSSVD):
        assert_same(kind(1).fit(X, y.reshape(len(X), -1)), X)


def test_elliptic_envelope(X: np.ndarray) -> None:
    assert_same(EllipticEnvelope(random_state=0).fit(X), X, CLOSE)
