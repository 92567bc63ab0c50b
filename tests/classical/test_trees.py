"""Forests and ensembles of scikit-learn: missing values, ties, links, votes, columns of members."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier, ExtraTreeRegressor
from threadpoolctl import threadpool_limits

from converters.classical.families import trees
from converters.classical.graph import Graph
from converters.from_sklearn import SklearnConverter
from tests.classical import booster_data as data
from tests.classical.harness import Options, assert_same, request, run, session_of
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

SMALL = {"n_estimators": 9, "random_state": 0}
COARSE = data.X.round(0)
NOISY = np.random.default_rng(2).integers(0, 2, data.N)
FEW = data.X[:, :4]
HIST = {"max_iter": 8, "min_samples_leaf": 4, "random_state": 0}
FLOAT32 = Options(inputs=(TensorSpec("X", "float32", ("batch", 5)),))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """OpenMP's threads wait busily for each other, which takes minutes where the cores are taken."""
    with threadpool_limits(1):
        yield


# --- forests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ExtraTreesClassifier, RandomForestClassifier], ids=lambda k: k.__name__)
def test_missing_values_go_where_training_sent_them(kind) -> None:
    assert_same(kind(**SMALL).fit(data.HOLES, data.MULTI), data.HOLES)
    for one in (ExtraTreeClassifier(random_state=0), ExtraTreeRegressor(random_state=0)):
        assert_same(one.fit(data.HOLES, data.MULTI), data.HOLES)


@pytest.mark.parametrize("count", [2, 12, 13])
@pytest.mark.parametrize(
    "options", [{}, {"min_samples_leaf": 4}, {"max_depth": 3, "bootstrap": False}], ids=str
)
def test_equal_votes_give_the_first_class(options, count) -> None:
    model = RandomForestClassifier(count, random_state=0, **options).fit(COARSE, NOISY)
    assert_same(model, COARSE)


def test_votes_of_several_classes_are_counted_exactly() -> None:
    assert_same(RandomForestClassifier(12, random_state=0).fit(COARSE, data.WORDS), COARSE)
    weights = dict(zip(np.unique(data.WORDS), (0.3, 1.7, 2.1, 0.9), strict=True))
    model = RandomForestClassifier(12, max_depth=3, class_weight=weights, random_state=0)
    assert_same(model.fit(COARSE, data.WORDS), COARSE)


def test_trees_of_one_leaf_vote_too() -> None:
    assert_same(RandomForestClassifier(5).fit(data.X, np.zeros(data.N, dtype=int)), data.X)
    assert_same(RandomForestClassifier(5, min_samples_leaf=data.N).fit(data.X, data.MULTI), data.X)
    assert_same(RandomForestRegressor(5, min_samples_leaf=data.N).fit(data.X, data.Y), data.X)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_several_outputs_compare_as_one_does(dtype) -> None:
    rows = data.X.astype(dtype)
    inputs = Options(inputs=(TensorSpec("X", dtype, ("batch", 5)),))
    y = np.c_[data.BINARY, data.MULTI]
    assert_same(RandomForestClassifier(7, random_state=0).fit(rows, y), rows, inputs)
    assert_same(ExtraTreesRegressor(7, random_state=0).fit(rows, data.TARGETS), rows, inputs)


def test_thresholds_round_down_to_float32_never_up() -> None:
    threshold = np.array([1.2, -1.2, 1.0, 0.1, -2.0])
    tree = trees.Tree(threshold, threshold, threshold, threshold)
    rounded = trees.rounded_down(tree).threshold
    assert (rounded <= threshold).all()
    above = np.nextafter(rounded.astype(np.float32), np.float32(np.inf))
    assert (above > threshold).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 2, 40, 700])
