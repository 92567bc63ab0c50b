"""What a sample says of the inputs: zoo.export and `--sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import zoo
from converters.from_sklearn import SklearnConverter
from tests.classical.harness import request, run, session_of
from zoo.records import ConversionRequest
from zoo.sampling import named_tensors
from zoo.tensors import save_tensors

ROWS = np.random.default_rng(4).normal(size=(60, 3)).round(2)
FLAGS = (ROWS[:, 0] > 0).astype(int)


def exported(model: Any, sample: Any, folder: Path) -> dict[str, str]:
    """The dtypes of the inputs of a live model that was exported with a sample."""
    import onnx

    made = zoo.export(model, sample, folder / "m.onnx")
    inputs = onnx.load(made.path).graph.input
    kinds = onnx.TensorProto.DataType
    return {found.name: kinds.Name(found.type.tensor_type.elem_type) for found in inputs}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "bool"])
def test_the_matrix_has_the_dtype_of_the_sample(dtype: str, tmp_path: Path) -> None:
    rows = (ROWS * 3).astype(dtype)
    kind = {"float32": "FLOAT", "float64": "DOUBLE"}.get(dtype, dtype.upper())
    assert exported(LogisticRegression().fit(rows, FLAGS), rows[:8], tmp_path) == {"X": kind}


def test_a_scaler_before_a_tree_computes_in_the_dtype_of_the_sample() -> None:
    rows = (np.round(ROWS, 1) + 0.1).astype(np.float32)
    model = make_pipeline(StandardScaler(), DecisionTreeClassifier()).fit(rows, FLAGS)
    got = run(session_of(SklearnConverter().convert(model, sampled(rows))), {"X": rows})
    np.testing.assert_array_equal(got["label"], model.predict(rows))
    assert got["probabilities"].dtype == model.predict_proba(rows).dtype


def sampled(sample: Any) -> ConversionRequest:
    """A request with a sample file beside the tests' temporary ones."""
    import dataclasses
    import tempfile

    path = Path(tempfile.mkdtemp()) / "sample.npz"
    save_tensors(path, named_tensors(sample))
    return dataclasses.replace(request(), sample=path)


def test_a_frame_of_gaps_levels_dates_and_nullable_numbers_is_a_sample(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["x", "y", None], 60),
            "grade": pd.Categorical(rng.choice(["low", "high"], 60)),
            "day": pd.to_datetime(rng.integers(0, 10**9, 60), unit="s"),
            "count": pd.array(rng.integers(0, 5, 60), dtype="Int64"),
            "size": ROWS[:, 0].astype(np.float32),
        }
    )
    frame.loc[3, "count"] = pd.NA
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city", "grade"]),
        (StandardScaler(), ["day"]),
        (SimpleImputer(), ["count", "size"]),
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, FLAGS)
    assert exported(model, frame, tmp_path) == {
        "city": "STRING",
        "grade": "STRING",
        "day": "DOUBLE",
        "count": "DOUBLE",
        "size": "FLOAT",
    }


def test_objects_of_text_here_and_numbers_there_are_a_sample(tmp_path: Path) -> None:
    rows = np.array([["a", 1.5], ["b", 2.0], [None, 3.0]] * 20, dtype=object)
    columns = make_column_transformer((OneHotEncoder(), [0]), (StandardScaler(), [1]))
    model = make_pipeline(columns, LogisticRegression()).fit(rows, FLAGS)
    assert exported(model, rows, tmp_path) == {"x0": "STRING", "x1": "DOUBLE"}


def test_a_sparse_matrix_is_a_sample(tmp_path: Path) -> None:
    rows = scipy.sparse.csr_matrix(np.where(ROWS > 0, ROWS, 0))
    assert exported(LogisticRegression().fit(rows, FLAGS), rows, tmp_path) == {"X": "DOUBLE"}


def test_texts_are_a_sample(tmp_path: Path) -> None:
    texts = ["the cat", "a dog sat", "cat dog"] * 20
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, FLAGS)
    assert exported(model, pd.Series(texts), tmp_path) == {"text": "STRING"}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_narrow_whole_numbers_that_pass_through_come_out_as_int64(dtype: str) -> None:
    rows = (ROWS * 3).astype(np.int8).astype(dtype)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, FLAGS)
    assert SklearnConverter().describe(model, sampled(rows)).signature.inputs[0].dtype == dtype
    model = FunctionTransformer().fit(rows)
    got = run(session_of(SklearnConverter().convert(model, sampled(rows))), {"X": rows})
    np.testing.assert_array_equal(got["transformed"], rows.astype(np.int64))


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "model", [LogisticRegression(), make_pipeline(StandardScaler(), LogisticRegression())]
)
def test_what_was_learned_in_float32_shows_the_inputs_dtype(model: Any, dtype: str, frame: bool) -> None:
    rows: Any = pd.DataFrame(ROWS.astype(dtype), columns=list("abc")) if frame else ROWS.astype(dtype)
    model = clone(model).fit(rows, FLAGS)
    specs = SklearnConverter().describe(model, request()).signature.inputs
    assert {spec.dtype for spec in specs} == {dtype}


def test_trees_show_no_dtype() -> None:
    model = DecisionTreeClassifier().fit(ROWS.astype(np.float32), FLAGS)
    assert SklearnConverter().describe(model, request()).signature.inputs[0].dtype == "float64"
