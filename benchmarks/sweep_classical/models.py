"""The swept models: each estimator of scikit-learn with its option sets and data, pipelines, text,
boosters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.sweep_classical import data


@dataclass(frozen=True)
class Case:
    """A model to be: its family, its name, and how to fit it (model and families of rows)."""

    family: str
    name: str
    fit: Callable[[], tuple[Any, dict[str, Any]]]


def cases() -> list[Case]:
    """All of them, in a fixed order."""
    return [*estimators(), *pipelines(), *texts(), *boosters()]


def estimators() -> Iterator[Case]:
    """sklearn.utils.all_estimators() but for those that answer only for the rows they were fitted on."""
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators

    from benchmarks.sweep_classical.options import OPTIONS

    for name, kind in all_estimators():
        if name in _OF_TEXT or not any(hasattr(kind, method) for method in ("predict", "transform")):
            continue
        family = kind.__module__.split(".")[1]
        for settings in [{}, *OPTIONS.get(name, [])]:
            for shape in _shapes(kind, name, bool(settings)):
                title = f"{name}({_said(settings)}) {shape}"
                yield Case(family, title, _fitting(kind, name, settings, shape))


_OF_TEXT = {"HashingVectorizer", "CountVectorizer", "TfidfVectorizer", "FeatureHasher", "DictVectorizer"}


def _said(settings: dict[str, Any]) -> str:
    return ", ".join(f"{k}={getattr(v, '__name__', v)}" for k, v in settings.items()).replace("\n", " ")


def _shapes(kind: type, name: str, has_options: bool) -> tuple[str, ...]:
    if name in ("MultiOutputClassifier", "ClassifierChain", "MultiOutputRegressor", "RegressorChain"):
        return ("several", "several float32")
    if name.startswith("MultiTask"):
        return ("several",)
    if hasattr(kind, "predict") and getattr(kind, "_estimator_type", "") != "clusterer":
        return ("two", "three") if has_options else data.KINDS
    return ("two",) if has_options else ("two", "float32", "far")


def _fitting(kind: type, name: str, settings: dict[str, Any], shape: str) -> Callable[[], Any]:
    return lambda: fitted(kind, name, settings, shape)


POSITIVE = {
    "MultinomialNB",
    "ComplementNB",
    "CategoricalNB",
    "NMF",
    "MiniBatchNMF",
    "LatentDirichletAllocation",
}
POSITIVE |= {"AdditiveChi2Sampler", "SkewedChi2Sampler", "SelectKBest", "GenericUnivariateSelect"}


def fitted(kind: type, name: str, settings: dict[str, Any], shape: str) -> tuple[Any, dict[str, Any]]:
    """An estimator fitted on data of a shape; raises what the source raises where it cannot be."""
    from sklearn.base import is_classifier

    from benchmarks.sweep_classical.options import DEMANDED

    arguments = {**DEMANDED.get(name, {}), **settings}
    model = kind(**arguments)
    if "random_state" in model.get_params() and "random_state" not in arguments:
        model.set_params(random_state=0)
    positive = name in POSITIVE or arguments.get("method") == "box-cox" or arguments.get("func") is np.sqrt
    X = data.matrix(shape.split()[-1], positive)
    X = (
        np.floor(np.abs(X) % 5).astype(X.dtype)
        if name in ("CategoricalNB", "OneHotEncoder", "OrdinalEncoder")
        else X
    )
    X = X[:, :1] if name == "IsotonicRegression" else X
    wants_classes = is_classifier(model) or name in _BY_CLASS
    model.fit(X, target(X, shape, wants_classes, name))
    return model, data.judged_rows(X)


_BY_CLASS = {
    "GridSearchCV",
    "RandomizedSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "RFE",
    "RFECV",
}
_BY_CLASS |= {"SelectFromModel", "SequentialFeatureSelector", "Pipeline", "TargetEncoder"}


def target(X: np.ndarray, shape: str, wants_classes: bool, name: str) -> np.ndarray:
    """What a model of this kind is fitted to."""
    y = data.classes(X, shape) if wants_classes else np.abs(data.signal(X)) + 0.1
    if shape.startswith("several") or name in ("MultiTaskLasso", "PLSCanonical", "CCA", "PLSSVD"):
        y = np.stack([data.signal(X), -X[:, 0], X[:, 1] * 2], axis=1)
        return (y > 0.5).astype(int) if wants_classes else y.astype(np.float64)
    if shape == "three" and not wants_classes and name in _SEVERAL:
        return np.stack([y, X[:, 0], -X[:, 1]], axis=1).astype(np.float64)
    if name in ("LabelPropagation", "LabelSpreading", "SelfTrainingClassifier"):
        return np.where(np.arange(len(X)) % 3 == 0, -1, np.digitize(data.signal(X), [3, 5]))
    return y


_SEVERAL = {
    "LinearRegression",
    "Ridge",
    "RidgeCV",
    "Lasso",
    "ElasticNet",
    "KNeighborsRegressor",
    "MLPRegressor",
}
_SEVERAL |= {
    "DecisionTreeRegressor",
    "RandomForestRegressor",
    "ExtraTreesRegressor",
    "PLSRegression",
    "KernelRidge",
}
_SEVERAL |= {
    "GaussianProcessRegressor",
    "DummyRegressor",
    "RadiusNeighborsRegressor",
    "TransformedTargetRegressor",
}


def pipelines() -> Iterator[Case]:
    """Each scaler before each kind of model, and tables of numbers and text."""
    from sklearn import ensemble, linear_model, neighbors, preprocessing, svm
    from sklearn.decomposition import PCA

    before = [preprocessing.StandardScaler, preprocessing.MinMaxScaler, preprocessing.RobustScaler, PCA]
    before += [
        preprocessing.PolynomialFeatures,
        preprocessing.QuantileTransformer,
        preprocessing.PowerTransformer,
    ]
    after = [linear_model.LogisticRegression, ensemble.RandomForestClassifier, svm.SVC]
    after += [
        ensemble.HistGradientBoostingClassifier,
        neighbors.KNeighborsClassifier,
        linear_model.SGDClassifier,
    ]
    for step, last, shape in itertools.product(before, after, ("two", "far")):
        yield Case("pipelines", f"{step.__name__} + {last.__name__} {shape}", _chained(step, last, shape))
    for last in (*after, linear_model.Ridge, ensemble.GradientBoostingRegressor):
        for encoder in ("OneHotEncoder", "OrdinalEncoder"):
            yield Case("tables", f"{encoder}, imputer + {last.__name__}", _tabled(encoder, last))


def _chained(step: type, last: type, shape: str) -> Callable[[], Any]:
    def fit() -> Any:
        from sklearn.pipeline import make_pipeline

        X = data.matrix(shape)
        return make_pipeline(step(), last()).fit(X, data.classes(X, shape)), data.judged_rows(X)

    return fit


def _tabled(encoder: str, last: type) -> Callable[[], Any]:
    def fit() -> Any:
        from sklearn import preprocessing
        from sklearn.base import is_classifier
        from sklearn.compose import make_column_transformer
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        known = {"OneHotEncoder": {"handle_unknown": "ignore"}}
        unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
        frame = data.table()
        columns = make_column_transformer(
            (getattr(preprocessing, encoder)(**known.get(encoder, unknown)), ["city"]),
            (make_pipeline(SimpleImputer(), preprocessing.StandardScaler()), ["alter", "Größe", "income"]),
            remainder="passthrough",
        )
        y = frame["alter"] + (frame["city"] == "Paris") * 20
        model = make_pipeline(columns, preprocessing.MaxAbsScaler(), last())
        return model.fit(frame, y > 50 if is_classifier(model) else y * 1.5), data.table_rows(frame)

    return fit


def texts() -> Iterator[Case]:
    """Vectorizers before a linear model."""
    from sklearn.feature_extraction import text

    options: list[dict[str, Any]] = [{}, {"lowercase": False}, {"ngram_range": (1, 2)}, {"analyzer": "char"}]
    options += [{"analyzer": "char_wb", "ngram_range": (2, 3)}, {"stop_words": "english"}, {"binary": True}]
    options += [{"strip_accents": "unicode"}, {"strip_accents": "ascii"}, {"min_df": 2}, {"max_features": 8}]
    for kind, settings in itertools.product((text.CountVectorizer, text.TfidfVectorizer), options):
        yield Case(
            "text", f"{kind.__name__}({_said(settings)}) + LogisticRegression", _worded(kind, settings)
        )
    hashing = [{}, {"norm": None, "alternate_sign": False}, {"analyzer": "char"}, {"ngram_range": (1, 2)}]
    for settings in hashing:
        wanted = {**settings, "n_features": 256}
        yield Case("text", f"HashingVectorizer({_said(wanted)})", _worded(text.HashingVectorizer, wanted))


def _worded(kind: type, settings: dict[str, Any]) -> Callable[[], Any]:
    def fit() -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        known = [*data.TEXTS, *(" ".join(reversed(t.split())) for t in data.TEXTS)]
        model = make_pipeline(kind(**settings), LogisticRegression()).fit(known, np.arange(len(known)) % 3)
        return model, {
            "given": known,
            "other": ["The QUICK fox", "", "unseen words only", "dog\tfox\nfox  a"],
        }

    return fit


def boosters() -> Iterator[Case]:
    """XGBoost, LightGBM and CatBoost wrappers with their objectives."""
    from benchmarks.sweep_classical.boosters import OPTIONS

    for (package, name), options in OPTIONS.items():
        for settings in options:
            for shape in ("two", "three") if "Classifier" in name else ("one",):
                title = f"{name}({_said(settings)}) {shape}"
                yield Case(package, title, _boosted(package, name, settings, shape))


def _boosted(package: str, name: str, settings: dict[str, Any], shape: str) -> Callable[[], Any]:
    def fit() -> Any:
        from importlib import import_module

        small = (
            {"iterations": 12, "verbose": False, "allow_writing_files": False}
            if package == "catboost"
            else {}
        )
        small = small or {
            "n_estimators": 12,
            ("verbosity" if package == "xgboost" else "verbose"): 0 - (package != "xgboost"),
        }
        X = data.matrix(shape)
        signal = np.abs(data.signal(X)) + 0.1
        y = np.digitize(signal, np.quantile(signal, [0.4, 0.7] if shape == "three" else [0.5]))
        positive = (
            settings.get("objective") == "reg:logistic" or settings.get("loss_function") == "CrossEntropy"
        )
        y = y if "Classifier" in name else signal / signal.max() if positive else signal
        model = getattr(import_module(package), name)(**{**small, **settings})
        return model.fit(X, y), data.judged_rows(X)

    return fit
