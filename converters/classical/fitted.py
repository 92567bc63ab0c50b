"""Whether a model was fitted on float32 rows, as far as what it has learned shows.

scikit-learn keeps float32 in most of what it learns from float32 rows (coefficients, centres, the rows
themselves), and answers float32 rows in float32. StandardScaler, trees, support vectors and boosters keep
float64 whatever they see: they show nothing.
"""

from __future__ import annotations

from typing import Any, Iterator

LEARNED = (
    *("coef_", "coefs_", "cluster_centers_", "subcluster_centers_", "components_", "mean_", "means_"),
    *("location_", "theta_", "X_train_", "_fit_X", "X_fit_", "X_", "lambdas_", "max_abs_", "data_min_"),
    *("center_", "statistics_", "random_weights_", "scalings_"),
)
"""Attributes that have the dtype of the fitted rows, where they have float32 at all."""
KEEPING = (
    *("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Normalizer", "SimpleImputer"),
    *("KNNImputer", "QuantileTransformer", "PowerTransformer", "PolynomialFeatures", "PCA", "TruncatedSVD"),
    *("VarianceThreshold", "SelectKBest", "SelectPercentile", "SelectFromModel", "RFE", "RFECV"),
)
"""Transformers that give float32 for float32 and float64 for float64."""
_INNER = ("best_estimator_", "estimator_", "regressor_")


def shows_float32(model: Any) -> bool:
    """Whether something that was learned from the rows themselves is in float32."""
    return any(_dtype(part, name) == "float32" for part in _readers(model) for name in LEARNED)


def _readers(model: Any) -> Iterator[Any]:
    """The estimators that have read the model's own rows, or those rows in their dtype."""
    for _, step in getattr(model, "steps", ()):
        if step is None or step == "passthrough":
            continue
        yield from _readers(step)
        if type(step).__name__ not in KEEPING or not type(step).__module__.startswith("sklearn."):
            return
    if not hasattr(model, "steps"):
        yield model
        members = getattr(model, "estimators_", None)
        inner = [getattr(model, name, None) for name in _INNER]
        inner += list(members[:1]) if isinstance(members, list) else []
        for one in inner:
            if hasattr(one, "fit"):
                yield from _readers(one)


def _dtype(part: Any, name: str) -> str:
    learned = vars(part).get(name) if hasattr(part, "__dict__") else None
    first = learned[0] if isinstance(learned, list) and learned else learned
    return str(getattr(first, "dtype", ""))
