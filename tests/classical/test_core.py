"""The core's own families: scalers, encoders, imputers, linear models, trees, composition."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import KernelPCA
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Options, assert_same, assert_same_or_refused, request
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

CITIES = ["Kraków", "New York", "Paris", "paris", "東京", "São Paulo"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 240
    table = pd.DataFrame(
        {
            "alter": rng.integers(18, 80, n),
            "Größe": rng.normal(170, 9, n).round(1),
            "city": rng.choice(CITIES, n, p=[0.3, 0.3, 0.2, 0.1, 0.07, 0.03]),
            "income": rng.lognormal(8, 1, n).round(2),
            "seen": 1.7e9 + rng.integers(0, 10**6, n),
            "plan": rng.choice(["a", "b", ""], n),
        }
    )
    table.loc[::7, "income"] = np.nan
    return table


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 5)).round(1)
    X[:, 3] = 0.0
    X[:, 4] = X[:, 4] * 1e6 + 1.7e9
    return X


@pytest.fixture(scope="module")
def classes(matrix: np.ndarray) -> np.ndarray:
    return (matrix[:, 0] > 0.2).astype(int) + 2 * (matrix[:, 1] > matrix[:, 2])


SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler(),
    MinMaxScaler((-2, 3), clip=True),
    MaxAbsScaler(),
    RobustScaler(),
    RobustScaler(with_centering=False, with_scaling=False),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
def test_scalers_compute_in_the_dtype_of_their_rows(scaler, dtype, matrix) -> None:
    X = matrix.astype(dtype)
    scaler.fit(X)
    assert_same(scaler, X, Options(rtol=1e-15, inputs=(TensorSpec("X", dtype, ("batch", 5)),)))


@pytest.mark.parametrize("scaler", [StandardScaler(), RobustScaler(), MinMaxScaler()], ids=repr)
def test_scaled_values_fall_on_the_same_side_of_splits_on_data_values(scaler, matrix, classes) -> None:
    model = make_pipeline(scaler, RandomForestClassifier(12, random_state=0)).fit(matrix, classes)
    description = assert_same(model, matrix)
    assert any(column.values for column in description.domains[0].columns)


TREES = [
    DecisionTreeClassifier(random_state=0),
    DecisionTreeClassifier(max_depth=3, random_state=0),
    DecisionTreeRegressor(max_depth=6, random_state=0),
    RandomForestClassifier(12, random_state=0),
    RandomForestClassifier(12, min_samples_leaf=7, random_state=0),
    ExtraTreesClassifier(30, random_state=0),
    RandomForestRegressor(20, random_state=0),
]


@pytest.mark.parametrize("holes", [False, True], ids=["full", "nan"])
@pytest.mark.parametrize("model", TREES, ids=repr)
def test_trees_round_inputs_and_send_missing_values_as_they_learned(model, holes, matrix, classes) -> None:
    X = matrix.copy()
    if holes:
        X[::5, 0] = np.nan
        X[::9, 2] = np.nan
    description = assert_same(model.fit(X, classes), X)
    assert description.domains[0].columns[0].accepts_nan


@pytest.mark.parametrize("labels", ["text", "bool", "offset"])
def test_labels_keep_the_dtype_of_the_source(labels, matrix, classes) -> None:
    y = {"text": np.array(["ä", "b", "", "日"])[classes], "bool": classes > 1, "offset": classes * 10 - 7}[
        labels
    ]
    assert_same(RandomForestClassifier(6, random_state=0).fit(matrix, y), matrix)


def test_a_forest_of_one_class_answers_that_class(matrix) -> None:
    assert_same(RandomForestClassifier(3).fit(matrix, np.full(len(matrix), 4)), matrix)


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(9, random_state=0), RandomForestRegressor(9, random_state=0)]
)
def test_forests_with_several_outputs(model, matrix, classes) -> None:
    assert_same(model.fit(matrix, np.c_[classes, classes % 2]), matrix)


@pytest.mark.parametrize("target", ["binary", "many"])
@pytest.mark.parametrize("C", [0.1, 1e4])
def test_logistic_regression(target, C, matrix, classes) -> None:
    y = classes if target == "many" else classes > 0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=2000)).fit(matrix, y)
    assert_same(model, matrix)


def test_a_score_of_exactly_zero_is_the_first_class() -> None:
    X = np.array([[-1.0], [1.0], [0.0], [2.0], [-2.0]])
    model = LogisticRegression(fit_intercept=False).fit(X, ["b", "a", "b", "a", "b"])
    assert model.decision_function([[0.0]])[0] == 0
    assert_same(model, X)


@pytest.mark.parametrize("model", [LinearRegression(), Ridge()], ids=repr)
@pytest.mark.parametrize("targets", [1, 2])
def test_linear_regressors(model, targets, matrix) -> None:
    X = matrix[:, :3]
    y = X @ np.arange(3) + 1 if targets == 1 else np.c_[X[:, 0], X[:, 1] * 2]
    assert_same(model.fit(X, y), X)


ONE_HOT = [
    {"handle_unknown": handling, "drop": drop, **rare}
    for handling, drop, rare in itertools.product(
        ["error", "ignore", "infrequent_if_exist"], [None, "first", "if_binary"], [{}, {"min_frequency": 30}]
    )
]


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize("options", ONE_HOT, ids=str)
def test_one_hot_encoding_of_text(options, frame) -> None:
    encoder = OneHotEncoder(**options).fit(frame[["city", "plan"]])
    assert_same(encoder, frame[["city", "plan"]])


NUMBERS = {
    "int": np.array([[3], [-1], [7], [3]] * 20),
    "float": np.array([[0.1], [4.3], [-0.0], [4.3]] * 20),
    "nan": np.array([[0.1], [np.nan], [2.0], [4.3]] * 20),
    "bool": np.array([[True], [False], [True], [True]] * 20),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_one_hot_encoding_of_numbers(kind) -> None:
    assert_same(OneHotEncoder(handle_unknown="ignore").fit(NUMBERS[kind]), NUMBERS[kind])


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("unknown", [-1, np.nan])
def test_ordinal_encoding_of_numbers(kind, unknown) -> None:
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=unknown, encoded_missing_value=-5
    )
    assert_same(encoder.fit(NUMBERS[kind]), NUMBERS[kind])


def test_missing_text_is_the_empty_string() -> None:
    table = pd.DataFrame({"c": np.array(["x", np.nan, "y", "x"] * 10, dtype=object)})
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    description = assert_same(encoder.fit(table), table)
    assert "" in description.domains[0].columns[0].categories


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
@pytest.mark.parametrize("indicator", [False, True])
def test_imputing_numbers(strategy, indicator, matrix) -> None:
    X = matrix.copy()
    X[::4, 0] = np.nan
    X[1::6, 2] = np.nan
    assert_same(SimpleImputer(strategy=strategy, add_indicator=indicator).fit(X), X)


def test_imputing_a_marker_and_dropping_an_empty_column(matrix) -> None:
    X = matrix.copy()
    X[::4, 0] = -999
    X[:, 1] = -999
    assert_same(SimpleImputer(missing_values=-999, strategy="median").fit(X), X)


@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
def test_imputing_text_before_encoding(strategy, frame) -> None:
    table = frame[["city"]].astype(object)
    table.iloc[::5, 0] = np.nan
    model = make_pipeline(SimpleImputer(strategy=strategy), OneHotEncoder(handle_unknown="ignore"))
    assert_same(model.fit(table), table)


NUMERIC = ["alter", "Größe", "income"]
SELECTORS = {
    "names": (NUMERIC, ["city"]),
    "positions": ([0, 1, 3], [2]),
    "negative": ([0, 1, -2], [2]),
    "mask": ([True, True, False, True, False, False], [2]),
    "slice": (slice(0, 2), slice("city", "city")),
    "callable": (make_column_selector(dtype_include="number"), make_column_selector("city")),
}


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("remainder", ["drop", "passthrough"])
def test_column_transformer_selectors(selector, remainder, frame) -> None:
    numbers, words = SELECTORS[selector]
    table = frame.drop(columns="plan") if selector != "mask" else frame.assign(plan=1.5)
    model = ColumnTransformer(
        [
            ("num", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("cat", OneHotEncoder(handle_unknown="ignore"), words),
        ],
        remainder=remainder,
    )
    assert_same(model.fit(table), table)


@pytest.mark.parametrize("sparse_threshold", [0.0, 1.0])
def test_whole_number_columns_beside_floats_keep_the_decimals(sparse_threshold, frame) -> None:
    model = make_pipeline(
        ColumnTransformer(
            [("num", "passthrough", ["alter", "Größe"]), ("cat", OneHotEncoder(), ["city"])],
            sparse_threshold=sparse_threshold,
        ),
        MaxAbsScaler(),
        LogisticRegression(max_iter=500),
    )
    y = np.where(frame["Größe"] > 170, "groß", "klein")
    inputs = (TensorSpec("alter", "int64", ("batch", 1)),)
    description = assert_same(model.fit(frame, y), frame, Options(inputs=inputs))
    assert [spec.name for spec in description.signature.inputs] == ["alter", "Größe", "city"]


@pytest.mark.parametrize("first", ["alter", "Größe"])
def test_whole_numbers_and_floats_of_separate_groups_are_joined_as_floats(first, frame) -> None:
    second = "Größe" if first == "alter" else "alter"
    model = ColumnTransformer([("a", "passthrough", [first]), ("b", "passthrough", [second])])
    inputs = (TensorSpec("alter", "int64", ("batch", 1)),)
    assert_same(model.fit(frame), frame, Options(inputs=inputs))


def test_a_sparse_matrix_is_scaled_by_multiplication_as_the_source_does(frame) -> None:
    columns = ColumnTransformer(
        [("num", "passthrough", ["Größe", "alter"]), ("cat", OneHotEncoder(), ["city"])], sparse_threshold=1.0
    )
    assert_same(
        make_pipeline(columns, StandardScaler(with_mean=False)).fit(frame), frame, Options(rtol=1e-17)
    )


def test_transformer_weights_and_feature_union(matrix, classes) -> None:
    union = FeatureUnion(
        [("s", StandardScaler()), ("m", MinMaxScaler()), ("p", "passthrough")], transformer_weights={"m": 3}
    )
    assert_same(make_pipeline(union, DecisionTreeClassifier(random_state=0)).fit(matrix, classes), matrix)


def test_an_object_array_of_mixed_values_gets_one_input_per_column(frame) -> None:
    rows = frame[["alter", "city", "Größe"]].to_numpy(dtype=object)
    model = make_pipeline(
        ColumnTransformer(
            [("n", StandardScaler(), [0, 2]), ("c", OneHotEncoder(handle_unknown="ignore"), [1])]
        ),
        LogisticRegression(),
    )
    model.fit(rows, frame["Größe"] > 170)
    description = assert_same(model, rows)
    assert [spec.dtype for spec in description.signature.inputs] == ["float64", "string", "float64"]


@pytest.mark.parametrize("labels", ["text", "int"])
def test_a_leaf_by_upstream(labels, matrix, classes) -> None:
    X = matrix[:, :3]
    y = classes if labels == "int" else np.array(list("abcd"))[classes]
    assert_same(make_pipeline(StandardScaler(), GaussianNB()).fit(X, y), X)


def test_float32_inputs_are_an_explicit_choice(matrix, classes) -> None:
    X = matrix[:, :3].astype("float32")
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(X, classes)
    description = assert_same(model, X, Options(options=(("float32", True),)))
    assert description.signature.inputs[0].dtype == "float32"


class Doubling(StandardScaler):
    """A subclass, which may compute anything."""

    def transform(self, X, copy=None):
        return 2 * super().transform(X)


def test_what_cannot_be_said_is_refused_by_the_name_of_its_step(matrix, classes) -> None:
    model = make_pipeline(StandardScaler(), Doubling(), LogisticRegression()).fit(matrix, classes)
    with pytest.raises(UnsupportedModelError, match="Doubling") as refusal:
        SklearnConverter().convert(model, request())
    assert "StandardScaler" in str(refusal.value.hint)
    assert assert_same_or_refused(model, matrix).startswith("refused")


def test_scores_are_computed_once_for_label_and_probabilities(matrix, classes) -> None:
    model = RandomForestClassifier(3, random_state=0).fit(matrix, classes)
    graph = SklearnConverter().convert(model, request()).graph
    assert [node.op_type for node in graph.node].count("TreeEnsemble") == 1


def test_factors_next_to_one_are_kept() -> None:
    """ONNX Runtime's optimiser drops float64 factors that float32 cannot tell from 1."""
    X = np.array([[1.0], [-3.0], [7.0]])
    model = PowerTransformer(standardize=False).fit(X)
    model.lambdas_ = np.array([1 - 4e-8])
    got = model.transform(X)
    assert np.abs(got - X).max() > 1e-8
    assert_same(model, X)


def test_rbf_kernels_of_rows_far_from_zero_are_refused() -> None:
    X = np.arange(20.0).reshape(-1, 1) + 1.7e9
    with pytest.raises(UnsupportedModelError, match="distances cancel"):
        assert_same(KernelPCA(2, kernel="rbf", gamma=0.1).fit(X), X)
    assert_same(KernelPCA(2, kernel="rbf", gamma=0.1).fit(X - 1.7e9), X - 1.7e9)


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64", "bool"])
def test_binarizer_keeps_the_dtype_of_its_rows(dtype: str) -> None:
    X = (np.arange(12).reshape(4, 3) - 4).astype(dtype)
    assert_same(make_pipeline(Binarizer(threshold=0.1), Binarizer(threshold=0.1)).fit(X), X)
