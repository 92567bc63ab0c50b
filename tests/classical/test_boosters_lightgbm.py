"""LightGBM: objectives, links, kinds of missing values, categories, rf, dart, linear trees."""

from __future__ import annotations

import re

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from converters.classical.families.lightgbm_files import estimator
from converters.classical.families.lightgbm_model import read
from converters.from_sklearn import SklearnConverter
from tests.classical import booster_data as data
from tests.classical.harness import Options, assert_same, request
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

SMALL = {"n_estimators": 12, "num_leaves": 9, "min_child_samples": 4, "verbose": -1, "n_jobs": 1}
FOREST = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}


def regressor(**options) -> lgb.LGBMRegressor:
    return lgb.LGBMRegressor(**{**SMALL, **options})


def classifier(**options) -> lgb.LGBMClassifier:
    return lgb.LGBMClassifier(**{**SMALL, **options})


@pytest.mark.parametrize(
    "objective",
    ["regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie"],
)
def test_every_objective_has_its_own_link(objective) -> None:
    assert_same(regressor(objective=objective).fit(data.X, data.POSITIVE), data.X)


@pytest.mark.parametrize("objective", ["cross_entropy", "cross_entropy_lambda"])
def test_cross_entropies_answer_shares_and_intensities(objective) -> None:
    assert_same(regressor(objective=objective).fit(data.X, data.SHARE), data.X)


@pytest.mark.parametrize("objective", ["regression", "l1"])
def test_reg_sqrt_is_squared_again(objective) -> None:
    assert_same(regressor(objective=objective, reg_sqrt=True).fit(data.X, data.Y), data.X)


@pytest.mark.parametrize("y", [data.BINARY, data.MULTI, data.WORDS], ids=["two", "four", "words"])
def test_classifiers_give_the_labels_they_were_fitted_on(y) -> None:
    assert_same(classifier().fit(data.HOLES, y), data.HOLES)


def test_the_sigmoid_parameter_is_used() -> None:
    assert_same(classifier(sigmoid=0.7).fit(data.X, data.BINARY), data.X)


def test_one_against_all_is_not_normalised() -> None:
    model = classifier(objective="multiclassova", sigmoid=2.0).fit(data.HOLES, data.MULTI)
    assert_same(model, data.HOLES)


@pytest.mark.parametrize("y", [data.BINARY, data.MULTI], ids=["two", "four"])
def test_random_forests_average_their_rounds(y) -> None:
    assert_same(classifier(**FOREST).fit(data.X, y), data.X)
    assert_same(regressor(**FOREST).fit(data.X, y), data.X)


def test_dart_is_added_as_it_is() -> None:
    assert_same(regressor(boosting_type="dart", drop_rate=0.5).fit(data.X, data.Y), data.X)


@pytest.mark.parametrize("options", [{"zero_as_missing": True}, {"use_missing": False}, {}], ids=str)
def test_zeros_and_missing_values_go_where_the_option_says(options) -> None:
    rows = data.HOLES.round(0)
    rows[::5, 1] = np.nan
    assert_same(regressor(**options).fit(rows, data.Y), rows)


def test_numbers_next_to_zero_are_zero() -> None:
    rows = data.X.copy()
    near = [-1, -1e-34, -1.1e-35, -1e-35, -1e-36, 0, 1e-36, 1e-35, 1.1e-35, 1e-34, 1]
    rows[:, 0] = np.resize(near, len(rows))
    y = (rows[:, 0] > 0) * 3.0 + (rows[:, 0] < 0)
    assert_same(regressor(min_data_in_bin=1, zero_as_missing=False).fit(rows, y), rows)
    assert_same(regressor(min_data_in_bin=1, zero_as_missing=True).fit(rows, y), rows)


@pytest.mark.parametrize("use_missing", [True, False])
@pytest.mark.parametrize(
    "threshold", ["0", "-0", "5e-36", "-5e-36", "1e-35", "-1.0000000180025095e-35", "2e-35"]
)
def test_thresholds_next_to_zero_compare_as_zero_does(threshold, use_missing) -> None:
    rows = np.array([[x] for x in (-1, -2e-35, -1e-35, -4e-36, 0, 4e-36, 1e-35, 2e-35, 1, np.nan)])
    fitted = regressor(n_estimators=2, num_leaves=2, min_child_samples=1, min_data_in_bin=1)
    fitted.set_params(use_missing=use_missing).fit(rows, np.arange(10.0))
    text = re.sub(r"(?m)^threshold=.*$", f"threshold={threshold}", fitted.booster_.model_to_string())
    sizes = [len(tree) for tree in re.findall(r"(?s)Tree=\d+\n.*?\n\n\n", text)]
    text = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={' '.join(map(str, sizes))}", text)
    assert_same(estimator(lgb.Booster(model_str=text)), rows)


