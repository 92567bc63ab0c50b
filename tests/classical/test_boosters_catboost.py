"""CatBoost: losses, missing values, symmetric and free trees, categories, thresholds."""

from __future__ import annotations

import catboost as cb
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from converters.classical.families.catboost_files import estimator
from converters.classical.families.catboost_model import read
from converters.from_sklearn import SklearnConverter
from tests.classical import booster_data as data
from tests.classical.harness import assert_same, request
from zoo.errors import UnsupportedModelError

SMALL = {"iterations": 15, "depth": 4, "verbose": False, "allow_writing_files": False, "thread_count": 1}


def regressor(**options) -> cb.CatBoostRegressor:
    return cb.CatBoostRegressor(**{**SMALL, **options})


def classifier(**options) -> cb.CatBoostClassifier:
    return cb.CatBoostClassifier(**{**SMALL, **options})


@pytest.mark.parametrize(
    "loss",
    [
        *("RMSE", "MAE", "Poisson", "Tweedie:variance_power=1.5", "Quantile:alpha=0.3", "LogLinQuantile"),
        *("MAPE", "Huber:delta=1", "RMSEWithUncertainty", "MultiQuantile:alpha=0.1,0.5"),
    ],
)
def test_every_loss_has_its_own_answer(loss) -> None:
    assert_same(regressor(loss_function=loss).fit(data.X, data.POSITIVE), data.X)


def test_several_targets_have_an_output_each() -> None:
    assert_same(regressor(loss_function="MultiRMSE").fit(data.X, data.TARGETS), data.X)


@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
@pytest.mark.parametrize("policy", ["SymmetricTree", "Depthwise", "Lossguide"])
def test_missing_values_lie_below_or_above_every_border(policy, nan_mode) -> None:
    model = regressor(nan_mode=nan_mode, grow_policy=policy).fit(data.HOLES, data.Y)
    description = assert_same(model, data.HOLES)
    assert description.domains[0].columns[0].accepts_nan


@pytest.mark.parametrize("loss", ["MultiClass", "MultiClassOneVsAll"])
@pytest.mark.parametrize("policy", ["SymmetricTree", "Lossguide"])
def test_several_classes_keep_their_probabilities(policy, loss) -> None:
    model = classifier(loss_function=loss, grow_policy=policy).fit(data.X, data.MULTI)
    assert_same(model, data.X)


@pytest.mark.parametrize("y", [data.BINARY, data.BINARY > 0, data.WORDS], ids=["int", "bool", "words"])
def test_labels_are_those_it_was_fitted_on(y) -> None:
    assert_same(classifier().fit(data.HOLES, y), data.HOLES)


def test_several_labels_have_a_probability_each() -> None:
    assert_same(classifier(loss_function="MultiLogloss").fit(data.X, data.LABELS), data.X)


def test_a_focal_loss_has_the_logistic_link() -> None:
    loss = "Focal:focal_alpha=0.5;focal_gamma=2"
    assert_same(classifier(loss_function=loss).fit(data.X, data.LABELS[:, 0]), data.X)


def test_cross_entropy_answers_a_share() -> None:
    assert_same(classifier(loss_function="CrossEntropy").fit(data.X, data.SHARE), data.X)


@pytest.mark.parametrize("threshold", [0.2, 0.7])
def test_the_probability_threshold_decides_the_label(threshold) -> None:
    model = classifier().fit(data.X, data.BINARY)
    model.set_probability_threshold(threshold)
    assert_same(model, data.X)


def test_a_scaler_before_it_falls_on_the_same_side_of_borders() -> None:
    assert_same(make_pipeline(StandardScaler(), classifier()).fit(data.X, data.MULTI), data.X)


def test_early_stopping_leaves_later_trees_out() -> None:
    model = classifier(iterations=200, learning_rate=0.9, early_stopping_rounds=3)
    model.fit(data.X[:120], data.MULTI[:120], eval_set=(data.X[120:], data.MULTI[120:]))
    assert model.tree_count_ < 200
    assert_same(model, data.X)


