"""Preprocessing and feature selection: bins, quantiles, powers, splines, functions, target encodings."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import (
    RFE,
    GenericUnivariateSelect,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    VarianceThreshold,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import linear_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    KernelCenterer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Options, assert_same, request
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    """Values on a grid, a column far from zero, a positive one, a row of zeros."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 4)).round(2)
    X[:, 2] = np.abs(X[:, 2]) * 5 + 0.1
    X[:, 3] = X[:, 3] * 1e3 + 1.7e9
    X[4] = 0
    return X


@pytest.fixture(scope="module")
def classes(matrix: np.ndarray) -> np.ndarray:
    return (matrix[:, 0] > 0).astype(int) + (matrix[:, 1] > 0.5)


PLAIN = Options()


def same(model, X: np.ndarray, dtype: str = "float64", y=None, options: Options = PLAIN):
    rows = X.astype(dtype)
    spec = TensorSpec("X", dtype, ("batch", X.shape[1]))
    return assert_same(model.fit(rows, y), rows, dataclasses.replace(options, inputs=(spec,)))


@DTYPES
def test_a_value_at_the_threshold_is_not_above_it(dtype, matrix) -> None:
    description = same(Binarizer(threshold=0.5), matrix, dtype)
    assert description.domains[0].columns[0].values == (0.5,)


@DTYPES
@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_rows_of_zeros_and_of_negative_numbers_are_normalized(norm, dtype, matrix) -> None:
    same(Normalizer(norm=norm), -np.abs(matrix), dtype)


@DTYPES
@pytest.mark.parametrize("encode", ["ordinal", "onehot", "onehot-dense"])
@pytest.mark.parametrize("strategy", ["uniform", "quantile", "kmeans"])
@pytest.mark.filterwarnings("ignore:Bins whose width are too small")
def test_a_value_at_an_edge_falls_into_the_bin_above_it(strategy, encode, dtype, matrix) -> None:
    same(
        KBinsDiscretizer(5, strategy=strategy, encode=encode, quantile_method="averaged_inverted_cdf"),
        matrix,
        dtype,
    )


@DTYPES
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("repeated", [False, True])
def test_quantiles_take_the_middle_of_repeated_values(distribution, repeated, dtype, matrix) -> None:
    X = matrix.round(0) if repeated else matrix.copy()
    X[::9, 0] = np.nan
    same(QuantileTransformer(n_quantiles=40, output_distribution=distribution), X, dtype)


@DTYPES
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_powers_let_missing_values_pass(method, standardize, dtype, matrix) -> None:
    X = matrix[:, :3] if method == "yeo-johnson" else np.abs(matrix[:, :3]) + 0.01
    X = X.copy()
    X[::7, 0] = np.nan
    description = same(PowerTransformer(method, standardize=standardize), X, dtype)
    assert description.domains[0].columns[0].accepts_nan


def test_powers_of_separate_columns(matrix) -> None:
    table = pd.DataFrame(matrix[:, :3], columns=["a", "b", "ç"])
    assert_same(PowerTransformer().fit(table), table)


POLYNOMIALS = [
    {"degree": 2},
    {"degree": 3, "interaction_only": True},
    {"degree": (2, 4), "include_bias": False},
    {"degree": (0, 1)},
]


@DTYPES
@pytest.mark.parametrize("options", POLYNOMIALS, ids=str)
def test_products_are_rounded_in_the_order_of_the_source(options, dtype, matrix) -> None:
    same(PolynomialFeatures(**options), matrix[:, :3], dtype, options=Options(rtol=1e-17))


def test_products_of_a_sparse_matrix(matrix) -> None:
    same(make_pipeline(OneHotEncoder(), PolynomialFeatures(3)), matrix[:, :2].round(0))


@DTYPES
@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("extrapolation", ["constant", "linear", "periodic", "continue", "error"])
def test_splines_inside_and_beyond_the_knots(extrapolation, degree, dtype, matrix) -> None:
    same(SplineTransformer(degree=degree, extrapolation=extrapolation, n_knots=4), matrix[:, :3], dtype)


