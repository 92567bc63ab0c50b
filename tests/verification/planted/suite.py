"""The whole suite: every subject with its honest conversion and its planted faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.verification.planted import sklearn_faults, torch_faults, torch_subjects
from tests.verification.planted.edits import copied
from tests.verification.planted.harness import Subject
from tests.verification.planted.sources import PlainSklearn, PreciseTorch

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
    for name, (make, faults) in sklearn_faults.FAULTS.items():
        yield Entry(name, "scikit-learn", lambda make=make: _sklearn(make, {}), faults)
    for name, make in sklearn_faults.honest():
        yield Entry(name, "scikit-learn", lambda make=make, name=name: _sklearn(make, {}, name))
    for name, (make, options, why) in sklearn_faults.UPSTREAM.items():
        yield Entry(name, "scikit-learn", lambda m=make, o=options: _sklearn(m, o), upstream=why)


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
    return Subject(PreciseTorch(), model, _folder(name), options, inputs)


def _sklearn(make: Callable[[], Any], options: dict[str, Any], name: str = "") -> Subject:
    return Subject(PlainSklearn(), make(), _folder(name or make.__name__), options)


def _folder(name: str) -> Path:
    return Path(mkdtemp(prefix=f"planted-{name}-"))
