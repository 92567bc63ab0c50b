"""Option sets of scikit-learn's estimators, beside the default one; arguments that constructors demand."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.gaussian_process import kernels as gk
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, QuantileTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

_TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
_CLASSIFIERS = [
    ("a", make_pipeline(StandardScaler(), LogisticRegression())),
    ("b", GaussianNB()),
    ("c", _TREE),
]
_REGRESSORS = [("a", LinearRegression()), ("b", DecisionTreeRegressor(max_depth=3, random_state=0))]
_SVM: list[dict[str, Any]] = [{"kernel": k} for k in ("linear", "poly", "sigmoid")]
_METRICS: list[dict[str, Any]] = [
    *(
        {"metric": "manhattan"},
        {"metric": "chebyshev"},
        {"p": 3},
        {"metric": "cosine"},
        {"algorithm": "brute"},
    ),
    *({"weights": "distance"}, {"n_neighbors": 1}, {"weights": "distance", "p": 1}),
    *({"metric": "canberra"}, {"metric": "braycurtis", "weights": "distance"}),
    *({"metric": name, "algorithm": "ball_tree"} for name in ("hamming", "jaccard")),
]
_RADII: list[dict[str, Any]] = [
    {"radius": 50.0},
    {"radius": 50.0, "weights": "distance"},
    {"radius": 3.0, "p": 1},
]
_TREES: list[dict[str, Any]] = [{"max_depth": 3}, {"min_samples_leaf": 5}, {"max_leaf_nodes": 8}]
_FOREST: list[dict[str, Any]] = [
    {"n_estimators": 12},
    {"n_estimators": 7, "max_depth": 4},
    {"bootstrap": False},
]

DEMANDED: dict[str, dict[str, Any]] = {
    "VotingClassifier": {"estimators": _CLASSIFIERS},
    "VotingRegressor": {"estimators": _REGRESSORS},
    "StackingClassifier": {"estimators": _CLASSIFIERS, "cv": 3},
    "StackingRegressor": {"estimators": _REGRESSORS, "cv": 3},
    "ColumnTransformer": {"transformers": [("a", StandardScaler(), [0, 1]), ("b", MinMaxScaler(), [2, 3])]},
    "FeatureUnion": {"transformer_list": [("a", StandardScaler()), ("b", MinMaxScaler())]},
    "Pipeline": {"steps": [("a", StandardScaler()), ("b", LogisticRegression())]},
    "GridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [0.1, 1.0]}, "cv": 3},
    "RandomizedSearchCV": {
        "estimator": LogisticRegression(),
        "param_distributions": {"C": [0.1, 1.0]},
        "n_iter": 2,
        "cv": 3,
    },
    "HalvingGridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [0.1, 1.0]}, "cv": 3},
    "HalvingRandomSearchCV": {
        "estimator": LogisticRegression(),
        "param_distributions": {"C": [0.1, 1.0, 2.0]},
        "cv": 3,
    },
    "SparseCoder": {"dictionary": np.eye(5)[:3]},
    "SelectFromModel": {"estimator": LogisticRegression()},
    "RFE": {"estimator": LogisticRegression(), "n_features_to_select": 3},
    "RFECV": {"estimator": LogisticRegression(), "cv": 3},
    "SequentialFeatureSelector": {"estimator": LogisticRegression(), "n_features_to_select": 2, "cv": 3},
    "MultiOutputClassifier": {"estimator": LogisticRegression()},
    "MultiOutputRegressor": {"estimator": Ridge()},
    "ClassifierChain": {"estimator": LogisticRegression()},
    "RegressorChain": {"estimator": Ridge()},
    "OneVsRestClassifier": {"estimator": LogisticRegression()},
    "OneVsOneClassifier": {"estimator": LogisticRegression()},
    "OutputCodeClassifier": {"estimator": LogisticRegression(), "random_state": 0},
    "FixedThresholdClassifier": {"estimator": LogisticRegression(), "threshold": 0.3},
    "TunedThresholdClassifierCV": {"estimator": LogisticRegression(), "cv": 3},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    "TransformedTargetRegressor": {"regressor": Ridge(), "func": np.log1p, "inverse_func": np.expm1},
    "LocalOutlierFactor": {"novelty": True},
    "AffinityPropagation": {"random_state": 0},
    "MeanShift": {"bandwidth": 40.0},
    "RadiusNeighborsClassifier": {"radius": 20.0, "outlier_label": "most_frequent"},
    "RadiusNeighborsRegressor": {"radius": 20.0},
}

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SVC": [*_SVM, {"decision_function_shape": "ovo"}, {"break_ties": True}, {"probability": True}],
    "NuSVC": [{**k, "nu": 0.1} for k in _SVM] + [{"probability": True, "nu": 0.2}],
    "SVR": _SVM,
    "NuSVR": _SVM,
    "OneClassSVM": _SVM,
    "LinearSVC": [{"multi_class": "crammer_singer"}, {"fit_intercept": False}],
    "LinearSVR": [{"loss": "squared_epsilon_insensitive"}],
    "KNeighborsClassifier": _METRICS,
    "KNeighborsRegressor": _METRICS,
    "KNeighborsTransformer": [{"mode": "connectivity"}],
    "RadiusNeighborsClassifier": _RADII,
    "RadiusNeighborsRegressor": _RADII,
    "NearestCentroid": [{"metric": "manhattan"}, {"shrink_threshold": 0.3}, {"priors": "empirical"}],
    "LogisticRegression": [
        *({"C": 100.0}, {"fit_intercept": False}, {"class_weight": "balanced"}, {"solver": "liblinear"}),
        {"l1_ratio": 1.0, "solver": "saga"},
    ],
    "SGDClassifier": [
        {"loss": loss} for loss in ("log_loss", "modified_huber", "perceptron", "squared_hinge")
    ],
    "SGDRegressor": [{"loss": "huber"}, {"average": True}],
    "RidgeClassifier": [{"class_weight": "balanced"}],
    "TweedieRegressor": [{"power": 1.5}, {"power": 1, "link": "identity"}],
    "LinearRegression": [{"positive": True}, {"fit_intercept": False}],
    "MLPClassifier": [{"activation": a, "max_iter": 30} for a in ("tanh", "logistic", "identity")],
    "MLPRegressor": [{"activation": a, "max_iter": 30} for a in ("tanh", "logistic", "identity")],
    "GaussianMixture": [
        {"n_components": 3, "covariance_type": c} for c in ("full", "tied", "diag", "spherical")
    ],
    "BayesianGaussianMixture": [{"n_components": 3}, {"n_components": 2, "covariance_type": "diag"}],
    "GaussianProcessRegressor": [
        *(
            {"kernel": gk.RBF(), "alpha": 0.1},
            {"kernel": gk.Matern(nu=1.5) + gk.WhiteKernel(), "normalize_y": True},
        ),
        *({"kernel": gk.DotProduct() + gk.WhiteKernel()}, {"kernel": gk.RationalQuadratic(), "alpha": 0.1}),
    ],
    "GaussianProcessClassifier": [{"kernel": gk.Matern(nu=2.5)}, {"kernel": 2.0 * gk.RBF(3.0)}],
    "KernelRidge": [{"kernel": k, "gamma": 0.1} for k in ("rbf", "poly", "sigmoid", "laplacian", "cosine")],
    "BernoulliNB": [{"binarize": 0.3}],
    "ComplementNB": [{"norm": True}],
    "LinearDiscriminantAnalysis": [{"solver": "lsqr", "shrinkage": "auto"}, {"solver": "eigen"}],
    "QuadraticDiscriminantAnalysis": [{"reg_param": 0.3}],
    "CalibratedClassifierCV": [
        *({"method": "isotonic", "cv": 3}, {"estimator": GaussianNB(), "cv": 3, "method": "isotonic"}),
        *({"estimator": _TREE, "cv": 3}, {"ensemble": False}, {"method": "temperature", "cv": 3}),
        {"estimator": KNeighborsClassifier(), "cv": 3},
    ],
    "VotingClassifier": [
        {"voting": "soft"},
        {"weights": [1, 2, 1.5]},
        {"voting": "soft", "weights": [1, 2, 1.5]},
    ],
    "VotingRegressor": [{"weights": [1, 3]}],
    "StackingClassifier": [{"passthrough": True}, {"stack_method": "predict"}, {"final_estimator": _TREE}],
    "StackingRegressor": [{"passthrough": True}, {"final_estimator": Ridge()}],
    "OneVsRestClassifier": [{"estimator": e} for e in (LinearSVC(), GaussianNB(), SVC(), _TREE)],
    "OneVsOneClassifier": [{"estimator": e} for e in (LinearSVC(), GaussianNB(), SVC(), _TREE)],
    "OutputCodeClassifier": [{"estimator": LinearSVC(), "code_size": 3}],
    "FixedThresholdClassifier": [{"estimator": LinearSVC()}, {"estimator": GaussianNB(), "threshold": 0.7}],
    "TransformedTargetRegressor": [
        {"func": np.sqrt, "inverse_func": np.square},
        *(
            {"func": None, "inverse_func": None, "transformer": transformer}
            for transformer in (StandardScaler(), PowerTransformer(), QuantileTransformer(n_quantiles=30))
        ),
    ],
    "IsotonicRegression": [{"out_of_bounds": "clip"}, {"increasing": False, "out_of_bounds": "clip"}],
    "DummyClassifier": [{"strategy": s} for s in ("most_frequent", "stratified", "uniform")],
    "DummyRegressor": [{"strategy": "median"}, {"strategy": "quantile", "quantile": 0.3}],
    "PLSRegression": [{"n_components": 1}, {"scale": False}],
    "LabelPropagation": [{"kernel": "knn"}, {"gamma": 0.05}],
    "LabelSpreading": [{"kernel": "knn"}, {"gamma": 0.05}],
    "DecisionTreeClassifier": _TREES,
    "DecisionTreeRegressor": [*_TREES, {"criterion": "absolute_error"}],
    "ExtraTreeClassifier": _TREES,
    "RandomForestClassifier": _FOREST,
    "RandomForestRegressor": _FOREST,
    "ExtraTreesClassifier": _FOREST,
    "ExtraTreesRegressor": _FOREST,
    "GradientBoostingClassifier": [{"n_estimators": 10}, {"loss": "exponential"}, {"init": "zero"}],
    "GradientBoostingRegressor": [{"loss": loss, "n_estimators": 10} for loss in ("huber", "quantile")],
    "HistGradientBoostingClassifier": [{"max_iter": 10}, {"categorical_features": [3]}],
    "HistGradientBoostingRegressor": [
        {"loss": loss, "max_iter": 10} for loss in ("poisson", "absolute_error")
    ],
    "AdaBoostClassifier": [{"n_estimators": 8}, {"estimator": _TREE, "n_estimators": 5}],
    "AdaBoostRegressor": [{"n_estimators": 8}, {"loss": "square"}],
    "BaggingClassifier": [
        {"estimator": LinearSVC()},
        {"estimator": LogisticRegression(), "max_features": 0.6},
    ],
    "BaggingRegressor": [{"estimator": Ridge()}, {"max_features": 0.6}],
    "IsolationForest": [{"n_estimators": 10}, {"max_features": 3, "contamination": 0.1}],
    "KMeans": [{"n_clusters": 3}, {"n_clusters": 5, "init": "random"}],
    "MiniBatchKMeans": [{"n_clusters": 3}],
    "BisectingKMeans": [{"n_clusters": 5}],
    "Birch": [{"n_clusters": None, "threshold": 20.0}, {"threshold": 20.0}],
    "StandardScaler": [{"with_mean": False}, {"with_std": False}],
    "MinMaxScaler": [{"feature_range": (-1, 2)}, {"clip": True}],
    "RobustScaler": [{"with_centering": False}, {"quantile_range": (10, 80)}],
    "Normalizer": [{"norm": "l1"}, {"norm": "max"}],
    "Binarizer": [{"threshold": 0.5}],
    "KBinsDiscretizer": [
        {"encode": e, "strategy": s, "quantile_method": "averaged_inverted_cdf"}
        for e, s in (("ordinal", "uniform"), ("onehot-dense", "quantile"), ("ordinal", "kmeans"))
    ],
    "PolynomialFeatures": [{"degree": 3}, {"interaction_only": True}, {"include_bias": False}],
    "SplineTransformer": [{"extrapolation": e} for e in ("linear", "continue", "periodic")],
    "QuantileTransformer": [{"n_quantiles": 20}, {"output_distribution": "normal", "n_quantiles": 30}],
    "PowerTransformer": [{"standardize": False}, {"method": "box-cox"}],
    "FunctionTransformer": [{"func": f} for f in (np.log1p, np.sqrt, np.abs, np.expm1, np.arctan, np.isnan)],
    "OneHotEncoder": [{"handle_unknown": "ignore", "sparse_output": False}, {"drop": "first"}],
    "OrdinalEncoder": [{"handle_unknown": "use_encoded_value", "unknown_value": -1}],
    "SimpleImputer": [{"strategy": "median"}, {"strategy": "most_frequent"}, {"add_indicator": True}],
    "KNNImputer": [{"n_neighbors": 3}, {"weights": "distance"}],
    "PCA": [{"n_components": 2}, {"whiten": True}],
    "KernelPCA": [{"kernel": "rbf"}, {"kernel": "poly", "n_components": 3}],
    "FastICA": [{"n_components": 2}],
    "TruncatedSVD": [{"n_components": 3}],
    "Nystroem": [{"n_components": 20}, {"kernel": "poly", "n_components": 20}],
    "NMF": [{"n_components": 2}],
    "SelectKBest": [{"k": 2}],
    "VarianceThreshold": [{"threshold": 1.0}],
    "TargetEncoder": [{"smooth": 2.0}],
}