def test_rankers_answer_their_score() -> None:
    model = cb.CatBoostRanker(**SMALL).fit(data.X, data.MULTI, group_id=np.repeat(range(24), 10))
    assert_same(model, data.X)


FRAME = data.FRAME_TEXT.replace({"city": {"": "none"}})
CATEGORIES = (*data.CITIES, "none")


def fitted_on_categories(model):
    return model.fit(FRAME, data.FRAME_Y, cat_features=["city", "plan"])


@pytest.mark.parametrize("policy", ["SymmetricTree", "Depthwise"])
def test_categories_whose_text_is_known_convert(policy) -> None:
    model = fitted_on_categories(regressor(one_hot_max_size=20, grow_policy=policy))
    description = assert_same(estimator(model, CATEGORIES), FRAME)
    assert [spec.dtype for spec in description.signature.inputs] == ["string", "float64", "int64", "float64"]


def test_whole_numbers_as_categories_need_no_sample() -> None:
    rows = FRAME[["plan", "size"]]
    model = regressor(one_hot_max_size=20).fit(rows, data.FRAME_Y, cat_features=["plan"])
    assert_same(estimator(model, ()), rows)


def test_a_category_of_which_only_the_hash_is_known_is_refused_by_name() -> None:
    model = fitted_on_categories(regressor(one_hot_max_size=20))
    with pytest.raises(UnsupportedModelError, match="'city' splits on a category") as refusal:
        SklearnConverter().convert(estimator(model, ()), request())
    assert "--sample" in str(refusal.value.hint)


@pytest.mark.parametrize(
    "options",
    [
        {"max_ctr_complexity": 1},
        {"max_ctr_complexity": 3, "iterations": 60, "one_hot_max_size": 1},
        {"simple_ctr": ["Borders:TargetBorderCount=3", "Buckets:TargetBorderCount=2", "Counter"]},
        {"simple_ctr": ["BinarizedTargetMeanValue"], "grow_policy": "Depthwise"},
    ],
    ids=["single", "combined", "kinds", "means"],
)
def test_statistics_of_known_categories_are_looked_up(options) -> None:
    model = fitted_on_categories(regressor(**options))
    assert any(ctr.features for ctr in read(model).ctrs)
    assert_same(estimator(model, CATEGORIES), FRAME)


@pytest.mark.parametrize("nan_mode", ["Min", "Max"])
def test_statistics_of_categories_combined_with_numbers_and_single_categories(nan_mode) -> None:
    rng = np.random.default_rng(5)
    kinds = {
        "a": rng.choice(list("abcdef"), 400),
        "b": rng.integers(0, 5, 400),
        "c": rng.choice(["u", "v"], 400),
    }
    rows = pd.DataFrame({**kinds, "n": rng.normal(size=400)})
    y = rows.a.isin(["a", "c"]) * 3.0 + (rows.b == 2) * rows.n * 2 + (rows.c == "u") * (rows.b > 2)
    rows["n"] = rows.n.where(rows.n < 1.5)
    model = classifier(max_ctr_complexity=3, nan_mode=nan_mode, iterations=100, depth=5)
    model.fit(rows, (y > 1).astype(int), cat_features=["a", "b", "c"])
    assert any(ctr.bits for ctr in read(model).ctrs)
    assert_same(estimator(model, ()), rows)


def test_a_table_with_an_unknown_category_is_refused_by_name() -> None:
    model = fitted_on_categories(regressor(one_hot_max_size=1))
    with pytest.raises(UnsupportedModelError, match=r"feature 'city' has \d of 8 categories") as refusal:
        SklearnConverter().convert(estimator(model, CATEGORIES[1:]), request())
    assert "--sample" in str(refusal.value.hint)


def test_text_features_are_refused() -> None:
    rows = FRAME.assign(note=[f"word{i % 7} word{i % 5} and {i % 3}" for i in range(len(FRAME))])
    model = classifier().fit(rows[["size", "note"]], data.BINARY, text_features=["note"])
    with pytest.raises(UnsupportedModelError, match="text features only in cbm"):
        SklearnConverter().convert(estimator(model, ()), request())
