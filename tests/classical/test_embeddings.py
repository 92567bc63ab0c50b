"""Isomap, locally linear embedding, sparse coding; sums that cancel are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import DictionaryLearning, KernelPCA, MiniBatchDictionaryLearning, SparseCoder
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.manifold import Isomap, LocallyLinearEmbedding
from sklearn.naive_bayes import GaussianNB

from tests.classical.harness import Options, assert_same, assert_same_or_refused


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(4).normal(size=(60, 4)).round(2)


@pytest.mark.parametrize(
    "model",
    [
        Isomap(n_neighbors=6),
        Isomap(n_neighbors=4, n_components=3, metric="manhattan"),
        LocallyLinearEmbedding(random_state=0),
        LocallyLinearEmbedding(n_neighbors=8, n_components=3, reg=0.01, random_state=0),
    ],
    ids=lambda model: str(model)[:40],
)
def test_manifolds_place_new_rows(model: Any, X: np.ndarray) -> None:
    assert_same(model.fit(X), np.vstack([X, X[::-1] / 2 + X / 2]), Options(rtol=1e-8))


@pytest.mark.parametrize(
    "model",
    [
        DictionaryLearning(max_iter=5, random_state=0),
        DictionaryLearning(6, max_iter=5, transform_n_nonzero_coefs=3, split_sign=True, random_state=0),
        MiniBatchDictionaryLearning(3, transform_n_nonzero_coefs=2, max_iter=5, random_state=0),
        SparseCoder(np.eye(4)[:3], transform_algorithm="threshold", transform_alpha=0.3),
        SparseCoder(np.random.default_rng(1).normal(size=(7, 4)), transform_n_nonzero_coefs=4),
    ],
    ids=lambda model: str(model)[:40],
)
def test_few_atoms_are_chosen_as_the_source_chooses(model: Any, X: np.ndarray) -> None:
    assert_same(model.fit(X), X, Options(rtol=1e-8))


def test_coordinate_descent_is_refused(X: np.ndarray) -> None:
    coder = SparseCoder(np.eye(4), transform_algorithm="lasso_cd").fit(X)
    assert "until a tolerance" in assert_same_or_refused(coder, X)


@pytest.mark.parametrize("mode", ["one_vs_rest", "one_vs_one"])
def test_gaussian_process_without_probabilities_gives_labels(mode: str, X: np.ndarray) -> None:
    labels = np.digitize(X[:, 0], [-0.5, 0.5])
    model = GaussianProcessClassifier(multi_class=mode).fit(X, labels)
    described = assert_same(model, X, Options(rtol=1e-7))
    names = [spec.name for spec in described.signature.outputs]
    assert names == (["label", "probabilities"] if mode == "one_vs_rest" else ["label"])


def test_a_row_between_two_classes_is_refused_where_rounding_decides() -> None:
    rows = np.repeat([[1.0], [2.0]], 4, axis=0)
    model = GaussianProcessClassifier(optimizer=None).fit(rows, [0, 1] * 4)
    assert "as much of one class as of the other" in assert_same_or_refused(model, rows)


def test_sums_that_cancel_are_refused(X: np.ndarray) -> None:
    twice = np.vstack([X, X])
    noisy = GaussianProcessRegressor(optimizer=None).fit(twice, np.arange(120.0) % 7)
    assert "terms cancel" in assert_same_or_refused(noisy, X)
    single = (X * [1, 1, 1, 30] + [0, 0, 0, 100]).astype(np.float32)
    everything = KernelPCA().fit(single)
    from zoo.records import TensorSpec

    rows = Options(inputs=(TensorSpec("X", "float32", ("batch", 4)),))
    assert "terms cancel" in assert_same_or_refused(everything, single, rows)


def test_gaussian_bayes_adds_in_numpys_order(X: np.ndarray) -> None:
    wide = np.hstack([X, X**2, X[:, :3] + 1, np.full((60, 1), 3.0)])
    assert_same(GaussianNB(var_smoothing=1e-10).fit(wide, X[:, 0] > 0), wide)