def test_sums_are_added_strictly_in_order(width, dtype) -> None:
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(300, width)) * 10.0 ** rng.integers(-8, 8, (300, width))).astype(dtype)
    graph = Graph()
    x = graph.input("x", dtype, (width, "trees"))
    by_tree = graph.op("Transpose", x, perm=[1, 0])  # as in a forest: ONNX Runtime moves it about
    graph.output("y", trees.added(graph, by_tree, 300), (width,))
    expected = np.zeros(width, dtype=dtype)
    for row in values:
        expected += row
    np.testing.assert_array_equal(run(session_of(graph.build()), {"x": values.T})["y"], expected)


def test_one_tree_node_holds_a_forest_whose_votes_add_exactly() -> None:
    model = RandomForestClassifier(12, random_state=0).fit(data.X, data.BINARY)
    kinds = [node.op_type for node in SklearnConverter().convert(model, request()).graph.node]
    assert kinds.count("TreeEnsemble") == 1
    assert "CumSum" not in kinds


# --- gradient boosting ----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma", "quantile"])
def test_histogram_regressors_undo_their_link(loss) -> None:
    quantile = {"quantile": 0.3} if loss == "quantile" else {}
    model = HistGradientBoostingRegressor(loss=loss, **quantile, **HIST).fit(data.HOLES, data.POSITIVE)
    assert_same(model, data.HOLES)


@pytest.mark.parametrize("y", [data.BINARY, data.WORDS], ids=["two", "four"])
@pytest.mark.parametrize("options", [Options(), FLOAT32], ids=["float64", "float32"])
def test_histogram_classifiers_compare_in_float64(options, y) -> None:
    rows = data.HOLES.astype("float32") if options.inputs else data.HOLES
    assert_same(HistGradientBoostingClassifier(**HIST).fit(rows, y), rows, options)


def test_a_scaler_before_it_falls_on_the_same_side_of_splits() -> None:
    model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(early_stopping=True, **HIST))
    assert_same(model.fit(data.HOLES, data.MULTI), data.HOLES)


def test_histogram_categories_split_on_sets() -> None:
    rows = np.abs(data.CODES)
    model = HistGradientBoostingRegressor(categorical_features=[0, 1], **HIST).fit(rows, data.CODES_Y)
    assert any(p[0].nodes["is_categorical"].any() for p in model._predictors)
    assert_same(model, rows)


@pytest.mark.parametrize("features", ["from_dtype", ["city", "visits"]], ids=["dtype", "names"])
def test_histogram_categories_of_a_frame_come_as_text(features) -> None:
    frame = data.FRAME if features == "from_dtype" else data.FRAME_TEXT.replace({"city": {"": None}})
    model = HistGradientBoostingRegressor(categorical_features=features, **HIST).fit(frame, data.FRAME_Y)
    description = assert_same(model, data.FRAME_TEXT)
    assert description.signature.inputs[0].dtype == "string"


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error", "quantile"])
def test_gradient_boosting_regressors_add_their_start(loss) -> None:
    assert_same(GradientBoostingRegressor(loss=loss, **SMALL).fit(data.X, data.Y), data.X)


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_gradient_boosting_of_two_classes_uses_the_losses_link(loss) -> None:
    assert_same(GradientBoostingClassifier(loss=loss, **SMALL).fit(data.X, data.BINARY), data.X)


@pytest.mark.parametrize("init", [None, "zero"])
def test_gradient_boosting_of_several_classes_starts_from_its_init(init) -> None:
    assert_same(GradientBoostingClassifier(init=init, **SMALL).fit(data.X, data.WORDS), data.X)


def test_gradient_boosting_may_start_from_a_model() -> None:
    # The init model computes in float32, where BLAS and ONNX Runtime add in other orders.
    single = Options(rtol=2e-5)
    classes = GradientBoostingClassifier(init=LogisticRegression(), **SMALL).fit(FEW, data.BINARY)
    assert_same(classes, FEW, single)
    assert_same(GradientBoostingRegressor(init=LinearRegression(), **SMALL).fit(FEW, data.Y), FEW, single)


