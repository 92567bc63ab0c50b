"""Pandas frames as people have them: numbers, text, dates, flags, gaps, before linear models and boosters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from xgboost import XGBClassifier

from tests.classical.harness import Options, assert_same, assert_same_or_refused


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 120
    made = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "Größe": rng.normal(170, 9, n).round(1),
            "city": rng.choice(["Kraków", "New York", "東京", "paris"], n),
            "income": rng.lognormal(8, 1, n).round(2),
            "member": rng.random(n) < 0.4,
            "seen": pd.Timestamp("2026-01-01").timestamp() + rng.integers(0, 10**7, n),
            "note": [" ".join(rng.choice(["quick", "naïve", "fox", "東京", "I"], 4)) for _ in range(n)],
        }
    )
    made.loc[::7, "income"] = np.nan
    return made


def target(frame: pd.DataFrame) -> np.ndarray:
    return np.where(frame["age"] + (frame["city"] == "paris") * 20 > 50, 1, 0)


@pytest.mark.parametrize(
    "last",
    [
        XGBClassifier(n_estimators=6),
        LGBMClassifier(n_estimators=6, verbose=-1),
        LogisticRegression(max_iter=500),
    ],
    ids=lambda last: type(last).__name__,
)
@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["dense", "sparse"])
def test_numbers_text_dates_and_flags(last: Any, threshold: float, frame: pd.DataFrame) -> None:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]),
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["age", "Größe", "income"]),
        (StandardScaler(), ["seen"]),
        (TfidfVectorizer(), "note"),
        ("passthrough", ["member"]),
        sparse_threshold=threshold,
    )
    model = make_pipeline(columns, last).fit(frame, target(frame))
    described = assert_same(model, frame, Options(rtol=1e-6))
    assert [spec.name for spec in described.signature.inputs] == list(frame.columns)


@pytest.mark.parametrize("gap", [None, np.nan], ids=["None", "NaN"])
def test_missing_text_is_fed_as_it_was_fitted(gap: Any, frame: pd.DataFrame) -> None:
    holed = frame[["city", "Größe"]].copy()
    holed["city"] = holed["city"].astype(object)
    holed.loc[::5, "city"] = gap
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    model = make_column_transformer((encoder, ["city"]), remainder="passthrough").fit(holed)
    assert_same(model, holed)


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "Int64", "category", "boolean"])
def test_pandas_dtypes_are_right_or_refused(dtype: str, frame: pd.DataFrame) -> None:
    odd = frame[["age", "income"]].assign(income=frame["income"].fillna(1.0))
    values = {"category": frame["city"], "boolean": frame["member"]}.get(dtype, frame["age"])
    odd["odd"] = values.astype("int64").astype(dtype) if dtype == "datetime64[ns]" else values.astype(dtype)
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["odd"]), remainder="passthrough"
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(odd, target(frame))
    assert_same_or_refused(model, odd, Options(rtol=1e-6))
