"""Projections and kernel approximations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.cluster import FeatureAgglomeration
from sklearn.decomposition import (
    NMF,
    PCA,
    FactorAnalysis,
    FastICA,
    IncrementalPCA,
    KernelPCA,
    LatentDirichletAllocation,
    MiniBatchNMF,
    MiniBatchSparsePCA,
    SparsePCA,
    TruncatedSVD,
)
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Options, assert_same, case_id, request, run, session_of
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])
PLAIN = Options()
# The cosine of 1e6 loses six digits of its argument to any order of summation.
NOT_LARGE = Options(skip=("large",))


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(90, 6)).round(2)
    X[:, 5] += X[:, 0] * 2
    return X


def same(model, X: np.ndarray, dtype: str, options: Options = PLAIN) -> None:
    rows = X.astype(dtype)
    spec = TensorSpec("X", dtype, ("batch", X.shape[1]))
    assert_same(model.fit(rows), rows, dataclasses.replace(options, inputs=(spec,)))


PROJECTIONS = [
    PCA(3),
    PCA(whiten=True),
    IncrementalPCA(3, batch_size=30),
    TruncatedSVD(3),
    FastICA(3, random_state=0, max_iter=1000),
    FactorAnalysis(2),
    SparsePCA(3, random_state=0, max_iter=50),
    MiniBatchSparsePCA(3, random_state=0, max_iter=50),
    GaussianRandomProjection(3, random_state=0),
    SparseRandomProjection(3, random_state=0),
    FeatureAgglomeration(3),
    FeatureAgglomeration(2, pooling_func=np.max),
]


@DTYPES
@pytest.mark.parametrize("model", PROJECTIONS, ids=case_id)
def test_projections(model, dtype, matrix) -> None:
    same(model, matrix, dtype)


@DTYPES
def test_hidden_units(dtype, matrix) -> None:
    same(BernoulliRBM(4, random_state=0), np.abs(matrix) / np.abs(matrix).max(), dtype)


@DTYPES
@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf", "cosine"])
def test_kernel_components(kernel, dtype, matrix) -> None:
    same(KernelPCA(3, kernel=kernel), matrix, dtype)


@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf", "sigmoid", "cosine", "laplacian"])
def test_landmarks(kernel, matrix) -> None:
    same(Nystroem(kernel=kernel, n_components=5, random_state=0), matrix, "float64")


@pytest.mark.parametrize("kernel", ["chi2", "additive_chi2"])
def test_landmarks_of_numbers_that_are_not_negative(kernel, matrix) -> None:
    same(Nystroem(kernel=kernel, n_components=20, random_state=0), np.abs(matrix), "float64")


def test_landmarks_of_float32_rows(matrix) -> None:
    same(Nystroem(kernel="laplacian", n_components=20, random_state=0), matrix, "float32")


SAMPLERS = [
    (RBFSampler(random_state=0), NOT_LARGE),
    (SkewedChi2Sampler(random_state=0), NOT_LARGE),
    (AdditiveChi2Sampler(), PLAIN),
    (AdditiveChi2Sampler(sample_steps=3), PLAIN),
    (PolynomialCountSketch(degree=3, coef0=1, gamma=0.5, random_state=0), PLAIN),
    (PolynomialCountSketch(random_state=0, n_components=30), PLAIN),
]


@DTYPES
@pytest.mark.parametrize(("model", "options"), SAMPLERS, ids=lambda value: type(value).__name__)
def test_random_features(model, options, dtype, matrix) -> None:
    same(model, np.abs(matrix), dtype, options)


def test_components_before_a_model(matrix) -> None:
    labels = (matrix[:, 0] > 0).astype(int)
    for last in (LogisticRegression(), RandomForestClassifier(5, random_state=0)):
        model = make_pipeline(StandardScaler(), PCA(2), last).fit(matrix, labels)
        assert_same(model, matrix)


def test_components_of_a_sparse_matrix(matrix) -> None:
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), TruncatedSVD(2)).fit(matrix[:, :2].round(0))
    assert_same(model, matrix[:, :2].round(0))


def doubled(x, y):
    return float(x @ y) * 2


def test_a_kernel_of_ones_own_is_refused_by_its_name(matrix) -> None:
    model = KernelPCA(2, kernel=doubled).fit(matrix)
    with pytest.raises(UnsupportedModelError, match="doubled"):
        SklearnConverter().convert(model, request())


TOPICS = [
    {"max_iter": 5},
    {"max_iter": 3, "learning_method": "online", "max_doc_update_iter": 7, "doc_topic_prior": 0.01},
]


@pytest.mark.parametrize("options", TOPICS, ids=str)
def test_topics_of_each_row_stop_when_they_settle(options) -> None:
    counts = np.random.default_rng(2).poisson(1.0, size=(40, 12)).astype(float)
    counts[3] = 0
    same(LatentDirichletAllocation(4, random_state=0, **options), counts, "float64")


def test_topics_of_texts() -> None:
    texts = ["the cat sat", "a dog sat on the mat", "naïve café", "the dog and the cat", ""] * 4
    model = make_pipeline(CountVectorizer(), LatentDirichletAllocation(3, random_state=0, max_iter=3))
    assert_same(model.fit(texts), texts)


@pytest.mark.parametrize("options", [{}, {"alpha_W": 0.01, "l1_ratio": 0.5, "max_iter": 30}], ids=str)
@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
def test_factors_of_a_batch_stop_together(options) -> None:
    X = np.abs(np.random.default_rng(2).normal(size=(30, 6)))
    X[3] = 0
    model = NMF(3, random_state=0, **options).fit(X)
    session = session_of(SklearnConverter().convert(model, request()))
    # A row's answer depends on its batch, in the source too: each batch is compared with itself.
    for rows in (X, X[:1], X[3:4], X * 1e6, X[:7]):
        np.testing.assert_allclose(run(session, {"X": rows})["transformed"], model.transform(rows), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
def test_factors_by_multiplication_are_refused() -> None:
    X = np.abs(np.random.default_rng(2).normal(size=(30, 6)))
    for model in (NMF(2, solver="mu", init="random", max_iter=500), MiniBatchNMF(2, max_iter=20)):
        with pytest.raises(UnsupportedModelError, match=type(model).__name__):
            SklearnConverter().convert(model.fit(X), request())
