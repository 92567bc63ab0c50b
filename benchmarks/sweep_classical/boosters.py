"""Option sets of the boosters."""

from __future__ import annotations

from typing import Any

_XGB_R = (
    "reg:squarederror",
    "reg:logistic",
    "reg:absoluteerror",
    "count:poisson",
    "reg:gamma",
    "reg:tweedie",
)
_LGB_R = ("regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie")
_CAT_R = ("RMSE", "MAE", "Poisson", "Quantile:alpha=0.3", "Tweedie:variance_power=1.5", "Huber:delta=1.0")

OPTIONS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("xgboost", "XGBClassifier"): [
        *({}, {"booster": "dart"}, {"booster": "gblinear"}, {"max_depth": 2, "base_score": 0.3}),
        *({"tree_method": "exact"}, {"grow_policy": "lossguide", "max_leaves": 6}, {"subsample": 0.7}),
    ],
    ("xgboost", "XGBRegressor"): [{"objective": o} for o in _XGB_R] + [{"booster": "gblinear"}],
    ("xgboost", "XGBRFClassifier"): [{}],
    ("xgboost", "XGBRFRegressor"): [{}],
    ("lightgbm", "LGBMClassifier"): [
        *({}, {"boosting_type": "dart"}, {"boosting_type": "rf", "subsample": 0.7, "subsample_freq": 1}),
        *({"num_leaves": 4}, {"zero_as_missing": True}, {"extra_trees": True}),
    ],
    ("lightgbm", "LGBMRegressor"): [{"objective": o} for o in _LGB_R]
    + [{"reg_sqrt": True}, {"linear_tree": True}],
    ("catboost", "CatBoostClassifier"): [{}, {"depth": 3}, {"grow_policy": "Lossguide"}],
    ("catboost", "CatBoostRegressor"): [{"loss_function": o} for o in _CAT_R]
    + [{"grow_policy": "Depthwise"}],
}
