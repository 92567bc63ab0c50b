"""LightGBM Boosters, live or of a text file, with the methods of a scikit-learn estimator.

Source: python-package/lightgbm/{basic,sklearn}.py (4.7): the methods do what LGBMClassifier and LGBMRegressor
do with their Booster. Classes are numbered from 0: a Booster does not keep names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from zoo.errors import UnsupportedFileError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

CLASSIFYING = ("binary", "multiclass", "multiclassova")


class BoosterRegressor:
    """A Booster whose answers are numbers."""

    estimator_type = "regressor"
    objective = None

    def __init__(self, booster: Any) -> None:
        import numpy as np

        self.booster_ = booster
        self.n_features_in_ = booster.num_feature()
        names = booster.feature_name()
        if not all(re.fullmatch(r"Column_\d+", name) for name in names):
            self.feature_names_in_ = np.array(names)

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

    def predict(self, X: Any) -> np.ndarray:
        """Booster.predict: [N], or [N, outputs]."""
        result: np.ndarray = self.booster_.predict(X)
        return result


class BoosterClassifier(BoosterRegressor):
    """A Booster whose answers are probabilities."""

    estimator_type = "classifier"

    def __init__(self, booster: Any) -> None:
        import numpy as np

        super().__init__(booster)
        self.classes_ = np.arange(max(booster.num_model_per_iteration(), 2))

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, [N, classes]."""
        import numpy as np

        result: np.ndarray = self.booster_.predict(X)
        return result if result.ndim == 2 else np.vstack((1.0 - result, result)).transpose()

    def predict(self, X: Any) -> np.ndarray:
        """The number of the class, [N] int64."""
        import numpy as np

        return np.asarray(self.predict_proba(X).argmax(axis=1), dtype=np.int64)


def load(path: Path) -> Any:
    """The Booster of a text file. Raises `UnsupportedFileError`."""
    import lightgbm

    try:
        return lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError, KeyError) as error:
        raise UnsupportedFileError(
            f"{path.name} cannot be read by LightGBM {lightgbm.__version__}: {error}",
            hint="It is broken, or a newer LightGBM wrote it: install that version.",
        ) from error


def estimator(booster: Any) -> BoosterRegressor:
    """A Booster as an estimator, by its objective."""
    header = booster.model_to_string(num_iteration=1).partition("\nTree=")[0]
    found = re.search(r"^objective=(\w*)", header, re.MULTILINE)
    objective = found.group(1) if found else ""
    return BoosterClassifier(booster) if objective in CLASSIFYING else BoosterRegressor(booster)
