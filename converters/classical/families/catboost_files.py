"""CatBoost models of their own: the estimator that a file holds, and how rows reach it.

Source: catboost/python-package/catboost/core.py (1.2). A file does not say which estimator saved it:
its loss does. Integers and text of categorical features stay what they are; a matrix of floats cannot
hold them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.errors import UnsupportedFileError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


class Regressor:
    """A CatBoost model whose answers are numbers; `known_categories` are texts that rows may hold."""

    estimator_type = "regressor"

    def __init__(self, model: Any, known_categories: tuple[str, ...] = ()) -> None:
        import numpy as np

        self.model = model
        self.known_categories = known_categories
        names = [str(name) for name in model.feature_names_]
        self.n_features_in_ = len(names)
        numbered = names == [str(i) for i in range(len(names))]
        if not numbered:
            self.feature_names_in_ = np.array(names)
        elif model.get_cat_feature_indices():
            self.feature_names_in_ = np.array([f"x{name}" for name in names])

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        classifier = self.estimator_type == "classifier"
        return Tags(
            self.estimator_type,
            TargetTags(required=True),
            classifier_tags=ClassifierTags() if classifier else None,
            regressor_tags=None if classifier else RegressorTags(),
            input_tags=InputTags(allow_nan=True),
        )

    def rows(self, X: Any) -> Any:
        """X under the names that the model knows."""
        return X.set_axis(self.model.feature_names_, axis=1) if hasattr(X, "set_axis") else X

    def predict(self, X: Any) -> np.ndarray:
        """The model's own predict."""
        result: np.ndarray = self.model.predict(self.rows(X))
        return result


class Classifier(Regressor):
    """A CatBoost model whose answers are probabilities."""

    estimator_type = "classifier"

    @property
    def classes_(self) -> Any:
        return self.model.classes_

    def predict_proba(self, X: Any) -> np.ndarray:
        """The model's own predict_proba."""
        result: np.ndarray = self.model.predict_proba(self.rows(X))
        return result


def load(path: Path, kind: str) -> Any:
    """The model of a .cbm or .json file. Raises `UnsupportedFileError`."""
    import catboost

    try:
        return _typed(path, "json" if kind == "json" else "cbm")
    except catboost.CatBoostError as error:
        reason = str(error).strip().splitlines()[0]
        raise UnsupportedFileError(
            f"{path.name} cannot be read by CatBoost {catboost.__version__}: {reason}",
            hint="It is broken, or a newer CatBoost wrote it: install that version.",
        ) from error


def _typed(path: Path, written: str) -> Any:
    """The model as CatBoostClassifier or CatBoostRegressor, by its loss.

    Loaded twice: only `load_model` of a path brings the loss back, which decides what predict gives.
    """
    import catboost

    from converters.classical.families.catboost_model import read
    from converters.classical.families.catboost_trees import CLASSIFYING

    plain = catboost.CatBoost()
    plain.load_model(str(path), format=written)
    made = catboost.CatBoostClassifier() if read(plain).loss in CLASSIFYING else catboost.CatBoostRegressor()
    made.load_model(str(path), format=written)
    return made


def estimator(model: Any, known_categories: tuple[str, ...]) -> Regressor:
    """A CatBoost estimator with named columns where it has names or categories."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    if type(model).__name__ == "CatBoost":
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.cbm"
            model.save_model(str(path))
            model = _typed(path, "cbm")
    kind = Classifier if type(model).__name__ == "CatBoostClassifier" else Regressor
    return kind(model, known_categories)