# --- isolation forests, embeddings ----------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"contamination": 0.1}, {"contamination": 0.3, "max_features": 3}, {"bootstrap": True}],
    ids=str,
)
def test_isolation_forests_score_rows_at_their_offset_alike(options) -> None:
    description = assert_same(IsolationForest(**SMALL, **options).fit(data.X), data.HOLES)
    assert description.domains[0].columns[0].accepts_nan


def test_isolation_forests_send_what_is_missing_to_the_right_where_columns_are_sparse() -> None:
    rng = np.random.default_rng(3)
    rows = np.c_[rng.integers(0, 4, 60), rng.normal(size=(60, 2))]
    encoder = ColumnTransformer(
        [("words", OneHotEncoder(), [0])], remainder="passthrough", sparse_threshold=1.0
    )
    model = make_pipeline(encoder, IsolationForest(**SMALL)).fit(rows)
    assert model[0].sparse_output_
    gaps = rows.copy()
    gaps[::2, 1], gaps[::3, 2] = np.nan, np.nan
    assert_same(model, gaps)


def test_tree_embeddings_give_a_column_for_each_leaf() -> None:
    model = RandomTreesEmbedding(n_estimators=5, max_depth=3, random_state=0)
    assert_same(model.fit(data.X), data.X)
    assert_same(make_pipeline(model, LogisticRegression()).fit(data.X, data.BINARY), data.X)


# --- AdaBoost, bagging ----------------------------------------------------------------------------


@pytest.mark.parametrize("y", [data.BINARY, data.WORDS], ids=["two", "four"])
@pytest.mark.parametrize("inner", [None, DecisionTreeClassifier(max_depth=3)], ids=["stumps", "trees"])
def test_adaboost_weighs_the_votes_of_trees(inner, y) -> None:
    assert_same(AdaBoostClassifier(inner, **SMALL).fit(data.X, y), data.X)


@pytest.mark.parametrize("y", [data.BINARY, data.WORDS, data.BINARY > 0], ids=["two", "four", "bool"])
def test_adaboost_weighs_the_votes_of_any_estimator(y) -> None:
    assert_same(AdaBoostClassifier(LogisticRegression(), **SMALL).fit(FEW, y), FEW)


@pytest.mark.parametrize("inner", [None, LinearRegression()], ids=["trees", "linear"])
def test_adaboost_regressors_give_the_weighted_median(inner) -> None:
    assert_same(AdaBoostRegressor(inner, **SMALL).fit(FEW, data.Y), FEW)


@pytest.mark.parametrize(
    "options",
    [{}, {"max_features": 0.6, "bootstrap_features": True}, {"max_samples": 0.05}],
    ids=["all", "columns", "few rows"],
)
def test_bagged_trees_see_their_own_columns_and_classes(options) -> None:
    model = BaggingClassifier(**SMALL, **options).fit(data.HOLES, data.WORDS)
    assert_same(model, data.HOLES)


def test_bagged_members_of_any_kind_are_averaged() -> None:
    model = BaggingClassifier(LogisticRegression(), max_features=0.7, **SMALL)
    assert_same(model.fit(FEW, data.WORDS), FEW)
    assert_same(BaggingRegressor(Ridge(), max_features=0.5, **SMALL).fit(FEW, data.Y), FEW)
    assert_same(BaggingRegressor(**SMALL).fit(data.HOLES, data.Y), data.HOLES)


@pytest.mark.parametrize("y", [data.BINARY, data.WORDS], ids=["two", "four"])
def test_bagged_members_without_probabilities_vote_for_their_class(y) -> None:
    assert_same(BaggingClassifier(RidgeClassifier(), **SMALL).fit(FEW, y), FEW)


def test_a_member_without_converter_is_named() -> None:
    class Own(DecisionTreeClassifier):
        pass

    model = BaggingClassifier(Own(max_depth=2), n_estimators=2, random_state=0).fit(FEW, data.BINARY)
    with pytest.raises(UnsupportedModelError, match=r"estimators_\[0\].*Own"):
        SklearnConverter().convert(model, request())
