"""Support vectors: kernels, shapes of decisions, ties, coupled probabilities."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from tests.classical.harness import Options, assert_same

KERNELS = [{"kernel": "linear"}, {"kernel": "poly", "coef0": 0.5}, {"kernel": "rbf"}, {"kernel": "sigmoid"}]
# Sums over support vectors with large coefficients of both signs cancel.
CLOSE = Options(rtol=1e-9)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(80, 3)).round(2)


def fit(model: Any, X: Any, y: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return model.fit(X, y)


def classes(X: np.ndarray, count: int) -> np.ndarray:
    return np.array(["q", "b", "ż", "d"])[np.digitize(X[:, 0] + X[:, 1] ** 2, np.linspace(0, 1.5, count - 1))]


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k["kernel"])
@pytest.mark.parametrize("kind", [SVC, NuSVC])
def test_classifiers(kind: Any, kernel: dict[str, Any], count: int, X: np.ndarray) -> None:
    settings = {"nu": 0.1} if kind is NuSVC else {}
    assert_same(kind(**kernel, **settings).fit(X, classes(X, count)), X, CLOSE)


@pytest.mark.parametrize("settings", [{"decision_function_shape": "ovo"}, {"break_ties": True}], ids=str)
def test_shapes_and_ties_of_several_classes(settings: dict[str, Any], X: np.ndarray) -> None:
    assert_same(SVC(**settings).fit(X, classes(X, 4)), X, CLOSE)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_probabilities_are_coupled_as_libsvm_couples_them(count: int, X: np.ndarray) -> None:
    assert_same(fit(SVC(probability=True, random_state=0), X, classes(X, count)), X, Options(rtol=1e-8))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k["kernel"])
@pytest.mark.parametrize("kind", [SVR, NuSVR, OneClassSVM])
def test_regressors_and_one_class(kind: Any, kernel: dict[str, Any], X: np.ndarray) -> None:
    assert_same(kind(**kernel).fit(X, X[:, 0] * 2), X, CLOSE)


def test_narrow_kernel_far_from_zero(X: np.ndarray) -> None:
    far = X * 1000 + 1.7e9
    assert_same(SVC(gamma=1e-2).fit(far, classes(X, 3)), far, CLOSE)


def test_precomputed_kernel(X: np.ndarray) -> None:
    assert_same(SVC(kernel="precomputed").fit(X @ X.T, classes(X, 3)), X @ X.T, CLOSE)


def test_fitted_on_a_sparse_matrix(X: np.ndarray) -> None:
    assert_same(SVC().fit(scipy.sparse.csr_matrix(X), classes(X, 3)), X, CLOSE)
