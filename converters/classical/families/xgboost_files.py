"""XGBoost's files as one of its scikit-learn estimators, which carry the same Booster.

Source: python-package/xgboost/{core,sklearn}.py, src/learner.cc (3.2).

- an estimator's own file names its kind (attribute ``scikit_learn``) and is used up to
  best_iteration, as the estimator does; a plain Booster uses all its trees.
- a plain Booster with a probability as its answer is read as a classifier.
- the binary format of before 1.0 was last read by XGBoost 3.0; files of 3.1 and later are JSON or UBJSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.errors import UnsupportedFileError

if TYPE_CHECKING:
    from pathlib import Path

CLASSIFYING = ("binary:logistic", "multi:softprob", "multi:softmax")
_KINDS = {"classifier": "XGBClassifier", "regressor": "XGBRegressor", "ranker": "XGBRanker"}
_OLD = (b"binf", b"bs64", b"CONFIG-offset:")


def load(path: Path) -> Any:
    """The Booster of a .json, .ubj or .bin file. Raises `UnsupportedFileError`."""
    import xgboost

    content = path.read_bytes()
    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(content))
    except (xgboost.core.XGBoostError, UnicodeDecodeError) as error:
        raise _unreadable(path, content, error) from error
    return booster


def _unreadable(path: Path, content: bytes, error: Exception) -> UnsupportedFileError:
    import xgboost

    reason = str(error).strip().splitlines()[0]
    if content[:1] != b"{":
        return UnsupportedFileError(
            f"{path.name} is in XGBoost's old binary format, which {xgboost.__version__} no longer reads",
            hint="Load it with xgboost 1.7 to 3.0 and save it again under a name that ends in .json or .ubj.",
        )
    return UnsupportedFileError(
        f"{path.name} cannot be read by XGBoost {xgboost.__version__}: {reason}",
        hint="It is broken, or a newer XGBoost wrote it: install that version.",
    )


def estimator(booster: Any, missing: float | None = None) -> Any:
    """The scikit-learn estimator of XGBoost around a copy of a Booster."""
    import json

    import xgboost

    copy = booster.copy()
    kind = json.loads(copy.attr("scikit_learn") or "{}").get("_estimator_type")
    if kind is None:
        copy.set_attr(best_iteration=None, best_score=None)
    name = _KINDS.get(kind or _kind_of(copy), "XGBRegressor")
    made = getattr(xgboost, name)() if missing is None else getattr(xgboost, name)(missing=missing)
    made.load_model(bytearray(copy.save_raw("ubj")))
    return made


def _kind_of(booster: Any) -> str:
    import json

    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if objective in CLASSIFYING:
        return "classifier"
    return "ranker" if objective.startswith("rank:") else "regressor"
