"""Fetchers and converters by name: a table of built-ins, and entry points for others.

A third party adds one through the entry point groups ``zoo.fetchers`` and ``zoo.converters``; the
name is the scheme or framework, the value ``module:Class``. Built-ins come through the same door:
nothing here imports them before they are asked for.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo.errors import UnsupportedFileError, UsageError
from zoo.interfaces import Converter, Fetcher
from zoo.records import Needs

FETCHERS = {
    "https": "zoo.fetchers.web:WebFetcher",
    "http": "zoo.fetchers.web:WebFetcher",
    "file": "zoo.fetchers.local:LocalFetcher",
    "hf": "zoo.fetchers.huggingface:HuggingFaceFetcher",
    "github-lfs": "zoo.fetchers.github_lfs:GitHubLfsFetcher",
    "pypi": "zoo.fetchers.pypi:PyPiFetcher",
    "npm": "zoo.fetchers.npm:NpmFetcher",
    "s3": "zoo.fetchers.cloud:CloudFetcher",
    "gs": "zoo.fetchers.cloud:CloudFetcher",
    "az": "zoo.fetchers.cloud:CloudFetcher",
}

CONVERTERS = {
    "onnx": "converters.from_onnx:OnnxConverter",
    "sklearn": "converters.from_sklearn:SklearnConverter",
    "xgboost": "converters.from_boosters:XGBoostConverter",
    "lightgbm": "converters.from_boosters:LightGBMConverter",
    "catboost": "converters.from_boosters:CatBoostConverter",
    "torch": "converters.from_torch:TorchConverter",
    "tensorflow": "converters.from_tensorflow:TensorFlowConverter",
    "tflite": "converters.from_tflite:TFLiteConverter",
    "paddle": "converters.from_paddle:PaddleConverter",
    "mxnet": "converters.from_mxnet:MXNetConverter",
    "chainer": "converters.from_chainer:ChainerConverter",
    "matlab": "converters.from_matlab:MatlabConverter",
    "jax": "converters.from_jax:JaxConverter",
    "libsvm": "converters.from_libsvm:LibsvmConverter",
    "caffe": "converters.from_caffe:CaffeConverter",
    "coreml": "converters.from_coreml:CoreMLConverter",
    "h2o": "converters.from_h2o:H2OConverter",
    "spark": "converters.from_spark:SparkConverter",
}


def fetcher(scheme: str) -> Fetcher:
    """The fetcher of a scheme; raises `UsageError` for an unknown one."""
    target = FETCHERS.get(scheme) or _table("zoo.fetchers").get(scheme)
    if target is None:
        known = ", ".join(f"{name}:" for name in sorted(_table("zoo.fetchers")))
        raise UsageError(f"no fetcher for {scheme + ':'!r}", hint=f"Known schemes: {known}")
    return _load(target)  # type: ignore[no-any-return]


def converter(framework: str) -> Converter:
    """The converter of a framework; raises `UnsupportedFileError` where there is none."""
    return _load(converter_target(framework))  # type: ignore[no-any-return]


def converter_target(framework: str) -> str:
    """The converter of a framework as ``module:Class``, not imported."""
    target = _table("zoo.converters").get(framework)
    if target is None:
        known = ", ".join(converters())
        raise UnsupportedFileError(f"no converter for {framework!r}", hint=f"Converters: {known}")
    return target


def needs(target: str | None) -> Needs:
    """What the jobs of a converter, a ``module:Class``, need beyond a Python; for None nothing."""
    found = None if target is None else getattr(_load(target), "needs", None)
    return found if isinstance(found, Needs) else Needs()


def package_of(framework: str) -> tuple[Path, ...]:
    """Where the code of a converter lies: its worker must read it, wherever it is installed. Not imported."""
    return package_of_target(converter_target(framework))


def own_packages() -> tuple[Path, ...]:
    """Where our two packages lie."""
    return (*_places("zoo"), *_places("converters"))


def package_of_target(target: str | None) -> tuple[Path, ...]:
    """Where the top package of a ``module:Class`` lies; nothing for None."""
    return () if target is None else _places(target.partition(":")[0].partition(".")[0])


def _places(top: str) -> tuple[Path, ...]:
    spec = find_spec(top)
    if spec is None:
        return ()
    places = spec.submodule_search_locations or ([spec.origin] if spec.origin else [])
    return tuple(map(Path, places))


def recognised(path: Path) -> tuple[str, str] | None:
    """Framework and kind of a file that only a third party's converter knows."""
    for framework in sorted(_table("zoo.converters").keys() - CONVERTERS.keys()):
        recognise = getattr(converter(framework), "recognise", None)
        kind = None if recognise is None else recognise(path)
        if kind is not None:
            return framework, kind
    return None


def converters() -> tuple[str, ...]:
    """The names of all converters, built-in and installed."""
    return tuple(sorted(_table("zoo.converters")))


@lru_cache(maxsize=None)
def _table(group: str) -> dict[str, str]:
    builtins = {"zoo.fetchers": FETCHERS, "zoo.converters": CONVERTERS}[group]
    return {**{point.name: point.value for point in entry_points(group=group)}, **builtins}


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)()
