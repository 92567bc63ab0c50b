"""Files of XGBoost, LightGBM and CatBoost through their converters, as the worker calls them."""

from __future__ import annotations

import pickle
from pathlib import Path

import catboost as cb
import joblib
import lightgbm as lgb
import numpy as np
import pytest
import xgboost as xgb

from converters.from_boosters import CatBoostConverter, LightGBMConverter, XGBoostConverter
from tests.classical import booster_data as data
from tests.classical.booster_data import assert_file_same, request_for
from zoo.errors import MissingPackageError, UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import TensorSpec

QUIET = {"verbose": -1, "num_leaves": 7, "n_jobs": 1}


@pytest.fixture(scope="module")
def classes() -> xgb.XGBClassifier:
    return xgb.XGBClassifier(n_estimators=6, max_depth=3).fit(data.HOLES, data.MULTI)


@pytest.fixture(scope="module")
def booster() -> xgb.Booster:
    matrix = xgb.DMatrix(data.X, data.BINARY, feature_names=["länge", "b", "c c", "d", "e"])
    return xgb.train({"objective": "binary:logistic", "max_depth": 3}, matrix, 6)


# --- XGBoost --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "ubj"])
def test_xgboost_files_answer_as_the_estimator_that_saved_them(kind, classes, tmp_path) -> None:
    path = tmp_path / f"model.{kind}"
    classes.save_model(path)
    converter = XGBoostConverter()
    description = assert_file_same(converter, request_for(converter, path, kind), data.HOLES)
    assert description.roles == {"label": "label", "probabilities": "probabilities"}
    assert description.signature.inputs == (TensorSpec("X", "float32", ("batch", 5)),)
    assert description.versions == {"xgboost": xgb.__version__}


@pytest.mark.parametrize("kind", ["pickle", "joblib"])
def test_xgboost_pickles_answer_as_what_was_pickled(kind, classes, booster, tmp_path) -> None:
    converter = XGBoostConverter()
    for number, model in enumerate((classes, booster)):
        path = tmp_path / f"{number}.{kind}"
        path.write_bytes(pickle.dumps(model)) if kind == "pickle" else joblib.dump(model, path)
        rows = data.HOLES if model is classes else _named_rows(booster)
        assert_file_same(XGBoostConverter(), request_for(converter, path, kind), rows)


def _named_rows(booster: xgb.Booster):
    import pandas as pd

    return pd.DataFrame(data.X, columns=booster.feature_names)


def test_a_plain_booster_with_names_has_an_input_for_each(booster, tmp_path) -> None:
    path = tmp_path / "model.json"
    booster.save_model(path)
    converter = XGBoostConverter()
    description = assert_file_same(converter, request_for(converter, path, "json"), _named_rows(booster))
    assert [spec.name for spec in description.signature.inputs] == booster.feature_names


def test_a_plain_booster_uses_trees_after_its_best_iteration(tmp_path) -> None:
    train, test = xgb.DMatrix(data.X[:120], data.Y[:120]), xgb.DMatrix(data.X[120:], data.Y[120:])
    booster = xgb.train(
        *({"max_depth": 3, "learning_rate": 0.9}, train, 60),
        evals=[(test, "test")],
        early_stopping_rounds=4,
        verbose_eval=False,
    )
    path = tmp_path / "model.ubj"
    booster.save_model(path)
    converter = XGBoostConverter()
    request = request_for(converter, path, "ubj")
    model = converter.load(request.artifact, request)
    answer = converter.predict(model, {"X": data.X.astype("float32")})["variable"]
    np.testing.assert_array_equal(answer, booster.predict(xgb.DMatrix(data.X)))
    assert_file_same(converter, request, data.X)


def test_a_file_of_an_early_stopped_estimator_stops_there_too(tmp_path) -> None:
    model = xgb.XGBRegressor(n_estimators=60, learning_rate=0.9, early_stopping_rounds=2)
    model.fit(data.X[:120], data.Y[:120], eval_set=[(data.X[120:], data.Y[120:])], verbose=False)
    path = tmp_path / "model.json"
    model.save_model(path)
    converter = XGBoostConverter()
    request = request_for(converter, path, "json")
    loaded = converter.load(request.artifact, request)
    answer = converter.predict(loaded, {"X": data.X.astype("float32")})["variable"]
    np.testing.assert_array_equal(answer, model.predict(data.X))


