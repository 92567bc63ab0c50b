"""Plain upstream: skl2onnx with onnxmltools' converters for boosters, CatBoost's own exporter."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

METHODS = {"label": "predict", "probabilities": "predict_proba", "variable": "predict"}


@lru_cache(maxsize=None)
def register() -> None:
    """Tell skl2onnx of onnxmltools' converters, as the documentation of both says."""
    from lightgbm import LGBMClassifier, LGBMRegressor
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    for kind in (XGBClassifier, XGBRFClassifier, LGBMClassifier):
        convert = convert_lightgbm if kind is LGBMClassifier else convert_xgboost
        shapes = calculate_linear_classifier_output_shapes
        update_registered_converter(kind, kind.__name__, shapes, convert, options=options)
    for kind in (XGBRegressor, XGBRFRegressor, LGBMRegressor):
        convert = convert_lightgbm if kind is LGBMRegressor else convert_xgboost
        update_registered_converter(kind, kind.__name__, calculate_linear_regressor_output_shapes, convert)


def convert(model: Any, rows: Any) -> bytes:
    """The model as upstream writes it, without ZipMap where it is a classifier."""
    from skl2onnx import convert_sklearn
    from sklearn.base import is_classifier

    if type(model).__module__.startswith("catboost"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            model.save_model(str(path), format="onnx")
            return path.read_bytes()
    register()
    options = (
        {id(model): {"zipmap": False}} if is_classifier(model) and hasattr(model, "predict_proba") else None
    )
    made = convert_sklearn(
        model, initial_types=_types(rows), target_opset={"": 21, "ai.onnx.ml": 3}, options=options
    )
    graph: bytes = made.SerializeToString()
    return graph


def _types(rows: Any) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    if isinstance(rows, list):
        return [("text", StringTensorType([None, 1]))]
    if hasattr(rows, "columns"):
        return [
            (name, StringTensorType([None, 1]) if rows[name].dtype == object else FloatTensorType([None, 1]))
            for name in rows.columns
        ]
    return [("X", FloatTensorType([None, rows.shape[1]]))]


def answers(session: Any, model: Any, rows: Any) -> tuple[str, str] | None:
    """Where the graph's answers differ from the source's for the same (float32) rows; None if nowhere."""
    from benchmarks.sweep_classical.judge import UPSTREAM, differs
    from converters.classical.answers import observed

    fed, seen = _fed(session, rows)
    try:
        expected, _ = observed(model, seen)
    except Exception:  # noqa: BLE001 - the source refuses these rows
        return None
    try:
        got = session.run(None, fed)
    except Exception as error:  # noqa: BLE001 - a verdict
        return "crashed", str(error)[:200]
    for place, (name, wanted) in enumerate(expected.items()):
        if place >= len(got) or isinstance(got[place], list):
            continue
        bound = None if name == "scores" and np.shape(got[place]) != wanted.shape else UPSTREAM
        fault = None if bound is None else differs(np.asarray(got[place]), wanted, bound)
        if fault:
            return "wrong", f"{name}: {fault}"
    return None


def _fed(session: Any, rows: Any) -> tuple[dict[str, Any], Any]:
    """Feeds in float32 and text, and the same rows for the source."""
    names = [item.name for item in session.get_inputs()]
    if isinstance(rows, list):
        return {names[0]: np.array(rows, dtype=object).reshape(-1, 1)}, rows
    if hasattr(rows, "columns"):
        seen = rows.copy()
        for name in rows.columns:
            if rows[name].dtype != object:
                seen[name] = rows[name].astype(np.float32)
        return {name: seen[name].to_numpy().reshape(-1, 1) for name in names}, seen
    single = rows.astype(np.float32)
    return {names[0]: single}, single
