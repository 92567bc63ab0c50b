"""Transformers and vectorizers, outlier detectors and the rest: as `catalogue`, which has the models."""

from __future__ import annotations

import numpy as np

from tests.classical.property.catalogue import SVM, Options

SCALERS: dict[str, Options] = {
    "sklearn.preprocessing.StandardScaler": {"with_mean": (True, False), "with_std": (True, False)},
    "sklearn.preprocessing.MinMaxScaler": {"feature_range": ((0, 1), (-1, 2)), "clip": (False, True)},
    "sklearn.preprocessing.RobustScaler": {
        "with_centering": (True, False),
        "quantile_range": ((25.0, 75.0), (10.0, 80.0)),
    },
    "sklearn.preprocessing.MaxAbsScaler": {},
    "sklearn.preprocessing.Normalizer": {"norm": ("l1", "l2", "max")},
    "sklearn.preprocessing.QuantileTransformer": {
        "n_quantiles": (5, 20),
        "output_distribution": ("uniform", "normal"),
    },
    "sklearn.preprocessing.PowerTransformer": {"standardize": (True, False)},
    "sklearn.preprocessing.KBinsDiscretizer": {
        "n_bins": (2, 4),
        "encode": ("ordinal", "onehot", "onehot-dense"),
        "strategy": ("uniform", "quantile", "kmeans"),
    },
    "sklearn.preprocessing.Binarizer": {"threshold": (0.0, 0.1, 1.2)},
    "sklearn.preprocessing.PolynomialFeatures": {
        "degree": (2, 3),
        "interaction_only": (False, True),
        "include_bias": (True, False),
    },
    "sklearn.preprocessing.SplineTransformer": {
        "n_knots": (3, 5),
        "degree": (1, 2, 3),
        "extrapolation": ("constant", "linear", "continue", "periodic"),
        "knots": ("uniform", "quantile"),
    },
    "sklearn.preprocessing.FunctionTransformer": {"func": (None, np.log1p, np.abs, np.sign)},
    "sklearn.impute.SimpleImputer": {
        "strategy": ("mean", "median", "most_frequent", "constant"),
        "add_indicator": (False, True),
        "keep_empty_features": (False, True),
    },
    "sklearn.impute.KNNImputer": {"n_neighbors": (1, 3), "weights": ("uniform", "distance")},
    "sklearn.decomposition.PCA": {"n_components": (1, 2, None), "whiten": (False, True)},
    "sklearn.decomposition.TruncatedSVD": {"n_components": (1, 2)},
    "sklearn.decomposition.FactorAnalysis": {"n_components": (1, 2), "max_iter": (5,)},
    "sklearn.decomposition.KernelPCA": {
        "n_components": (2,),
        "kernel": ("linear", "rbf", "poly"),
        "gamma": (0.1,),
    },
    "sklearn.kernel_approximation.Nystroem": {
        "n_components": (5,),
        "kernel": ("rbf", "poly"),
        "gamma": (0.1,),
    },
    "sklearn.kernel_approximation.RBFSampler": {"n_components": (5,)},
    "sklearn.feature_selection.VarianceThreshold": {"threshold": (0.0, 0.01)},
    "sklearn.preprocessing.OneHotEncoder": {
        "handle_unknown": ("ignore", "error", "infrequent_if_exist"),
        "min_frequency": (None, 3),
        "drop": (None, "first", "if_binary"),
        "sparse_output": (True, False),
    },
    "sklearn.preprocessing.OrdinalEncoder": {
        "handle_unknown": ("use_encoded_value",),
        "unknown_value": (-1, np.nan),
        "min_frequency": (None, 3),
    },
}
OTHERS: dict[str, Options] = {
    "sklearn.cluster.KMeans": {"n_clusters": (1, 2, 3), "n_init": (1,)},
    "sklearn.cluster.MiniBatchKMeans": {"n_clusters": (2, 3), "n_init": (1,)},
    "sklearn.cluster.BisectingKMeans": {"n_clusters": (2, 4)},
    "sklearn.cluster.MeanShift": {"bandwidth": (1.0, 10.0)},
    "sklearn.cluster.Birch": {"n_clusters": (None, 2), "threshold": (0.5, 5.0)},
    "sklearn.mixture.GaussianMixture": {
        "n_components": (1, 2),
        "covariance_type": ("full", "tied", "diag", "spherical"),
        "max_iter": (5,),
    },
    "sklearn.ensemble.IsolationForest": {
        "n_estimators": (2, 5),
        "max_features": (1.0, 0.6),
        "contamination": ("auto", 0.2),
    },
    "sklearn.neighbors.LocalOutlierFactor": {"novelty": (True,), "n_neighbors": (2, 5)},
    "sklearn.svm.OneClassSVM": SVM,
    "sklearn.covariance.EllipticEnvelope": {"contamination": (0.1, 0.3)},
    **SCALERS,
}
VECTORIZERS: dict[str, Options] = {
    f"sklearn.feature_extraction.text.{name}": {
        "lowercase": (True, False),
        "ngram_range": ((1, 1), (1, 2), (2, 3)),
        "analyzer": ("word", "char", "char_wb"),
        "strip_accents": (None, "unicode", "ascii"),
        "binary": (False, True),
        **more,
    }
    for name, more in {
        "CountVectorizer": {"stop_words": (None, "english"), "min_df": (1, 2), "max_features": (None, 6)},
        "TfidfVectorizer": {
            "stop_words": (None, "english"),
            "min_df": (1, 2),
            "norm": ("l1", "l2", None),
            "use_idf": (True, False),
            "smooth_idf": (True, False),
            "sublinear_tf": (False, True),
        },
        "HashingVectorizer": {"n_features": (16, 64), "norm": ("l2", None), "alternate_sign": (True, False)},
    }.items()
}
