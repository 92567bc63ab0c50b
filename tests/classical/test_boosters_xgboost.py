"""XGBoost: objectives, links, missing values, categories, dart, linear boosters, early stopping."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost as xgb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from converters.from_sklearn import SklearnConverter
from tests.classical import booster_data as data
from tests.classical.harness import Options, assert_same, request, run, session_of
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

SMALL = {"n_estimators": 12, "max_depth": 4, "n_jobs": 1}
NOISE = Options(rtol=2e-5)
"""For answers that cancel: ONNX Runtime's threads add trees in parts, in float32."""


def regressor(**options) -> xgb.XGBRegressor:
    return xgb.XGBRegressor(**{**SMALL, **options})


def classifier(**options) -> xgb.XGBClassifier:
    return xgb.XGBClassifier(**{**SMALL, **options})


@pytest.mark.parametrize(
    "objective",
    [
        *("reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror"),
        *("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox"),
    ],
)
def test_every_objective_has_its_own_link(objective) -> None:
    assert_same(regressor(objective=objective).fit(data.X, data.POSITIVE), data.X)


def test_reg_logistic_answers_a_probability() -> None:
    assert_same(regressor(objective="reg:logistic").fit(data.X, data.SHARE), data.X)


def test_survival_aft_answers_a_time() -> None:
    matrix = xgb.DMatrix(data.X)
    matrix.set_float_info("label_lower_bound", data.POSITIVE)
    matrix.set_float_info("label_upper_bound", data.POSITIVE * 2)
    booster = xgb.train({"objective": "survival:aft", "max_depth": 3}, matrix, 8)
    model = regressor()
    model.load_model(bytearray(booster.save_raw("ubj")))
    assert_same(model, data.X)


@pytest.mark.parametrize("objective", ["binary:logistic", "binary:logitraw", "binary:hinge"])
def test_two_class_objectives_keep_their_rule_for_labels(objective) -> None:
    assert_same(classifier(objective=objective).fit(data.HOLES, data.BINARY), data.HOLES)


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
def test_several_classes_add_to_their_own_sums(objective) -> None:
    assert_same(classifier(objective=objective).fit(data.HOLES, data.MULTI), data.HOLES)


@pytest.mark.parametrize("base_score", [0.3, 0.5, 0.9])
def test_base_score_is_taken_as_a_probability(base_score) -> None:
    assert_same(classifier(base_score=base_score).fit(data.X, data.BINARY), data.X)


@pytest.mark.parametrize("missing", [-999.0, 0.0])
def test_missing_may_be_a_number(missing) -> None:
    rows = np.nan_to_num(data.HOLES.round(0), nan=missing)
    assert_same(classifier(missing=missing).fit(rows, data.MULTI), rows)


@pytest.mark.parametrize("target", ["one", "classes"])
def test_dart_weighs_its_trees(target) -> None:
    options = {"booster": "dart", "rate_drop": 0.5, "one_drop": True, "learning_rate": 0.7}
    model = regressor(**options).fit(data.X, data.Y) if target == "one" else None
    assert_same(model or classifier(**options).fit(data.X, data.MULTI), data.X)


def test_gblinear_skips_missing_values() -> None:
    rows = data.HOLES[:, :4]
    assert_same(xgb.XGBRegressor(booster="gblinear", n_estimators=5).fit(rows, data.Y), rows, NOISE)
    assert_same(xgb.XGBClassifier(booster="gblinear", n_estimators=5).fit(rows, data.MULTI), rows, NOISE)


def test_a_gblinear_that_diverged_skips_missing_values_too() -> None:
    rows = np.where(np.arange(data.X.size).reshape(data.X.shape) % 7, data.X * 1e-9, np.nan)
    model = xgb.XGBRegressor(booster="gblinear", n_estimators=4, learning_rate=1e6).fit(
        rows, np.abs(data.Y) + 1
    )
    assert "inf" in model.get_booster().get_dump()[0]
    assert_same(model, np.full_like(rows[:3], np.nan))


@pytest.mark.parametrize("target", ["binary", "classes", "numbers"])
def test_random_forests_keep_the_trees_of_a_class_together(target) -> None:
    if target == "numbers":
        model = xgb.XGBRFRegressor(n_estimators=9, n_jobs=1).fit(data.X, data.Y)
    else:
        y = data.BINARY if target == "binary" else data.MULTI
        model = xgb.XGBRFClassifier(n_estimators=9, n_jobs=1).fit(data.X, y)
    assert_same(model, data.X)


