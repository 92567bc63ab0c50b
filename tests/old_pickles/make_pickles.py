"""Fits small models and saves them, with the scikit-learn of the interpreter that runs it (0.24 and later).

``python make_pickles.py FOLDER [NAME …]`` writes ``FOLDER/<name>.pkl`` or ``.joblib``: the named
models, or all but those of `MORE`.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

if sklearn.__version__.startswith("0."):
    from sklearn.experimental import enable_hist_gradient_boosting  # noqa: F401
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

FLOWERS = load_iris(return_X_y=True)
PATIENTS = load_diabetes(return_X_y=True)
TEXTS = ["good film", "bad film", "a good day", "a bad night", "very good", "very bad"] * 3
TONES = [1, 0, 1, 0, 1, 0] * 3


def scaled_logistic():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(*FLOWERS)


def scaled_forest():
    return make_pipeline(StandardScaler(), RandomForestClassifier(8, random_state=0)).fit(*FLOWERS)


def linear_regression():
    return LinearRegression().fit(*PATIENTS)


def svc():
    return SVC().fit(*FLOWERS)


def svc_probability():
    return SVC(probability=True, random_state=0).fit(*FLOWERS)


def svr():
    return make_pipeline(StandardScaler(), SVR()).fit(*PATIENTS)


def sgd():
    return SGDClassifier(random_state=0).fit(*FLOWERS)


def naive_bayes():
    return GaussianNB().fit(*FLOWERS)


def mlp():
    return make_pipeline(StandardScaler(), MLPClassifier((9,), max_iter=60, random_state=0)).fit(*FLOWERS)


def tree():
    return DecisionTreeClassifier(random_state=0).fit(*FLOWERS)


def tree_regressor():
    return DecisionTreeRegressor(max_depth=4, random_state=0).fit(*PATIENTS)


def forest():
    return RandomForestClassifier(8, max_depth=3, random_state=0).fit(*FLOWERS)


def forest_regressor():
    return RandomForestRegressor(5, max_depth=4, random_state=0).fit(*PATIENTS)


def extra_trees():
    return ExtraTreesClassifier(8, max_depth=4, random_state=0).fit(*FLOWERS)


def isolation_forest():
    return IsolationForest(n_estimators=8, random_state=0).fit(FLOWERS[0])


def bagging():
    return BaggingClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=4, random_state=0).fit(
        *FLOWERS
    )


def ada_boost():
    # Until 1.6 the default was SAMME.R, which was taken out after.
    return AdaBoostClassifier(n_estimators=5, random_state=0).fit(*FLOWERS)


def voting():
    named = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=3, random_state=0))]
    return VotingClassifier(named, voting="soft").fit(*FLOWERS)


def gradient_boosting():
    return GradientBoostingClassifier(n_estimators=6, max_depth=2, random_state=0).fit(*FLOWERS)


def gradient_boosting_binary():
    X, y = FLOWERS
    return GradientBoostingClassifier(n_estimators=6, max_depth=2, random_state=0).fit(X, y > 1)


def gradient_boosting_regressor():
    return GradientBoostingRegressor(n_estimators=6, max_depth=2, random_state=0).fit(*PATIENTS)


def hist_gradient_boosting():
    return HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=5).fit(*FLOWERS)


def hist_gradient_boosting_binary():
    X, y = FLOWERS
    X = X.copy()
    X[::7, 1] = np.nan
    return HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=5).fit(X, y > 1)


def hist_gradient_boosting_regressor():
    return HistGradientBoostingRegressor(max_iter=6, min_samples_leaf=5).fit(*PATIENTS)


def neighbours():
    return KNeighborsClassifier(3).fit(*FLOWERS)


def neighbours_regressor():
    return KNeighborsRegressor(3, weights="distance").fit(*PATIENTS)


def mixed_columns():
    frame = pd.DataFrame(
        {
            "town": ["Rome", "Oslo", "Bern", "Oslo"] * 10,
            "age": np.where(np.arange(40) % 9, np.arange(40) * 1.5, np.nan),
            "height": np.linspace(1.5, 2.0, 40),
        }
    )
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [("town", OneHotEncoder(handle_unknown="ignore"), ["town"]), ("number", numbers, ["age", "height"])]
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame, np.arange(40) % 4 == 1)


def calibrated():
    return CalibratedClassifierCV(GaussianNB(), cv=2).fit(*FLOWERS)


def stacking():
    named = [("bayes", GaussianNB()), ("tree", DecisionTreeClassifier(max_depth=2, random_state=0))]
    return StackingClassifier(named, final_estimator=LogisticRegression(max_iter=300), cv=2).fit(*FLOWERS)


def polynomial():
    return make_pipeline(PolynomialFeatures(2), LinearRegression()).fit(*PATIENTS)


def boosting_from_logistic():
    init = LogisticRegression(max_iter=300)
    return GradientBoostingClassifier(n_estimators=4, init=init, random_state=0).fit(*FLOWERS)


def tfidf():
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, TONES)


PICKLED = (
    scaled_logistic,
    linear_regression,
    svc,
    svc_probability,
    svr,
    sgd,
    naive_bayes,
    mlp,
    mixed_columns,
    tfidf,
)
PICKLED += (
    tree,
    tree_regressor,
    forest,
    forest_regressor,
    extra_trees,
    isolation_forest,
    bagging,
    ada_boost,
    voting,
)
JOBLIB = (scaled_forest, neighbours, neighbours_regressor, gradient_boosting, gradient_boosting_binary)
JOBLIB += (gradient_boosting_regressor, hist_gradient_boosting, hist_gradient_boosting_binary)
JOBLIB += (hist_gradient_boosting_regressor,)

# Made only where they are named.
MORE = (calibrated, stacking, polynomial, boosting_from_logistic)


def main(folder, names):
    warnings.simplefilter("ignore")
    for make in (*PICKLED, *JOBLIB, *MORE):
        if make.__name__ not in names if names else make in MORE:
            continue
        if make not in JOBLIB:
            (folder / f"{make.__name__}.pkl").write_bytes(pickle.dumps(make()))
        else:
            joblib.dump(make(), folder / f"{make.__name__}.joblib")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
