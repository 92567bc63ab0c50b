"""What a converter must show before its answers are believed: for the built-in ones and for third parties'.

In a test of the plugin's own::

    from zoo.testing import check_converter

    def test_conforms(tmp_path):
        check_converter("myframework", make_a_model(tmp_path))
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import plugins
from zoo.errors import ZooError
from zoo.records import record

if TYPE_CHECKING:
    from zoo.records import VerifiedModel

ATTRIBUTES = {"framework": str, "title": str, "requirements": tuple, "extra": str, "revision": int}
"""What `zoo.interfaces.Converter` declares."""


@record
class Check:
    """One demand on a converter. `failure` is None where it is met, else what was found instead."""

    name: str
    failure: str | None = None


class NotConformingError(AssertionError):
    """A converter that does not do what `zoo.interfaces.Converter` asks; `checks` has every result."""

    def __init__(self, framework: str, checks: tuple[Check, ...]) -> None:
        failed = [f"- {check.name}: {check.failure}" for check in checks if check.failure]
        super().__init__("\n".join([f"the converter of {framework!r} does not conform:", *failed]))
        self.checks = checks


def check_converter(framework: str, path: Path, **options: Any) -> tuple[Check, ...]:
    """Run the conformance suite of a converter over one good file or folder of its framework.

    `options` are those of `zoo.convert`, such as `input`, `sample` or `builder`. Everything runs as it does
    for users: the source in a jailed worker, ONNX Runtime in another. Returns all checks, every one met.

    Raises:
        NotConformingError: names every demand that is not met, with what was found.
    """
    with tempfile.TemporaryDirectory(prefix="zoo-check-") as folder:
        subject = _Subject(framework, Path(path), options, Path(folder))
        checks = tuple(_checked(name, demand, subject) for name, demand in DEMANDS.items())
    if any(check.failure for check in checks):
        raise NotConformingError(framework, checks)
    return checks


class _Subject:
    """One converter, one good file of its framework, and a folder for what comes of it."""

    def __init__(self, framework: str, path: Path, options: dict[str, Any], folder: Path) -> None:
        self.framework, self.path, self.options, self.folder = framework, path, options, folder

    @cached_property
    def converted(self) -> VerifiedModel:
        return self.convert(self.path, "first.onnx")

    def convert(self, source: Path, name: str) -> VerifiedModel:
        from zoo import api

        return api.convert(source, self.folder / name, framework=self.framework, **self.options)


def _checked(name: str, demand: Callable[[_Subject], Iterator[str]], subject: _Subject) -> Check:
    try:
        return Check(name, "; ".join(demand(subject)) or None)
    except ZooError as error:
        return Check(name, f"{type(error).__name__}: {error.message}")


def _declares(subject: _Subject) -> Iterator[str]:
    converter = plugins.converter(subject.framework)
    for name, kind in ATTRIBUTES.items():
        value = getattr(converter, name, None)
        if not isinstance(value, kind):
            yield f"{name} is {value!r}, not a {kind.__name__}"
    if getattr(converter, "framework", None) != subject.framework:
        yield f"framework is not {subject.framework!r}, the name it is registered under"


def _imports_late(subject: _Subject) -> Iterator[str]:
    """Importing and making the converter loads nothing of its framework."""
    module, _, name = plugins.converter_target(subject.framework).partition(":")
    wanted = {part for text in plugins.converter(subject.framework).requirements for part in text.split("|")}
    packages = {top for top, names in packages_distributions().items() if wanted & set(names)}
    code = f"import sys; from {module} import {name}; {name}(); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if shown.returncode:
        yield f"`from {module} import {name}` fails: {shown.stderr.strip().splitlines()[-1]}"
    loaded = sorted(packages & set(shown.stdout.split()))
    if loaded:
        yield f"importing {module} imports {', '.join(loaded)}: import inside the functions that need it"


def _proves(subject: _Subject) -> Iterator[str]:
    report = subject.converted.report
    if report is None or not report.passed:
        yield f"the proof says {report.verdict if report else 'nothing'!r}"


def _describes_alone(subject: _Subject) -> Iterator[str]:
    """`zoo verify` asks for `describe` and `predict` without `convert`."""
    from zoo import api

    asked = {name: value for name, value in subject.options.items() if name not in ("opset", "float32")}
    report = api.verify(subject.converted.path, subject.path, framework=subject.framework, **asked)
    if not report.passed:
        yield f"`zoo verify` of the file just converted says {report.verdict!r}"


def _repeats(subject: _Subject) -> Iterator[str]:
    from zoo.verification.graph_digest import graph_digest

    first, second = subject.converted, subject.convert(subject.path, "second.onnx")
    digests = [graph_digest(model.path) for model in (first, second)]
    if len(set(digests)) > 1:
        yield f"two conversions of one file give the graphs {digests[0][:12]} and {digests[1][:12]}"


def _refuses_broken(subject: _Subject) -> Iterator[str]:
    """A file cut in half is answered with a `ZooError`, and leaves no output."""
    if subject.path.is_dir():
        return
    data = subject.path.read_bytes()
    broken = subject.folder / f"broken{subject.path.suffix}"
    broken.write_bytes(data[: len(data) // 2])
    with suppress(ZooError):
        subject.convert(broken, "half.onnx")
        yield "half of the file converts"
    if (subject.folder / "half.onnx").exists():
        yield "half of the file left an output"


DEMANDS: dict[str, Callable[[_Subject], Iterator[str]]] = {
    "declares what it is": _declares,
    "imports its framework late": _imports_late,
    "converts, and the proof passes": _proves,
    "describes and predicts without converting": _describes_alone,
    "gives the same graph twice": _repeats,
    "refuses half of a file": _refuses_broken,
}
"""Every demand by name; each yields what is wrong."""