@DTYPES
@pytest.mark.parametrize(
    "options",
    [
        {"degree": 0, "extrapolation": "linear"},
        {"degree": 0, "sparse_output": True},
        {"degree": 0, "n_knots": 2, "include_bias": False},
        {"knots": "quantile", "include_bias": False, "sparse_output": True},
    ],
    ids=str,
)
def test_splines_of_other_options(options, dtype, matrix) -> None:
    same(SplineTransformer(**options), matrix[:, :3], dtype)


def test_splines_of_many_features_are_a_few_nodes(matrix) -> None:
    wide = np.repeat(matrix, 40, axis=1)
    assert len(SklearnConverter().convert(SplineTransformer().fit(wide), request()).graph.node) < 120


def test_splines_whose_bounds_cross_are_refused(matrix) -> None:
    model = SplineTransformer(n_knots=2, degree=1, extrapolation="linear").fit(matrix[:, :3])
    with pytest.raises(UnsupportedModelError, match="bounds across each other"):
        SklearnConverter().convert(model, request())


FUNCTIONS = [
    np.log1p,
    np.log,
    np.sqrt,
    np.exp,
    np.expm1,
    np.abs,
    np.square,
    np.sign,
    np.rint,
    np.tan,
    np.sinh,
]
FUNCTIONS += [np.log10, np.log2, np.reciprocal, np.trunc, np.negative, np.cosh, np.exp2, np.tanh, np.floor]
FUNCTIONS += [np.deg2rad, np.cos, np.arctan, np.arcsinh, np.cbrt, np.isnan, np.isfinite, np.isinf]
FUNCTIONS += [np.nan_to_num]


@DTYPES
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_of_numpy(function, dtype, matrix) -> None:
    same(FunctionTransformer(function), matrix[:, :3], dtype)


@DTYPES
@pytest.mark.parametrize(
    ("function", "given"),
    [
        (np.clip, {"a_min": -0.5, "a_max": 1}),
        (np.clip, {"a_min": 0.1, "a_max": None}),
        (np.nan_to_num, {"nan": -3.0, "posinf": 9.0}),
    ],
)
def test_functions_of_numpy_with_numbers_beside_the_rows(function, given, dtype, matrix) -> None:
    same(FunctionTransformer(function, kw_args=given), matrix[:, :3], dtype)


def test_functions_of_a_frame_with_whole_numbers(matrix) -> None:
    table = pd.DataFrame({"n": np.arange(40), "x": np.abs(matrix[:40, 0])})
    inputs = (TensorSpec("n", "int64", ("batch", 1)),)
    for function in (np.log1p, np.square):
        columns = ColumnTransformer([("f", FunctionTransformer(function), ["n", "x"])])
        assert_same(columns.fit(table), table, Options(inputs=inputs))


def halved(X):
    return X / 2


def test_a_function_of_ones_own_is_refused_by_its_name(matrix) -> None:
    model = make_pipeline(FunctionTransformer(halved), StandardScaler()).fit(matrix)
    with pytest.raises(UnsupportedModelError, match=r"functiontransformer: func .*halved") as refusal:
        SklearnConverter().convert(model, request())
    assert "log1p" in str(refusal.value.hint)


