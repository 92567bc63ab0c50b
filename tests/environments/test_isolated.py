"""Conversions whose source is loaded in another Python than zoo's own, built from the package index."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import zoo
from tests.pipeline.test_bisect import spoil
from zoo import plugins
from zoo.cli.main import run
from zoo.environments import Environment
from zoo.verification import certificate

pytestmark = pytest.mark.network

Environments = Callable[[str], Environment]


@pytest.fixture
def tiny(plugin: Path, tmp_path: Path) -> Path:
    path = tmp_path / "three.tiny"
    path.write_text("tinyfw 1\n1.5\n-2\n0.25\n")
    return path


def test_a_source_is_converted_in_python_3_9(environment: Environments, tiny: Path, tmp_path: Path) -> None:
    built = environment("tinyfw")
    assert built.python.startswith("3.9.")
    verified = zoo.convert(tiny, tmp_path / "three.onnx")
    assert verified.report is not None
    assert verified.report.passed
    assert "numpy 1.23.5, onnx 1.16.2" in verified.report.reference
    ran = verified.report.environment
    assert ran is not None
    assert (ran.name, ran.python, ran.lock) == ("tinyfw", built.python, built.lock)
    stated = certificate.loads(certificate.beside(verified.path).read_bytes())
    assert stated.environment["lock"] == built.lock
    assert stated.environment["source_python"] == built.python


def test_a_fault_is_found_where_the_source_runs_without_onnx_runtime(
    environment: Environments, tiny: Path, tmp_path: Path
) -> None:
    environment("tinyfw")
    other = tmp_path / "other.tiny"
    other.write_text("tinyfw 1\n1.5\n-2\n4\n")
    model = zoo.convert(other, tmp_path / "other.onnx").path
    found = zoo.bisect(model, tiny, tmp_path / "reproducer")
    assert found.finding.error > 0
    assert (found.reproducer / "model.onnx").is_file()


def test_a_step_of_an_isolated_pipeline_is_named(environment: Environments, tmp_path: Path) -> None:
    from sklearn.datasets import load_iris
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    environment("sklearn-1.9")
    rows, target = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(rows, target)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    zoo.convert(tmp_path / "model.pkl", tmp_path / "model.onnx")
    spoil(tmp_path / "model.onnx", (4, 2))
    found = zoo.bisect(tmp_path / "model.onnx", tmp_path / "model.pkl", tmp_path / "out", isolated=True)
    ran = found.report.environment
    assert ran is not None
    assert (ran.name, found.finding.layer, found.finding.layer_kind) == ("sklearn-1.9", "pca", "PCA")


def test_several_files_share_a_warm_worker_of_python_3_9(
    environment: Environments, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment("tinyfw")
    other = tmp_path / "other.tiny"
    other.write_text("tinyfw 1\n3\n")
    folder = tmp_path / "out"
    folder.mkdir()
    assert run(["convert", str(tiny), str(other), "-o", str(folder)]) == 0
    assert capsys.readouterr().out.count("environment  tinyfw (Python 3.9.") == 2
    assert sorted(path.name for path in folder.glob("*.onnx")) == ["other.onnx", "three.onnx"]


def test_all_that_a_worker_imports_runs_on_python_3_9(
    environment: Environments, plugin: Path, tmp_path: Path
) -> None:
    built = environment("tinyfw")
    for package in plugins.own_packages():
        (tmp_path / package.name).symlink_to(package)
    names = sorted(_imported(["zoo.worker"]) | set(_converters()))
    assert "zoo.verification.feeds" in names
    code = f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n"
    done = subprocess.run(
        [built.interpreter, "-B", "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


def _converters() -> list[str]:
    (package,) = (path for path in plugins.own_packages() if path.name == "converters")
    return [f"converters.{path.stem}" for path in package.glob("*.py") if path.stem != "__init__"]


def _imported(names: list[str]) -> set[str]:
    """The modules of zoo that these import, at their head or in a function, and what those import."""
    root = Path(zoo.__file__).parents[1]
    seen: set[str] = set()
    while names:
        name = names.pop()
        path = root / (name.replace(".", "/") + ".py")
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zoo"):
                names += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    return seen


def test_a_pickle_of_scikit_learn_is_converted_in_isolation(
    environment: Environments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    built = environment("sklearn-1.9")
    path = tmp_path / "iris.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True))))
    assert run(["convert", str(path), "-o", str(tmp_path / "iris.onnx"), "--isolated", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    assert report["verdict"] == "verified"
    assert report["environment"]["lock"] == built.lock