def test_the_missing_number_of_a_file_is_an_option(tmp_path) -> None:
    rows = np.nan_to_num(data.HOLES, nan=-1.0)
    model = xgb.XGBRegressor(n_estimators=5, missing=-1.0).fit(rows, data.Y)
    path = tmp_path / "model.ubj"
    model.get_booster().save_model(path)
    converter = XGBoostConverter()
    request = request_for(converter, path, "ubj", options={"missing": -1.0})
    assert_file_same(converter, request, rows)
    answer = converter.predict(converter.load(request.artifact, request), {"X": rows.astype("float32")})
    np.testing.assert_array_equal(answer["variable"], model.predict(rows))
    wrong = request_for(XGBoostConverter(), path, "ubj", options={"missing": "no"})
    with pytest.raises(UsageError, match="missing='no'"):
        XGBoostConverter().load(wrong.artifact, wrong)


def test_rankers_and_linear_boosters_come_from_files(tmp_path) -> None:
    ranker = xgb.XGBRanker(n_estimators=4).fit(data.X, data.MULTI, qid=np.repeat(range(24), 10))
    linear = xgb.XGBRegressor(booster="gblinear", n_estimators=3).fit(data.X[:, :4], data.Y)
    for model, rows in ((ranker, data.X), (linear, data.X[:, :4])):
        path = tmp_path / f"{type(model).__name__}.json"
        model.save_model(path)
        converter = XGBoostConverter()
        description = assert_file_same(converter, request_for(converter, path, "json"), rows)
        assert description.roles == {"variable": "values"}


@pytest.mark.parametrize("head", [b"binf\0\0\0?\2\0\0\0", b"\0\0\0?\4\0\0\0\n\0\0\0"], ids=["binf", "bare"])
def test_the_old_binary_format_names_the_version_that_reads_it(head, tmp_path) -> None:
    path = tmp_path / "old.model"
    path.write_bytes(head + bytes(200))
    request = request_for(XGBoostConverter(), path, "binary_old")
    with pytest.raises(UnsupportedFileError, match="old binary format") as error:
        XGBoostConverter().load(request.artifact, request)
    assert "1.7 to 3.0" in str(error.value.hint)


def test_a_broken_xgboost_file_says_so(classes, tmp_path) -> None:
    path = tmp_path / "cut.json"
    classes.save_model(path)
    path.write_bytes(path.read_bytes()[:500])
    request = request_for(XGBoostConverter(), path, "json")
    with pytest.raises(UnsupportedFileError, match=r"cut\.json cannot be read by XGBoost"):
        XGBoostConverter().load(request.artifact, request)


def test_an_unknown_objective_is_refused_by_name(classes, monkeypatch) -> None:
    from converters.classical.families import xgboost_links

    monkeypatch.setattr(xgboost_links, "KNOWN", xgboost_links.KNOWN - {"multi:softprob"})
    converter = XGBoostConverter()
    with pytest.raises(UnsupportedModelError, match="'multi:softprob' is unknown"):
        converter.convert(classes, request_for(converter, Path("live"), "pickle"))


# --- LightGBM -------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [data.Y, data.BINARY, data.MULTI], ids=["number", "two", "four"])
def test_lightgbm_text_files_answer_as_their_booster(y, tmp_path) -> None:
    objective = {"f": "regression", "i": "binary" if y is data.BINARY else "multiclass"}[y.dtype.kind]
    options = {"objective": objective, **({"num_class": 4} if objective == "multiclass" else {}), **QUIET}
    booster = lgb.train(options, lgb.Dataset(data.HOLES, y, free_raw_data=False), 6)
    path = tmp_path / "model.txt"
    booster.save_model(path)
    converter = LightGBMConverter()
    request = request_for(converter, path, "text")
    description = assert_file_same(converter, request, data.HOLES)
    assert description.signature.inputs[0].dtype == "float64"
    name = "variable" if objective == "regression" else "probabilities"
    found = converter.predict(converter.load(request.artifact, request), {"X": data.HOLES})[name]
    expected = booster.predict(data.HOLES)
    np.testing.assert_array_equal(found[:, 1] if objective == "binary" else found, expected)


def test_lightgbm_categories_of_a_text_file_come_as_text(tmp_path) -> None:
    model = lgb.LGBMRegressor(min_data_per_group=5, cat_smooth=1, **QUIET).fit(data.FRAME, data.FRAME_Y)
    path = tmp_path / "model.txt"
    model.booster_.save_model(path)
    converter = LightGBMConverter()
    description = assert_file_same(converter, request_for(converter, path, "text"), data.FRAME_TEXT)
    assert description.signature.inputs[0] == TensorSpec("city", "string", ("batch", 1))