SELECTORS = [
    SelectKBest(k=2),
    SelectPercentile(percentile=50),
    SelectFromModel(LogisticRegression(max_iter=300)),
    VarianceThreshold(0.5),
    RFE(LogisticRegression(), n_features_to_select=2),
    SequentialFeatureSelector(LogisticRegression(), n_features_to_select=2, cv=2),
]


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: type(selector).__name__)
def test_selected_features(selector, matrix, classes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        same(make_pipeline(StandardScaler(), selector), matrix, y=classes)
        description = same(
            make_pipeline(selector, RandomForestClassifier(4, random_state=0)), matrix, y=classes
        )
    assert any(column.values for column in description.domains[0].columns)


def test_a_frame_is_selected_by_columns(matrix, classes) -> None:
    table = pd.DataFrame(matrix, columns=["ä", "b", "c", "d"])
    assert_same(SelectKBest(k=2).fit(table, classes), table)


def test_a_kernel_is_centered(matrix) -> None:
    same(KernelCenterer(), linear_kernel(matrix[:10, :2]))


@pytest.mark.parametrize("target", ["continuous", "binary", "multiclass"])
@pytest.mark.parametrize("kind", ["text", "numbers", "missing"])
def test_categories_become_what_their_targets_are(kind, target, matrix, classes) -> None:
    y = {"continuous": matrix[:, 0], "binary": classes > 0, "multiclass": classes}[target]
    words = np.array(["a", "b", "ü", "京"], dtype=object)[np.arange(240).reshape(120, 2) % 7 % 4]
    rows = words if kind == "text" else matrix[:, :2].round(0)
    if kind == "missing":
        rows[::5, 0] = np.nan
    assert_same(TargetEncoder().fit(rows, y), rows)


STEPS = [
    KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
    QuantileTransformer(n_quantiles=20),
    PowerTransformer(),
    SplineTransformer(),
    PolynomialFeatures(),
    Normalizer(),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_steps_before_trees(step, matrix, classes) -> None:
    same(make_pipeline(step, RandomForestClassifier(8, random_state=0)), matrix[:, :3], y=classes)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=repr)
def test_dates_as_categories_are_refused(encoder) -> None:
    table = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=20)})
    with pytest.raises(UnsupportedModelError, match="dates"):
        SklearnConverter().convert(encoder.fit(table), request())


def test_a_column_fitted_as_dates_is_read_as_its_ticks() -> None:
    days = pd.date_range("2020-01-01", periods=40)
    scaler = StandardScaler().fit(pd.DataFrame({"day": days}))
    ticks = pd.DataFrame({"day": days.to_numpy().astype("int64")})
    inputs = (TensorSpec("day", "int64", ("batch", 1)),)
    assert_same(scaler, ticks, Options(inputs=inputs, skip=("large",)))
    expected = scaler.transform(pd.DataFrame({"day": days}))
    np.testing.assert_array_equal(scaler.transform(ticks), expected)


@pytest.mark.parametrize(
    "scaler",
    [StandardScaler(), RobustScaler(), MinMaxScaler(), MaxAbsScaler(), PowerTransformer(), PCA(3)],
    ids=lambda scaler: type(scaler).__name__,
)
def test_what_was_fitted_tells_the_range_of_the_rows(scaler, matrix, classes) -> None:
    """A linear model knows no range, and rows of the usual size say little of columns far from it."""
    X = matrix[5:, :3] * np.array([100.0, 0.01, 1.0])
    model = make_pipeline(scaler, LogisticRegression()).fit(X, classes[5:])
    (domain,) = SklearnConverter().describe(model, request()).domains
    for column, seen in zip(domain.columns, X.T, strict=True):
        assert seen.min() < column.high <= np.abs(seen).max() * 4
        assert seen.max() > column.low >= -np.abs(seen).max() * 4
        assert column.high - column.low > 0.5 * np.ptp(seen)


def test_a_power_tells_where_a_tree_behind_it_splits_and_not_to_the_last_bit(matrix, classes) -> None:
    X = matrix[5:, :3] * np.array([100.0, 0.01, 1.0])
    model = make_pipeline(PowerTransformer(), RandomForestClassifier(8, random_state=0)).fit(X, classes[5:])
    (domain,) = SklearnConverter().describe(model, request()).domains
    for column, seen in zip(domain.columns, X.T, strict=True):
        assert column.low < np.quantile(seen, 0.1)
        assert column.high > np.quantile(seen, 0.9)
        assert column.values == ()


def test_a_selector_that_cannot_answer_is_refused(matrix) -> None:
    model = GenericUnivariateSelect(mode="k_best", param=0.3).fit(matrix, matrix[:, 0] > 0)
    with pytest.raises(UnsupportedModelError, match="cannot tell the features"):
        SklearnConverter().convert(model, request())