def test_parallel_trees_of_every_round_add_up() -> None:
    assert_same(classifier(num_parallel_tree=3, subsample=0.5).fit(data.X, data.MULTI), data.X)


@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
def test_several_targets_have_an_output_each(strategy) -> None:
    assert_same(regressor(multi_strategy=strategy).fit(data.X, data.TARGETS), data.X, NOISE)


def test_several_labels_have_a_probability_each() -> None:
    assert_same(classifier().fit(data.X, data.LABELS), data.X)


def test_several_quantiles_have_an_output_each() -> None:
    model = regressor(objective="reg:quantileerror", quantile_alpha=[0.2, 0.5, 0.9])
    assert_same(model.fit(data.X, data.Y), data.X, NOISE)


@pytest.mark.parametrize("trees", [1, 2])
def test_early_stopping_leaves_later_trees_out(trees) -> None:
    model = classifier(early_stopping_rounds=2, n_estimators=60, learning_rate=0.9, num_parallel_tree=trees)
    model.fit(data.X[:120], data.MULTI[:120], eval_set=[(data.X[120:], data.MULTI[120:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    assert_same(model, data.X)


@pytest.mark.parametrize("objective", ["rank:ndcg", "rank:pairwise", "rank:map"])
def test_rankers_answer_their_score(objective) -> None:
    y = data.BINARY if objective == "rank:map" else data.MULTI
    model = xgb.XGBRanker(objective=objective, n_estimators=8)
    assert_same(model.fit(data.X, y, qid=np.repeat(range(24), 10)), data.X, NOISE)


def test_trees_of_one_leaf_answer_it() -> None:
    assert_same(classifier(n_estimators=3, gamma=1e9).fit(data.X, data.MULTI), data.X)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_scaler_before_it_falls_on_the_same_side_of_splits_on_data_values(dtype) -> None:
    rows = data.HOLES.astype(dtype)
    model = make_pipeline(StandardScaler(), classifier(n_estimators=60)).fit(rows, data.MULTI)
    description = assert_same(model, rows, Options(inputs=(TensorSpec("X", dtype, ("batch", 5)),)))
    assert all(column.values for column in description.domains[0].columns[:3])


@pytest.mark.parametrize(
    "options", [{"max_cat_to_onehot": 1}, {"max_cat_to_onehot": 99}], ids=["sets", "one"]
)
def test_categorical_columns_split_on_sets(options) -> None:
    frame = data.FRAME.assign(city=data.FRAME.city.cat.rename_categories({"köln": "koeln"}))
    model = regressor(enable_categorical=True, n_estimators=20, **options).fit(frame, data.FRAME_Y)
    rows = data.FRAME_TEXT.assign(city=data.FRAME_TEXT.city.replace({"köln": "koeln"}))
    assert_same(model, rows, NOISE)


def test_categories_that_xgboost_cuts_off_are_refused() -> None:
    model = regressor(enable_categorical=True).fit(data.FRAME, data.FRAME_Y)
    with pytest.raises(UnsupportedModelError, match="ASCII"):
        SklearnConverter().convert(model, request())


def test_codes_of_categories_may_be_negative_missing_or_unseen() -> None:
    rows = np.abs(np.nan_to_num(data.CODES[:, :2])).astype(int).astype(float)
    rows = np.c_[rows, data.X[:, 0]]
    model = regressor(enable_categorical=True, feature_types=["c", "c", "q"], n_estimators=20)
    model.fit(rows, data.CODES_Y)
    odd = np.array([[-1, 0, 0.0], [-0.5, 2.7, 1], [999, 1, -1], [np.nan, np.nan, np.nan], [3, 7, 0.2]])
    session = session_of(SklearnConverter().convert(model, request()))
    answer = run(session, {"X": odd})["variable"]
    np.testing.assert_allclose(answer, model.predict(odd), rtol=1e-5)


def test_a_custom_objective_answers_margins() -> None:
    def squares(y, p):
        return p - y, np.ones_like(y)

    assert_same(regressor(objective=squares).fit(data.X, data.Y), data.X, NOISE)


def test_two_classes_of_equal_margin_give_the_first() -> None:
    rows = np.repeat([[0.0], [1.0]], 40, axis=0)
    y = np.tile([0, 1, 2, 3], 20)
    model = classifier(n_estimators=40).fit(rows, y)
    session = session_of(SklearnConverter().convert(model, request()))
    many = np.tile(rows, (40, 1))
    np.testing.assert_array_equal(run(session, {"X": many})["label"], model.predict(many))
