"""Small real models in real files, made once."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def iris_pickle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scaled logistic regression on the iris data set, as a pickle."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    iris = load_iris()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(iris.data, iris.target)
    path = tmp_path_factory.mktemp("models") / "iris.pkl"
    path.write_bytes(pickle.dumps(model))
    return path


@pytest.fixture(scope="session")
def wrong_onnx(iris_pickle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model converted, with one coefficient off by a hundredth: a deliberately wrong file."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    import zoo

    path = tmp_path_factory.mktemp("wrong") / "iris.onnx"
    zoo.convert(iris_pickle, path)
    model = onnx.load(str(path))
    weights = next(tensor for tensor in model.graph.initializer if np.prod(tensor.dims) == 12)
    values = numpy_helper.to_array(weights).copy()
    values.flat[0] += 0.01
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    onnx.save(model, str(path))
    return path
