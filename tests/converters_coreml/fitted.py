"""Models that scikit-learn fitted, as the numbers that coremltools' converter takes from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

IRIS = load_iris()
ROWS = IRIS.data.astype(np.float32)
TWO = IRIS.target > 0


def models() -> dict[str, Any]:
    """Name to fitted model."""
    boosted = GradientBoostingClassifier(n_estimators=12, random_state=0)
    return {
        "boosted": boosted.fit(ROWS, IRIS.target > 1),
        "boosted_three": GradientBoostingClassifier(n_estimators=8, random_state=0).fit(ROWS, IRIS.target),
        "forest": RandomForestClassifier(n_estimators=7, random_state=0).fit(ROWS, IRIS.target),
    }


def numbers(fitted: dict[str, Any]) -> dict[str, Any]:
    """The same as JSON."""
    return {name: _numbers(model) for name, model in fitted.items()}


def _numbers(model: Any) -> dict[str, Any]:
    boosted = isinstance(model, GradientBoostingClassifier)
    many = len(model.classes_) > 2
    base = [0.0] * len(model.classes_)
    transform = "NoTransform"
    if boosted:
        base = model._raw_predict_init(np.zeros((1, 4), dtype=np.float32))[0].tolist()
        transform = "Classification_SoftMax" if many else "Regression_Logistic"
    trees = [_tree(model, tree, place) for place, tree in enumerate(np.ravel(model.estimators_))]
    classes = list(range(len(model.classes_)))
    return {"width": 4, "classes": classes, "base": base, "transform": transform, "trees": trees}


def _tree(model: Any, tree: Any, place: int) -> dict[str, Any]:
    parts = tree.tree_
    values = parts.value[:, 0, :]
    if isinstance(model, GradientBoostingClassifier):
        scaled = values[:, 0] * model.learning_rate
        many = len(model.classes_) > 2
        value = [{place % len(model.classes_): one} for one in scaled] if many else scaled.tolist()
    else:
        value = (values / values.sum(axis=1, keepdims=True) / len(model.estimators_)).tolist()
    return {
        "left": parts.children_left.tolist(),
        "right": parts.children_right.tolist(),
        "feature": parts.feature.tolist(),
        "threshold": parts.threshold.tolist(),
        "value": value,
    }
