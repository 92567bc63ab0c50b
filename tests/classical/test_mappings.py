"""Rows that are no plain matrix: mappings, texts with gaps, numbers as objects; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MultiLabelBinarizer, OneHotEncoder, OrdinalEncoder, TargetEncoder
from sklearn.tree import DecisionTreeClassifier

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import assert_same, request, run, session_of
from zoo.errors import UnsupportedModelError

RNG = np.random.default_rng(8)
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(["Paris", "köln ", "東京=x", ""], 60),
        "temp": RNG.normal(size=60),
        "ok": RNG.integers(0, 2, 60).astype(float),
    }
)
MAPPINGS: list[dict[str, Any]] = [
    {name: value for name, value in row.items() if value != 0} for row in FRAME.to_dict("records")
]
TARGET = RNG.integers(0, 2, 60)


@pytest.mark.parametrize(
    "options",
    [{}, {"sparse": False, "dtype": np.float32}, {"sort": False}, {"separator": "e"}],
    ids=lambda options: "-".join(options) or "default",
)
def test_mappings_become_one_input_for_each_name(options: dict[str, Any]) -> None:
    model = DictVectorizer(**options).fit(MAPPINGS)
    rows = FRAME.rename(columns={"temp": "t"}) if options.get("separator") == "e" else FRAME
    if "t" in rows:
        model = DictVectorizer(**options).fit(rows.to_dict("records"))
    signature = assert_same(model, rows).signature
    assert sorted(spec.name for spec in signature.inputs) == sorted(rows.columns)


@pytest.mark.parametrize("last", [LogisticRegression(), DecisionTreeClassifier(random_state=0)], ids=str)
def test_a_pipeline_reads_mappings(last: Any) -> None:
    assert_same(make_pipeline(DictVectorizer(), last).fit(MAPPINGS, TARGET), FRAME)


def test_a_search_over_a_pipeline_reads_mappings() -> None:
    pipeline = make_pipeline(DictVectorizer(), LogisticRegression())
    assert_same(GridSearchCV(pipeline, {"logisticregression__C": [1, 2]}, cv=2).fit(MAPPINGS, TARGET), FRAME)


def test_names_and_texts_that_were_not_fitted_are_left_out() -> None:
    model = DictVectorizer().fit(MAPPINGS)
    session = session_of(SklearnConverter().convert(model, request()))
    unseen = {"city": np.array([["Rome"]]), "temp": np.array([[2.0]]), "ok": np.array([[0.0]])}
    expected = model.transform([{"city": "Rome", "temp": 2.0, "other": 3}]).toarray()
    np.testing.assert_array_equal(run(session, unseen)["transformed"], expected)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (FeatureHasher(8).fit(MAPPINGS), "none was learned"),
        (MultiLabelBinarizer().fit([["a"], ["b", "c"]]), "any number of labels"),
        (DictVectorizer().fit([{"a": 1}, {"a": "x"}]), "'a' was fitted with numbers and with texts"),
        (DictVectorizer(dtype=np.int64).fit([{"a": 1}]), "dtype=int64"),
        (make_pipeline(FeatureHasher(8), LogisticRegression()).fit(MAPPINGS, TARGET), "none was learned"),
    ],
    ids=["hasher", "labels", "both", "whole", "pipeline"],
)
def test_rows_without_columns_are_refused_with_the_reason(model: Any, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=reason) as error:
        SklearnConverter().convert(model, request())
    assert error.value.hint


@pytest.mark.parametrize("missing", [None, np.nan], ids=str)
@pytest.mark.parametrize("column", [0, 1])
def test_a_gap_in_any_column_of_texts_is_one_for_the_source(column: int, missing: Any) -> None:
    texts = RNG.choice(np.array(["red", "Ünï", "blue"], dtype=object), (60, 2))
    texts[::7, column] = missing
    assert_same(make_pipeline(OrdinalEncoder(), DecisionTreeClassifier()).fit(texts, TARGET), texts)
    assert_same(OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(texts), texts)


@pytest.mark.parametrize("kind", [OneHotEncoder, OrdinalEncoder, TargetEncoder])
def test_numbers_that_were_learned_as_objects_are_given_as_objects(kind: Any) -> None:
    numbers = RNG.integers(0, 4, (60, 2)).astype(object)
    description = assert_same(kind().fit(numbers, TARGET), numbers)
    assert description.signature.inputs[0].dtype == "int64"
    frame = pd.DataFrame({"a": numbers[:, 0], "b": numbers[:, 1]}, dtype=object)
    assert_same(kind().fit(frame, TARGET), frame)
