"""XGBoost, LightGBM and CatBoost models of their own: files, Boosters and scikit-learn wrappers.

Each becomes an estimator with the methods of scikit-learn, written by `converters.classical` as any
other; see docs/frameworks/boosters.md. Boosters inside a pipeline are `from_sklearn`'s.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters.classical import probing
from converters.classical.layout import Asked, Layout, layout
from converters.from_sklearn import SklearnConverter
from converters.from_sklearn import preload as preload_sklearn
from zoo.errors import MissingPackageError, UnsupportedFileError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import onnx

    from zoo.records import Artifact, ConversionRequest, SourceDescription
    from zoo.tensors import Tensors

_PICKLES = ("pickle", "joblib")


class BoosterConverter(SklearnConverter):
    """What the three have in common: a model is made an estimator first, whatever form it has."""

    extra: ClassVar[str] = "boosters"
    package: ClassVar[str]
    older_pickles: ClassVar[str] = ""
    """Which version reads pickles that this one does not, for the hint."""
    reads_float32: ClassVar[bool]
    """Whether the library rounds every number to float32: then the graph's inputs are float32."""

    def __init__(self) -> None:
        super().__init__()
        self._made: tuple[Any, Any] | None = None

    def load(self, artifact: Artifact, request: ConversionRequest) -> Any:
        """The estimator. Raises `UnsupportedFileError` or `MissingPackageError`."""
        if request.kind in _PICKLES:
            model = self._unpickled(artifact.path)
        else:
            model = self.read(artifact.path, request.kind)
        return self._estimator(model, request)

    def read(self, path: Path, kind: str) -> Any:
        """The model of a file in the library's own formats."""
        raise NotImplementedError

    def estimator(self, model: Any, request: ConversionRequest | None) -> Any:
        """`model` with the methods of scikit-learn; an estimator as it is."""
        raise NotImplementedError

    def _estimator(self, model: Any, request: ConversionRequest | None) -> Any:
        """The estimator of a model, made once: it stays the same for every feed."""
        if self._made is None or all(model is not known for known in self._made):
            self._made = (model, self.estimator(model, request))
        return self._made[1]

    def describe(self, model: Any, request: ConversionRequest) -> SourceDescription:
        """As `SklearnConverter.describe`; float32 inputs where the library rounds to float32."""
        found = super().describe(self._estimator(model, request), request)
        return dataclasses.replace(found, versions={self.package: self._version()})

    def convert(self, model: Any, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX. Raises `UnsupportedModelError` naming what cannot be said."""
        return super().convert(self._estimator(model, request), request)

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """The library's own answers, under the graph's output names."""
        return super().predict(self._estimator(model, None), feeds)

    def _layout(self, model: Any, request: ConversionRequest) -> Layout:
        float32 = bool(request.options.get("float32", self.reads_float32 and not request.inputs))
        return layout(model, Asked(request.inputs, tuple(probing.sampled_specs(request.sample)), float32))

    def _version(self) -> str:
        from importlib import import_module

        return str(import_module(self.package).__version__)

    def _unpickled(self, path: Path) -> Any:
        import joblib

        try:
            with probing.quiet():
                return joblib.load(path)
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"{path.name} needs the module {error.name!r}, which is not installed",
                hint=f"Install the package that has {error.name!r}, or the project it was trained in.",
            ) from error
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UnsupportedFileError(
                f"{path.name} cannot be loaded by {self.package} {self._version()}: {reason}",
                hint="It is broken, or another version saved it: load it there and save it in the "
                f"format of {self.package} itself{self.older_pickles}.",
            ) from error


class XGBoostConverter(BoosterConverter):
    """XGBoost models: .json, .ubj, pickled estimators and Boosters."""

    framework: ClassVar[str] = "xgboost"
    title: ClassVar[str] = "XGBoost"
    requirements: ClassVar[tuple[str, ...]] = ("xgboost|xgboost-cpu", "scikit-learn", "pandas")
    revision: ClassVar[int] = 2
    package: ClassVar[str] = "xgboost"
    older_pickles: ClassVar[str] = " (xgboost 1.7 to 3.0 reads pickles of before 2.1; save as .json or .ubj)"
    reads_float32: ClassVar[bool] = True

    def read(self, path: Path, kind: str) -> Any:
        """The Booster of a file. Raises `UnsupportedFileError` for the old binary format."""
        from converters.classical.families import xgboost_files

        return xgboost_files.load(path)

    def estimator(self, model: Any, request: ConversionRequest | None) -> Any:
        """The model as XGBClassifier, XGBRegressor or XGBRanker. ``options["missing"]`` is for Boosters."""
        from converters.classical.families import xgboost_files

        if type(model).__name__ != "Booster":
            return model
        return xgboost_files.estimator(model, _number(request, "missing"))

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """As above; no rows in the shape of one row's answer, which XGBoost forgets with several targets."""
        import numpy as np

        found = super().predict(model, feeds)
        if all(len(array) for array in feeds.values()):
            return found
        one = super().predict(
            model, {name: np.zeros((1, *a.shape[1:]), a.dtype) for name, a in feeds.items()}
        )
        return {name: np.zeros((0, *array.shape[1:]), array.dtype) for name, array in one.items()}


class LightGBMConverter(BoosterConverter):
    """LightGBM models: text files, pickled estimators and Boosters."""

    framework: ClassVar[str] = "lightgbm"
    title: ClassVar[str] = "LightGBM"
    requirements: ClassVar[tuple[str, ...]] = ("lightgbm", "scikit-learn", "pandas")
    revision: ClassVar[int] = 2
    package: ClassVar[str] = "lightgbm"
    reads_float32: ClassVar[bool] = False

    def read(self, path: Path, kind: str) -> Any:
        """The Booster of a text file."""
        from converters.classical.families import lightgbm_files

        return lightgbm_files.load(path)

    def estimator(self, model: Any, request: ConversionRequest | None) -> Any:
        """An estimator as it is; a Booster with the methods of one."""
        from converters.classical.families import lightgbm_files

        return lightgbm_files.estimator(model) if type(model).__name__ == "Booster" else model


class CatBoostConverter(BoosterConverter):
    """CatBoost models: .cbm, .json and pickled estimators."""

    framework: ClassVar[str] = "catboost"
    title: ClassVar[str] = "CatBoost"
    requirements: ClassVar[tuple[str, ...]] = ("catboost", "scikit-learn", "pandas")
    revision: ClassVar[int] = 2
    package: ClassVar[str] = "catboost"
    reads_float32: ClassVar[bool] = True

    def read(self, path: Path, kind: str) -> Any:
        """The model of a file, as classifier or regressor by its loss."""
        from converters.classical.families import catboost_files

        return catboost_files.load(path, kind)

    def estimator(self, model: Any, request: ConversionRequest | None) -> Any:
        """The model with named columns; the texts of a sample are the categories that it may know."""
        from converters.classical.families import catboost_files

        if isinstance(model, catboost_files.Regressor):
            return model
        sample = None if request is None else request.sample
        return catboost_files.estimator(model, probing.sampled_texts(sample))


def _number(request: ConversionRequest | None, option: str) -> float | None:
    value = None if request is None else request.options.get(option)
    if value is not None and not isinstance(value, (int, float)):
        raise UsageError(f"--option {option}={value!r} is not a number", hint=f"--option {option}=-999")
    return None if value is None else float(value)


def preload() -> None:
    """Import what every job of these converters needs; called before the first one, in a warm worker."""
    preload_sklearn()
