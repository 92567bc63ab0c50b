"""The whole suite: every subject with its honest conversion and its planted faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from converters.from_sklearn import SklearnConverter
from converters.from_tensorflow import TensorFlowConverter
from converters.from_tflite import TFLiteConverter
from converters.from_torch import TorchConverter
from tests.verification.planted import (
    keras_faults,
    keras_subjects,
    sklearn_faults,
    torch_faults,
    torch_subjects,
)
from tests.verification.planted.edits import copied
from tests.verification.planted.harness import Subject
from tests.verification.planted.sources import Upstream
from zoo.records import Artifact, ConversionRequest

TEXT_FEEDS = {"feeds": {"ids": {"low": 0, "high": 49}, "mask": {"low": 0, "high": 1}}}


@dataclass(frozen=True)
class Entry:
    """A subject by name: its framework, how to make it, and its faults. `upstream` conversions are wrong
    as they come."""

    name: str
    framework: str
    make: Callable[[], Subject]
    faults: tuple[Callable[..., Any], ...] = ()
    upstream: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def entries() -> Iterator[Entry]:
    for name, faults in torch_faults.FAULTS.items():
        yield Entry(name, "PyTorch", lambda name=name: _torch(name), faults)
    for name, faults in keras_faults.FAULTS.items():
        yield Entry(name, "Keras", lambda name=name: _keras(name), faults)
    for name, faults in keras_faults.LITE_FAULTS.items():
        yield Entry(name, "TensorFlow Lite", lambda name=name: _lite(name), faults)
    for name, (make, faults) in sklearn_faults.FAULTS.items():
        yield Entry(name, "scikit-learn", lambda make=make: _sklearn(make), faults)
    for name, make in sklearn_faults.honest():
        yield Entry(name, "scikit-learn", lambda make=make, name=name: _sklearn(make, name))
    for name, (make, why) in sklearn_faults.UPSTREAM.items():
        yield Entry(name, "scikit-learn", lambda m=make, n=name: _sklearn(m, n, Upstream()), upstream=why)


@lru_cache(maxsize=None)
def prepared(name: str) -> tuple[Subject, Any]:
    """The subject and its graph as converted, made once."""
    entry = next(entry for entry in entries() if entry.name == name)
    subject = entry.make()
    return subject, subject.convert()


def planted(name: str, fault: str) -> Any:
    """A copy of the honest graph with the fault in it."""
    entry = next(entry for entry in entries() if entry.name == name)
    subject, graph = prepared(name)
    plant = next(item for item in entry.faults if item.__name__ == fault)
    return plant(copied(graph), subject.model)


def _torch(name: str) -> Subject:
    model, inputs = getattr(torch_subjects, name)()
    options = TEXT_FEEDS if name == "text" else {}
    return Subject(TorchConverter(), model, _folder(name), options, inputs)


def _keras(name: str) -> Subject:
    return Subject(TensorFlowConverter(), getattr(keras_subjects, name)(), _folder(name))


def _lite(name: str) -> Subject:
    folder = _folder(name)
    path = folder / "source.tflite"
    path.write_bytes(getattr(keras_subjects, name)())
    converter = TFLiteConverter()
    request = ConversionRequest(Artifact(path, "0" * 64, 0), "tflite", "model")
    return Subject(converter, converter.load(request.artifact, request), folder)


def _sklearn(make: Callable[[], Any], name: str = "", converter: Any = None) -> Subject:
    return Subject(converter or SklearnConverter(), make(), _folder(name or make.__name__))


def _folder(name: str) -> Path:
    return Path(mkdtemp(prefix=f"planted-{name}-"))