@pytest.mark.parametrize("holes", [False, True], ids=["full", "nan"])
def test_linear_trees_use_their_leaves_linear_models(holes) -> None:
    rows = (data.HOLES if holes else data.X)[:, :4]
    model = regressor(linear_tree=True).fit(rows, data.Y)
    assert any(tree.terms for tree in read(model.booster_.model_to_string()).trees)
    assert_same(model, rows)
    assert_same(classifier(linear_tree=True, n_estimators=5).fit(rows, data.MULTI), rows)


def test_trees_after_the_best_iteration_are_left_out() -> None:
    model = classifier().fit(data.X, data.MULTI)
    every = model.predict_proba(data.X)
    model.booster_.best_iteration = 5
    assert not np.array_equal(model.predict_proba(data.X), every)
    assert_same(model, data.X)


def test_rankers_answer_their_score() -> None:
    assert_same(lgb.LGBMRanker(**SMALL).fit(data.X, data.MULTI, group=[24] * 10), data.X)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_scaler_before_it_falls_on_the_same_side_of_splits_on_data_values(dtype) -> None:
    rows = data.HOLES.astype(dtype)
    model = make_pipeline(StandardScaler(), classifier(n_estimators=60)).fit(rows, data.MULTI)
    assert_same(model, rows, Options(inputs=(TensorSpec("X", dtype, ("batch", 5)),)))


def test_integer_matrices_are_rounded_to_float32_first() -> None:
    rows = np.round(data.X * 1000 + 20_000_000).astype(np.int64)
    assert_same(
        regressor().fit(rows, data.Y), rows, Options(inputs=(TensorSpec("X", "int64", ("batch", 5)),))
    )


def test_pandas_categoricals_split_on_sets() -> None:
    model = regressor(cat_smooth=1, min_data_per_group=5).fit(data.FRAME, data.FRAME_Y)
    assert re.search("num_cat=[1-9]", model.booster_.model_to_string())
    description = assert_same(model, data.FRAME_TEXT)
    assert [spec.dtype for spec in description.signature.inputs] == ["string", "float64", "int64", "float64"]


@pytest.mark.parametrize("values", [[0.1, 0.2, 7.5], [True, False], [-3, 4, 10**6]], ids=str)
def test_levels_may_be_numbers(values) -> None:
    column = np.resize(values, data.N)
    frame = pd.DataFrame({"level": pd.Categorical(column), "size": data.X[:, 0]})
    y = (column == values[1]) * 5.0 + data.X[:, 0]
    rows = frame.astype({"level": column.dtype})
    assert_same(regressor(cat_smooth=1, min_data_per_group=5).fit(frame, y), rows)
    if column.dtype.kind == "i":  # XGBoost takes no others
        model = xgb.XGBRegressor(n_estimators=5, enable_categorical=True)
        assert_same(model.fit(frame, y), rows, Options(rtol=2e-5))


@pytest.mark.filterwarnings("ignore:categorical_feature")
def test_codes_of_categories_may_be_negative_missing_or_broken() -> None:
    model = regressor(cat_smooth=1, min_data_per_group=5)
    assert_same(model.fit(data.CODES, data.CODES_Y, categorical_feature=[0, 1]), data.CODES)


def test_ordered_categoricals_are_refused() -> None:
    frame = data.FRAME.assign(plan=data.FRAME.plan.cat.as_ordered())
    with pytest.raises(UnsupportedModelError, match="ordered"):
        SklearnConverter().convert(regressor().fit(frame, data.FRAME_Y), request())


def test_a_custom_objective_answers_raw_scores() -> None:
    def squares(y, p):
        return p - y, np.ones_like(y)

    assert_same(regressor(objective=squares).fit(data.X, data.Y), data.X)
    assert_same(classifier(objective=squares).fit(data.X, data.BINARY), data.X)


def test_prediction_that_stops_early_is_refused() -> None:
    model = classifier(pred_early_stop=True).fit(data.X, data.BINARY)
    with pytest.raises(UnsupportedModelError, match="pred_early_stop"):
        SklearnConverter().convert(model, request())


def test_trees_of_one_leaf_answer_it() -> None:
    assert_same(classifier(min_child_samples=1000).fit(data.X, data.MULTI), data.X)
