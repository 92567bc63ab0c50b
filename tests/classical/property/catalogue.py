"""Estimators, and for each the values that every option is drawn from; an option left out has its default."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

Options = dict[str, tuple[Any, ...]]

_TREE: Options = {"max_depth": (1, 2, 4, None), "min_samples_leaf": (1, 3), "max_leaf_nodes": (None, 4)}
_CLASS_TREE: Options = {**_TREE, "criterion": ("gini", "entropy"), "class_weight": (None, "balanced")}
_FOREST: Options = {"n_estimators": (1, 2, 5, 12), "bootstrap": (True, False), "max_features": (None, 1)}
_BOOST: Options = {
    "n_estimators": (1, 3, 8),
    "learning_rate": (0.1, 0.7),
    "subsample": (1.0, 0.6),
    "max_depth": (1, 3),
}
_HIST: Options = {
    "max_iter": (1, 3, 8),
    "min_samples_leaf": (1, 4),
    "max_bins": (255, 5),
    "learning_rate": (0.1, 1.0),
}
_NEAR: Options = {
    "n_neighbors": (1, 2, 3, 5),
    "weights": ("uniform", "distance"),
    "metric": ("minkowski", "manhattan", "chebyshev", "cosine", "canberra", "braycurtis"),
    "algorithm": ("auto", "brute"),
}
SVM: Options = {
    "kernel": ("linear", "poly", "rbf", "sigmoid"),
    "gamma": ("scale", 0.1),
    "degree": (2, 3),
    "coef0": (0.0, 1.0),
    "max_iter": (100,),
}
_NET: Options = {
    "hidden_layer_sizes": ((3,), (4, 3)),
    "activation": ("relu", "tanh", "logistic", "identity"),
    "max_iter": (5,),
}
_XGB: Options = {
    "n_estimators": (1, 4),
    "max_depth": (1, 3, 0),
    "booster": ("gbtree", "dart", "gblinear"),
    "base_score": (None, 0.3),
    "learning_rate": (0.3, 1.0),
    "tree_method": ("hist", "exact", "approx"),
    "min_child_weight": (0, 1),
    "num_parallel_tree": (1, 2),
}
_LGB: Options = {
    "n_estimators": (1, 4),
    "num_leaves": (3, 8),
    "min_child_samples": (1, 4),
    "boosting_type": ("gbdt", "dart"),
    "min_data_in_bin": (1, 3),
    "zero_as_missing": (False, True),
    "use_missing": (True, False),
    "extra_trees": (False, True),
}
_CAT: Options = {
    "iterations": (1, 4),
    "depth": (1, 3),
    "grow_policy": ("SymmetricTree", "Depthwise", "Lossguide"),
    "nan_mode": ("Min", "Max"),
    "border_count": (254, 8),
}

CLASSIFIERS: dict[str, Options] = {
    "sklearn.linear_model.LogisticRegression": {
        "C": (0.1, 1.0, 100.0),
        "fit_intercept": (True, False),
        "class_weight": (None, "balanced"),
        "solver": ("lbfgs", "newton-cg"),
        "max_iter": (5, 100),
    },
    "sklearn.linear_model.SGDClassifier": {
        "loss": ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron"),
        "average": (False, True),
        "alpha": (1e-4, 0.1),
    },
    "sklearn.linear_model.RidgeClassifier": {"alpha": (0.1, 1.0), "class_weight": (None, "balanced")},
    "sklearn.linear_model.Perceptron": {"penalty": (None, "l1")},
    "sklearn.svm.LinearSVC": {"C": (0.1, 1.0), "loss": ("hinge", "squared_hinge"), "max_iter": (20,)},
    "sklearn.svm.SVC": {
        **SVM,
        "decision_function_shape": ("ovr", "ovo"),
        "break_ties": (False, True),
        "C": (1.0, 50.0),
    },
    "sklearn.svm.NuSVC": {**SVM, "nu": (0.1, 0.3)},
    "sklearn.neighbors.KNeighborsClassifier": _NEAR,
    "sklearn.neighbors.RadiusNeighborsClassifier": {
        "radius": (0.5, 5.0, 1e6),
        "weights": ("uniform", "distance"),
        "outlier_label": ("most_frequent",),
        "metric": ("minkowski", "manhattan"),
    },
    "sklearn.neighbors.NearestCentroid": {
        "metric": ("euclidean", "manhattan"),
        "shrink_threshold": (None, 0.3),
    },
    "sklearn.naive_bayes.GaussianNB": {"var_smoothing": (1e-9, 0.1)},
    "sklearn.naive_bayes.BernoulliNB": {
        "binarize": (0.0, 0.1, 1.2),
        "alpha": (0.5, 1.0),
        "fit_prior": (True, False),
    },
    "sklearn.naive_bayes.MultinomialNB": {"alpha": (0.1, 1.0), "fit_prior": (True, False)},
    "sklearn.naive_bayes.ComplementNB": {"norm": (False, True)},
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis": {
        "solver": ("svd", "lsqr"),
        "store_covariance": (False,),
    },
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis": {"reg_param": (0.1, 0.5)},
    "sklearn.tree.DecisionTreeClassifier": _CLASS_TREE,
    "sklearn.tree.ExtraTreeClassifier": _CLASS_TREE,
    "sklearn.ensemble.RandomForestClassifier": {**_CLASS_TREE, **_FOREST},
    "sklearn.ensemble.ExtraTreesClassifier": {**_CLASS_TREE, **_FOREST},
    "sklearn.ensemble.GradientBoostingClassifier": {
        **_BOOST,
        "loss": ("log_loss", "exponential"),
        "init": (None, "zero"),
    },
    "sklearn.ensemble.HistGradientBoostingClassifier": {**_HIST, "class_weight": (None, "balanced")},
    "sklearn.ensemble.AdaBoostClassifier": {"n_estimators": (1, 4), "learning_rate": (0.5, 1.0)},
    "sklearn.ensemble.BaggingClassifier": {
        "n_estimators": (2, 4),
        "max_features": (1.0, 0.6),
        "estimator": (None, "LinearSVC", "GaussianNB", "LogisticRegression"),
    },
    "sklearn.neural_network.MLPClassifier": _NET,
    "sklearn.gaussian_process.GaussianProcessClassifier": {"optimizer": (None,), "max_iter_predict": (10,)},
    "sklearn.dummy.DummyClassifier": {"strategy": ("prior", "most_frequent", "stratified", "uniform")},
    "sklearn.calibration.CalibratedClassifierCV": {
        "method": ("sigmoid", "isotonic"),
        "cv": (2,),
        "ensemble": (True, False),
        "estimator": ("LinearSVC", "GaussianNB", "DecisionTree", "LogisticRegression"),
    },
    "sklearn.multiclass.OneVsRestClassifier": {
        "estimator": ("LinearSVC", "GaussianNB", "SVC", "DecisionTree")
    },
    "sklearn.multiclass.OneVsOneClassifier": {
        "estimator": ("LinearSVC", "GaussianNB", "SVC", "DecisionTree")
    },
    "sklearn.multiclass.OutputCodeClassifier": {
        "estimator": ("LinearSVC", "LogisticRegression"),
        "code_size": (1.5, 3),
    },
    "sklearn.model_selection.FixedThresholdClassifier": {
        "estimator": ("LogisticRegression", "DecisionTree", "GaussianNB"),
        "threshold": (0.3, 0.5, 0.75),
    },
    "sklearn.ensemble.VotingClassifier": {
        "estimators": ("pair",),
        "voting": ("hard", "soft"),
        "weights": (None, [1, 2]),
    },
    "sklearn.ensemble.StackingClassifier": {
        "estimators": ("pair",),
        "cv": (2,),
        "passthrough": (False, True),
        "final_estimator": ("LogisticRegression", "DecisionTree"),
    },
    "sklearn.semi_supervised.SelfTrainingClassifier": {
        "estimator": ("LogisticRegression", "GaussianNB"),
        "max_iter": (1,),
    },
    "xgboost.XGBClassifier": _XGB,
    "xgboost.XGBRFClassifier": {"n_estimators": (2, 4), "max_depth": (2, 3)},
    "lightgbm.LGBMClassifier": {**_LGB, "objective": (None, "multiclassova"), "sigmoid": (1.0, 2.0)},
    "catboost.CatBoostClassifier": {**_CAT, "auto_class_weights": (None, "Balanced")},
}
SEVERAL_CLASSIFIERS: dict[str, Options] = {
    "sklearn.multioutput.MultiOutputClassifier": {"estimator": ("LogisticRegression", "DecisionTree")},
    "sklearn.multioutput.ClassifierChain": {
        "estimator": ("LogisticRegression", "DecisionTree"),
        "order": (None, "random"),
    },
    **{
        name: CLASSIFIERS[name]
        for name in (
            *("sklearn.tree.DecisionTreeClassifier", "sklearn.ensemble.RandomForestClassifier"),
            *("sklearn.ensemble.ExtraTreesClassifier", "sklearn.neighbors.KNeighborsClassifier"),
            *(
                "sklearn.neural_network.MLPClassifier",
                "sklearn.multiclass.OneVsRestClassifier",
                "xgboost.XGBClassifier",
            ),
        )
    },
}

_REG_TREE: Options = {**_TREE, "criterion": ("squared_error", "absolute_error")}
REGRESSORS: dict[str, Options] = {
    "sklearn.linear_model.LinearRegression": {"fit_intercept": (True, False), "positive": (False, True)},
    "sklearn.linear_model.Ridge": {"alpha": (0.1, 1.0), "fit_intercept": (True, False)},
    "sklearn.linear_model.Lasso": {"alpha": (0.01, 1.0)},
    "sklearn.linear_model.ElasticNet": {"alpha": (0.01, 1.0), "l1_ratio": (0.2, 0.8)},
    "sklearn.linear_model.BayesianRidge": {},
    "sklearn.linear_model.HuberRegressor": {"max_iter": (20,)},
    "sklearn.linear_model.SGDRegressor": {"loss": ("squared_error", "huber"), "max_iter": (10,)},
    "sklearn.linear_model.TweedieRegressor": {
        "power": (0, 1, 1.5, 2),
        "link": ("auto", "log"),
        "max_iter": (10,),
    },
    "sklearn.linear_model.PoissonRegressor": {"alpha": (0.1, 1.0), "max_iter": (10,)},
    "sklearn.linear_model.QuantileRegressor": {"quantile": (0.3, 0.5), "alpha": (0.01,)},
    "sklearn.svm.SVR": {**SVM, "C": (1.0, 50.0)},
    "sklearn.svm.NuSVR": SVM,
    "sklearn.svm.LinearSVR": {
        "max_iter": (20,),
        "loss": ("epsilon_insensitive", "squared_epsilon_insensitive"),
    },
    "sklearn.neighbors.KNeighborsRegressor": _NEAR,
    "sklearn.neighbors.RadiusNeighborsRegressor": {"radius": (5.0, 1e6), "weights": ("uniform", "distance")},
    "sklearn.tree.DecisionTreeRegressor": _REG_TREE,
    "sklearn.tree.ExtraTreeRegressor": _TREE,
    "sklearn.ensemble.RandomForestRegressor": {**_TREE, **_FOREST},
    "sklearn.ensemble.ExtraTreesRegressor": {**_TREE, **_FOREST},
    "sklearn.ensemble.GradientBoostingRegressor": {
        **_BOOST,
        "loss": ("squared_error", "huber", "quantile", "absolute_error"),
    },
    "sklearn.ensemble.HistGradientBoostingRegressor": {
        **_HIST,
        "loss": ("squared_error", "absolute_error", "poisson", "gamma"),
    },
    "sklearn.ensemble.AdaBoostRegressor": {"n_estimators": (1, 4), "loss": ("linear", "square")},
    "sklearn.ensemble.BaggingRegressor": {"n_estimators": (2, 4), "max_features": (1.0, 0.6)},
    "sklearn.neural_network.MLPRegressor": _NET,
    "sklearn.gaussian_process.GaussianProcessRegressor": {
        "alpha": (0.1, 1.0),
        "normalize_y": (False, True),
        "optimizer": (None,),
    },
    "sklearn.kernel_ridge.KernelRidge": {
        "kernel": ("linear", "rbf", "poly", "laplacian"),
        "alpha": (0.1, 1.0),
        "gamma": (0.1,),
    },
    "sklearn.isotonic.IsotonicRegression": {"increasing": (True, False), "out_of_bounds": ("clip", "nan")},
    "sklearn.dummy.DummyRegressor": {"strategy": ("mean", "median")},
    "sklearn.compose.TransformedTargetRegressor": {
        "regressor": ("Ridge", "TreeRegressor"),
        "func": (np.log1p,),
        "inverse_func": (np.expm1,),
    },
    "sklearn.ensemble.VotingRegressor": {"estimators": ("regressors",), "weights": (None, [1, 3])},
    "sklearn.ensemble.StackingRegressor": {
        "estimators": ("regressors",),
        "cv": (2,),
        "passthrough": (False, True),
    },
    "xgboost.XGBRegressor": {
        **_XGB,
        "objective": ("reg:squarederror", "reg:absoluteerror", "count:poisson", "reg:gamma", "reg:tweedie"),
    },
    "xgboost.XGBRFRegressor": {"n_estimators": (2, 4), "max_depth": (2, 3)},
    "lightgbm.LGBMRegressor": {
        **_LGB,
        "objective": (
            "regression",
            "regression_l1",
            "huber",
            "poisson",
            "quantile",
            "gamma",
            "tweedie",
            "mape",
            "fair",
        ),
        "reg_sqrt": (False, True),
        "linear_tree": (False, True),
    },
    "catboost.CatBoostRegressor": {**_CAT, "loss_function": ("RMSE", "MAE", "Poisson", "Quantile:alpha=0.3")},
}
SEVERAL_REGRESSORS: dict[str, Options] = {
    "sklearn.multioutput.MultiOutputRegressor": {"estimator": ("Ridge", "TreeRegressor")},
    "sklearn.multioutput.RegressorChain": {
        "estimator": ("Ridge", "TreeRegressor"),
        "order": (None, "random"),
    },
    "sklearn.cross_decomposition.PLSRegression": {"n_components": (1, 2), "scale": (True, False)},
    "sklearn.linear_model.MultiTaskLasso": {"alpha": (0.01, 1.0)},
    **{
        name: REGRESSORS[name]
        for name in (
            *(
                "sklearn.linear_model.LinearRegression",
                "sklearn.linear_model.Ridge",
                "sklearn.tree.DecisionTreeRegressor",
            ),
            *(
                "sklearn.ensemble.RandomForestRegressor",
                "sklearn.ensemble.ExtraTreesRegressor",
                "xgboost.XGBRegressor",
            ),
            *(
                "sklearn.neighbors.KNeighborsRegressor",
                "sklearn.kernel_ridge.KernelRidge",
                "sklearn.dummy.DummyRegressor",
            ),
        )
    },
}

POSITIVE = ("MultinomialNB", "ComplementNB", "TweedieRegressor", "PoissonRegressor")
POSITIVE_WORDS = ("poisson", "gamma", "tweedie", "Poisson", "count:")
GAPS_ALLOWED = (
    "Tree",
    "Forest",
    "HistGradient",
    "XGB",
    "LGBM",
    "CatBoost",
    "Imputer",
    "Scaler",
    "Bagging",
    "Encoder",
    "Quantile",
    "Power",
)


def built(name: str, options: dict[str, Any]) -> Any:
    """The estimator, unfitted and seeded, silent, its nested estimators filled in."""
    module, _, kind = name.rpartition(".")
    settings = {key: _nested(value) for key, value in options.items()}
    settings.update(_quiet(module))
    estimator = getattr(import_module(module), kind)(**settings)
    if "random_state" in estimator.get_params() and estimator.get_params()["random_state"] is None:
        estimator.set_params(random_state=0)
    return estimator


def _quiet(module: str) -> dict[str, Any]:
    return {
        "xgboost": {"verbosity": 0, "n_jobs": 1},
        "lightgbm": {"verbose": -1, "n_jobs": 1},
        "catboost": {"verbose": False, "allow_writing_files": False, "thread_count": 1},
    }.get(module, {})


@lru_cache(maxsize=1)
def _parts() -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.naive_bayes import GaussianNB
    from sklearn.svm import SVC, LinearSVC
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    tree, other = (
        DecisionTreeClassifier(max_depth=2, random_state=0),
        DecisionTreeRegressor(max_depth=2, random_state=0),
    )
    return {
        "LinearSVC": LinearSVC(max_iter=50, random_state=0),
        "GaussianNB": GaussianNB(),
        "LogisticRegression": LogisticRegression(max_iter=50),
        "SVC": SVC(random_state=0),
        "DecisionTree": tree,
        "Ridge": Ridge(),
        "TreeRegressor": other,
        "pair": [("a", LogisticRegression(max_iter=50)), ("b", tree)],
        "regressors": [("a", Ridge()), ("b", other)],
    }


def _nested(value: Any) -> Any:
    from sklearn.base import clone

    found = _parts().get(value) if isinstance(value, str) else None
    if isinstance(found, list):
        return [(name, clone(part)) for name, part in found]
    return value if found is None else clone(found)
