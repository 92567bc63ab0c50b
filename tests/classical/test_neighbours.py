"""Neighbours: metrics, weights, ties, several outputs, outlier labels, local outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import neighbors as nb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Options, assert_same, assert_same_or_refused, request
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

METRICS = [
    {},
    {"metric": "manhattan"},
    {"metric": "chebyshev"},
    {"metric": "minkowski", "p": 3},
    {"metric": "cosine"},
    {"metric": "sqeuclidean"},
]


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(70, 3))


def labels(X: np.ndarray) -> np.ndarray:
    return np.array(["q", "ä", "z"])[np.digitize(X[:, 0] + X[:, 1] ** 2, [0.2, 1.0])]


COSINE_TIES = ("zeros", "threshold", "below", "above", "below32", "above32", "large")
"""Rows that make numpy.argpartition choose among equally far rows."""
TIED = [
    {"algorithm": "kd_tree", "leaf_size": 4},
    {"algorithm": "ball_tree", "leaf_size": 4},
    {"algorithm": "brute"},
    {"metric": "manhattan", "leaf_size": 7},
    {"metric": "chebyshev", "algorithm": "kd_tree", "leaf_size": 3},
    {"p": 3, "leaf_size": 5},
]


@pytest.mark.parametrize("neighbours", [1, 2, 5, 8])
@pytest.mark.parametrize("options", TIED, ids=str)
def test_equally_far_rows_are_chosen_as_the_source_chooses(options: dict[str, Any], neighbours: int) -> None:
    rng = np.random.default_rng(neighbours)
    grid = rng.integers(0, 4, (150, 2)).astype(np.float64)
    model = nb.KNeighborsRegressor(neighbours, **options).fit(grid, rng.normal(size=150))
    assert_same(model, np.vstack([grid, grid + 0.5, grid[::-1] / 2]))


RATIOS: list[dict[str, Any]] = [
    *({"metric": name} for name in ("canberra", "braycurtis", "hamming", "jaccard", "dice")),
    *({"metric": name} for name in ("rogerstanimoto", "russellrao", "sokalmichener", "sokalsneath")),
    *({"metric": name, "algorithm": "brute"} for name in ("canberra", "braycurtis")),
    {"metric": "seuclidean", "metric_params": {"V": np.array([0.5, 2.0, 1.0])}},
    {"metric": "mahalanobis", "metric_params": {"VI": np.array([[2.0, 0.5, 0], [0.5, 1, 0], [0, 0, 3]])}},
]


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("options", RATIOS, ids=lambda options: options["metric"])
def test_ratios_of_sums_and_counts(options: dict[str, Any], weights: str) -> None:
    rng = np.random.default_rng(5)
    rows = rng.choice([0.0, 0.5, 1.0, 2.25, -1.0], (90, 3))
    rows = rows[rows.any(axis=1)]
    model = nb.KNeighborsRegressor(4, weights=weights, leaf_size=6, **options)
    model.fit(rows, rng.normal(size=len(rows)))
    assert_same(model, np.vstack([rows, rng.normal(size=(20, 3)), np.zeros((2, 3))]), Options(rtol=1e-9))


@pytest.mark.parametrize("metric", ["correlation", "nan_euclidean"])
def test_metrics_that_place_some_rows_nowhere_are_refused(metric: str, X: np.ndarray) -> None:
    model = nb.KNeighborsClassifier(3, metric=metric).fit(X, labels(X))
    assert metric in assert_same_or_refused(model, X)


def test_distances_left_out_of_a_sparse_matrix_are_refused(X: np.ndarray) -> None:
    near = nb.KNeighborsTransformer(n_neighbors=6, mode="distance")
    model = make_pipeline(near, nb.KNeighborsClassifier(3, metric="precomputed")).fit(X, labels(X))
    assert "what it leaves out is not 0" in assert_same_or_refused(model, X)


def test_precomputed_distances_of_a_dense_matrix(X: np.ndarray) -> None:
    apart = np.linalg.norm(X[:, None] - X[None], axis=2)
    assert_same(nb.KNeighborsClassifier(3, metric="precomputed").fit(apart, labels(X)), apart)


def test_counts_of_flags_under_argpartition_are_refused() -> None:
    flags = np.random.default_rng(0).integers(0, 2, (30, 4)).astype(float)
    model = nb.KNeighborsClassifier(2, metric="jaccard", algorithm="brute").fit(flags, flags[:, 0])
    assert "jaccard by brute force" in assert_same_or_refused(model, flags)


def test_brute_force_over_float32_rounds_sums_to_float32() -> None:
    rng = np.random.default_rng(171)
    rows = np.stack([1.7e9 + rng.integers(0, 10**6, 18), rng.normal(size=18) * 1e-9], axis=1).astype(
        np.float32
    )
    model = nb.KNeighborsRegressor(3, metric="manhattan", algorithm="brute").fit(rows, rng.normal(size=18))
    inputs = (TensorSpec("X", "float32", ("batch", 2)),)
    assert_same(model, (rows + rows[rng.permutation(18)]) / np.float32(2), Options(inputs=inputs))


def test_texts_without_a_common_word_are_refused_under_cosine() -> None:
    points = np.eye(6)[:, :5] + np.eye(6)[:, 1:]
    model = nb.KNeighborsClassifier(4, metric="cosine").fit(points, [0, 1, 2, 0, 1, 2])
    assert "equally far from another" in assert_same_or_refused(model, points)


def test_duplicates_under_argpartition_are_refused() -> None:
    points = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 1.0], [0.5, 0.1]])
    model = nb.KNeighborsClassifier(2, metric="cosine").fit(points, [0, 1, 0, 1])
    assert "differ in their target only" in assert_same_or_refused(model, points)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", METRICS, ids=str)
def test_classifier(metric: dict[str, Any], weights: str, X: np.ndarray) -> None:
    model = nb.KNeighborsClassifier(4, weights=weights, **metric).fit(X, labels(X))
    assert_same(
        model,
        np.vstack([X + 0.01, X[:5]]),
        Options(rtol=1e-9, skip=COSINE_TIES if metric.get("metric") == "cosine" else ()),
    )


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("metric", METRICS[:4], ids=str)
def test_regressor(metric: dict[str, Any], weights: str, X: np.ndarray) -> None:
    assert_same(nb.KNeighborsRegressor(3, weights=weights, **metric).fit(X, X[:, 0] * 3), X)


def test_several_outputs(X: np.ndarray) -> None:
    y = np.stack([labels(X), np.where(X[:, 2] > 0, "yes", "no")], axis=1)
    assert_same(nb.KNeighborsClassifier(3).fit(X, y), X)
    assert_same(nb.KNeighborsRegressor(3).fit(X, X[:, :2]), X)
    assert_same(nb.RadiusNeighborsClassifier(5.0).fit(X, y), X)


@pytest.mark.filterwarnings("ignore:Outlier label x is not in training classes")
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("outlier", [None, "z", "most_frequent", "x"])
def test_within_a_radius(outlier: Any, weights: str, X: np.ndarray) -> None:
    model = nb.RadiusNeighborsClassifier(1.0, weights=weights, outlier_label=outlier)
    rows = X if outlier is None else np.vstack([X, X[:3] + 100])
    assert_same(model.fit(X, labels(X)), rows, Options(rtol=1e-9))


@pytest.mark.filterwarnings("ignore:One or more samples have no neighbors")
def test_mean_within_a_radius(X: np.ndarray) -> None:
    assert_same(
        nb.RadiusNeighborsRegressor(1.0, weights="distance").fit(X, X[:, 1]), np.vstack([X, X[:3] + 90])
    )


def test_equally_far_rows_of_flags_are_refused_where_the_machine_chooses(X: np.ndarray) -> None:
    model = make_pipeline(KBinsDiscretizer(5), nb.KNeighborsClassifier()).fit(X, labels(X))
    with pytest.raises(UnsupportedModelError, match=r"numpy\.argpartition takes depends") as refusal:
        SklearnConverter().convert(model, request())
    assert "encode='onehot-dense'" in str(refusal.value.hint)
    dense = make_pipeline(KBinsDiscretizer(5, encode="onehot-dense"), nb.KNeighborsClassifier())
    assert_same(dense.fit(X, labels(X)), X)


@pytest.mark.filterwarnings("ignore:(divide by zero|overflow|invalid value) encountered")
@pytest.mark.filterwarnings("ignore:One or more samples have no neighbors")
def test_infinite_weights_within_a_radius_of_rows_a_subnormal_step_away() -> None:
    fitted = np.array([[0.0], [0.0], [0.2], [0.4]])
    rows = np.array([[0.0], [5e-324], [-1e-310], [1e-300], [0.2]])
    for target in ([0, 1, 1, 2], [1, 1, 0, 2]):
        assert_same(nb.RadiusNeighborsClassifier(0.5, weights="distance").fit(fitted, target), rows)
    assert_same(nb.RadiusNeighborsRegressor(0.5, weights="distance").fit(fitted, [1.0, 0, 2, 3]), rows)


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
def test_graphs_of_neighbours(mode: str, X: np.ndarray) -> None:
    assert_same(nb.KNeighborsTransformer(n_neighbors=3, mode=mode).fit(X), X + 0.01)
    assert_same(nb.RadiusNeighborsTransformer(radius=1.0, mode=mode).fit(X), X + 0.01)


@pytest.mark.parametrize(
    "settings", [{}, {"metric": "manhattan"}, {"shrink_threshold": 0.2}, {"priors": "empirical"}], ids=str
)
def test_nearest_centroid(settings: dict[str, Any], X: np.ndarray) -> None:
    assert_same(nb.NearestCentroid(**settings).fit(X, labels(X)), X, Options(rtol=1e-9))


def test_local_outliers(X: np.ndarray) -> None:
    assert_same(nb.LocalOutlierFactor(5, novelty=True).fit(X), X + 0.01, Options(rtol=1e-9))


def test_local_outliers_of_whole_numbers() -> None:
    rows = np.array([[0, 3], [0, 0], [1, 1], [5, 9], [1, 3], [1, 1], [1, 1]])
    assert_same(nb.LocalOutlierFactor(2, novelty=True).fit(rows), rows + 1, Options(rtol=1e-9))


def test_learned_components(X: np.ndarray) -> None:
    model = nb.NeighborhoodComponentsAnalysis(n_components=2, max_iter=5, random_state=0)
    assert_same(model.fit(X, labels(X)), X)


def test_python_code_is_refused(X: np.ndarray) -> None:
    distance = nb.KNeighborsClassifier(3, metric=lambda a, b: float(abs(a - b).sum())).fit(X, labels(X))
    weights = nb.KNeighborsClassifier(3, weights=lambda d: 1 / (1 + d)).fit(X, labels(X))
    assert "Python code" in assert_same_or_refused(distance, X)
    assert "Python code" in assert_same_or_refused(weights, X)