@pytest.mark.parametrize("kind", ["pickle", "joblib"])
def test_lightgbm_pickles_answer_as_what_was_pickled(kind, tmp_path) -> None:
    model = lgb.LGBMClassifier(n_estimators=5, **QUIET).fit(data.HOLES, data.WORDS)
    for number, one in enumerate((model, model.booster_)):
        path = tmp_path / f"{number}.{kind}"
        path.write_bytes(pickle.dumps(one)) if kind == "pickle" else joblib.dump(one, path)
        converter = LightGBMConverter()
        description = assert_file_same(converter, request_for(converter, path, kind), data.HOLES)
        assert description.signature.outputs[0].dtype == ("string" if one is model else "int64")


def test_a_broken_lightgbm_file_says_so(tmp_path) -> None:
    path = tmp_path / "model.txt"
    path.write_text("tree\nversion=v4\nnum_class=1\n", encoding="utf-8")
    request = request_for(LightGBMConverter(), path, "text")
    with pytest.raises(UnsupportedFileError, match=r"model\.txt cannot be read by LightGBM"):
        LightGBMConverter().load(request.artifact, request)


def test_a_pickle_that_needs_another_module_names_it(tmp_path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cnot_installed_here\nModel\n.")
    request = request_for(LightGBMConverter(), path, "pickle")
    with pytest.raises(MissingPackageError, match="'not_installed_here'"):
        LightGBMConverter().load(request.artifact, request)


# --- CatBoost -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cbm", "json"])
@pytest.mark.parametrize("loss", ["Poisson", "MultiClass", "RMSEWithUncertainty", "Logloss"])
def test_catboost_files_answer_by_their_loss(loss, kind, tmp_path) -> None:
    options = {"iterations": 8, "depth": 3, "verbose": False, "allow_writing_files": False}
    y = {"MultiClass": data.WORDS, "Logloss": data.BINARY}.get(loss, data.POSITIVE)
    made = cb.CatBoostClassifier if loss in ("MultiClass", "Logloss") else cb.CatBoostRegressor
    model = made(loss_function=loss, **options).fit(data.HOLES, y)
    path = tmp_path / f"model.{kind}"
    model.save_model(str(path), format=kind)
    converter = CatBoostConverter()
    request = request_for(converter, path, kind)
    description = assert_file_same(converter, request, data.HOLES)
    assert description.signature.inputs[0].dtype == "float32"
    name = "label" if made is cb.CatBoostClassifier else "variable"
    found = converter.predict(converter.load(request.artifact, request), {"X": data.HOLES})[name]
    expected = model.predict(data.HOLES)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-14)  # the JSON form loses last bits
    else:
        np.testing.assert_array_equal(found, expected)


def test_catboost_categories_are_read_from_a_sample(tmp_path) -> None:
    frame = data.FRAME_TEXT.replace({"city": {"": "none"}})
    model = cb.CatBoostRegressor(iterations=8, one_hot_max_size=20, verbose=False, allow_writing_files=False)
    model.fit(frame, data.FRAME_Y, cat_features=["city", "plan"])
    path, sample = tmp_path / "model.cbm", tmp_path / "rows.csv"
    model.save_model(str(path))
    frame.to_csv(sample, index=False)
    converter = CatBoostConverter()
    request = request_for(converter, path, "cbm")
    loaded = converter.load(request.artifact, request)
    with pytest.raises(UnsupportedModelError, match="'city'"):
        converter.describe(loaded, request)
    assert_file_same(CatBoostConverter(), request_for(converter, path, "cbm", sample=sample), frame)


def test_a_pickled_catboost_estimator_converts(tmp_path) -> None:
    model = cb.CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model.fit(data.X, data.BINARY)))
    converter = CatBoostConverter()
    assert_file_same(converter, request_for(converter, path, "pickle"), data.X)


def test_a_live_model_of_no_kind_is_read_by_its_loss() -> None:
    options = {"iterations": 5, "loss_function": "Poisson", "verbose": False, "allow_writing_files": False}
    model = cb.CatBoost(options)
    model.fit(data.X, data.POSITIVE)
    converter = CatBoostConverter()
    found = converter.predict(model, {"X": data.X})["variable"]
    np.testing.assert_allclose(found, np.exp(model.predict(data.X)), rtol=1e-12)


def test_a_broken_catboost_file_says_so(tmp_path) -> None:
    path = tmp_path / "model.cbm"
    path.write_bytes(b"CBM1" + bytes(64))
    request = request_for(CatBoostConverter(), path, "cbm")
    with pytest.raises(UnsupportedFileError, match=r"model\.cbm cannot be read by CatBoost"):
        CatBoostConverter().load(request.artifact, request)
