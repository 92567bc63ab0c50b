"""`zoo bisect`: the right layer is named, in three frameworks, from files."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import zoo
from zoo.cli.main import run
from zoo.errors import UsageError


def spoil(path: Path, shape: tuple[int, ...], change: float = 0.05) -> None:
    """Change the one weight of `shape` in an ONNX file."""
    model = onnx.load(str(path))
    (weights,) = [tensor for tensor in model.graph.initializer if tuple(tensor.dims) == shape]
    values = numpy_helper.to_array(weights).copy()
    values.flat[0] += change
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    onnx.save(model, str(path))


def test_a_torch_layer_is_named_with_its_line(tmp_path: Path) -> None:
    code = """
import torch

def net():
    torch.manual_seed(0)
    linear = torch.nn.Linear
    return torch.nn.Sequential(linear(4, 8), torch.nn.Tanh(), linear(8, 6), torch.nn.Tanh(), linear(6, 2))
"""
    (tmp_path / "nets.py").write_text(code)
    namespace: dict[str, object] = {}
    exec(code, namespace)
    import torch

    torch.save(namespace["net"]().state_dict(), tmp_path / "net.pt")  # type: ignore[operator]
    asked = {"builder": "nets:net", "input": ["x:float32[batch,4]"]}
    zoo.convert(tmp_path / "net.pt", tmp_path / "net.onnx", **asked)  # type: ignore[arg-type]
    spoil(tmp_path / "net.onnx", (6, 8))
    found = zoo.bisect(tmp_path / "net.onnx", tmp_path / "net.pt", tmp_path / "out", **asked)  # type: ignore[arg-type]
    assert (found.finding.layer, found.finding.layer_kind) == ("2", "Linear")
    assert "linear.py:" in found.finding.where
    assert sum(path.stat().st_size for path in found.reproducer.iterdir()) < 100_000
    assert "Linear" in (found.reproducer / "issue.md").read_text(encoding="utf-8")


def test_a_keras_layer_is_named(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(width, activation="tanh", name=f"dense_{width}") for width in (7, 5, 3)]
    with warnings.catch_warnings():  # Keras 3.15 saves its variables in a way that numpy 2 warns of
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        keras.Sequential([keras.Input((4,)), *layers]).save(tmp_path / "net.keras")
    zoo.convert(tmp_path / "net.keras", tmp_path / "net.onnx")
    spoil(tmp_path / "net.onnx", (7, 5))
    found = zoo.bisect(tmp_path / "net.onnx", tmp_path / "net.keras", tmp_path / "out")
    assert found.finding.layer == "dense_5"


def test_a_step_of_a_pipeline_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sklearn.datasets import load_iris
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, target = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), PCA(2), LogisticRegression()).fit(rows, target)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    zoo.convert(tmp_path / "model.pkl", tmp_path / "model.onnx")
    spoil(tmp_path / "model.onnx", (4, 2))
    arguments = [str(tmp_path / name) for name in ("model.onnx", "model.pkl")]
    assert run(["bisect", *arguments, "-o", str(tmp_path / "out")]) == 0
    assert "PCA 'pca'" in capsys.readouterr().out


def test_a_right_file_has_nothing_to_bisect(iris_pickle: Path, tmp_path: Path) -> None:
    zoo.convert(iris_pickle, tmp_path / "iris.onnx")
    with pytest.raises(UsageError, match="nothing to bisect"):
        zoo.bisect(tmp_path / "iris.onnx", iris_pickle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_reproducer_shows_the_difference(iris_pickle: Path, wrong_onnx: Path, tmp_path: Path) -> None:
    found = zoo.bisect(wrong_onnx, iris_pickle, tmp_path / "out")
    inputs = dict(np.load(found.reproducer / "inputs.npz"))
    assert inputs
    onnx.checker.check_model(str(found.reproducer / "model.onnx"))
