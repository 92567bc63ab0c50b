"""Records survive the way through JSON, here and in the oldest Python that a worker may run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from zoo import wire
from zoo.records import (
    Artifact,
    ColumnDomain,
    ConversionRequest,
    Domain,
    FeedCase,
    OutputComparison,
    Signature,
    SourceDescription,
    TensorSpec,
)

ROOT = Path(__file__).resolve().parent.parent
REQUEST = ConversionRequest(
    Artifact(Path("/models/a.pkl"), "ab" * 32, 3),
    "sklearn",
    "pickle",
    options={"steps": ["a", "b"]},
    inputs=(TensorSpec("x", "float32", ("batch", 3)),),
)
DESCRIPTION = SourceDescription(
    Signature(REQUEST.inputs, (TensorSpec("y", "int64", ("batch",)),)),
    (Domain((ColumnDomain(low=0.5, categories=("a", 1.0)),)),),
    roles={"y": "label"},
)


@pytest.mark.parametrize(
    "record",
    [
        REQUEST,
        DESCRIPTION,
        FeedCase("a", "b", 1, 2),
        OutputComparison("y", True, "int64", (2, 3), max_abs=0.25),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_comes_back_equal(record: object) -> None:
    assert wire.loads(type(record), wire.dumps(record)) == record


def test_unknown_keys_of_a_newer_version_are_ignored() -> None:
    assert wire.from_json(
        FeedCase, {"name": "a", "family": "b", "batch": 1, "seed": 2, "new": 3}
    ) == FeedCase("a", "b", 1, 2)


def test_what_is_not_the_record_is_refused() -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        wire.loads(ConversionRequest, '{"artifact": 3}')


def old_python() -> str | None:
    managed = sorted((Path.home() / ".pyenv" / "versions").glob("3.9.*/bin/python3.9"))
    for candidate in filter(None, [shutil.which("python3.9"), *map(str, managed)]):
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None


def test_the_worker_side_runs_on_python_3_9() -> None:
    python = old_python()
    if python is None:
        pytest.skip("no Python 3.9 on PATH: install one (pyenv install 3.9) to run this")
    code = (
        "from zoo import wire; from zoo.records import ConversionRequest;"
        "import sys, zoo.worker, zoo.interfaces, zoo.tensors;"
        "print(wire.loads(ConversionRequest, sys.stdin.read()).key)"
    )
    done = subprocess.run(
        [python, "-c", code], input=wire.dumps(REQUEST), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == REQUEST.key
