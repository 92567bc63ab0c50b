"""Small model files, each written by the library it belongs to."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > 0).astype(int)


# --- scikit-learn and the boosters ----------------------------------------------------------------


@lru_cache(maxsize=None)
def logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, Y)


@lru_cache(maxsize=None)
def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(5, random_state=0).fit(X, Y)


@lru_cache(maxsize=None)
def xgboost_classifier() -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=2, max_depth=2).fit(X, Y)


@lru_cache(maxsize=None)
def lightgbm_classifier() -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=2, verbose=-1).fit(X, Y)


@lru_cache(maxsize=None)
def catboost_classifier() -> Any:
    from catboost import CatBoostClassifier

    return CatBoostClassifier(iterations=2, depth=2, verbose=False, allow_writing_files=False).fit(X, Y)


@lru_cache(maxsize=None)
def pipeline_with_booster() -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), xgboost_classifier())


def named(suffix: str, write: Callable[[Path], Any]) -> Callable[[Path], None]:
    """For libraries that want to see a suffix: written under it, then renamed."""

    def written(path: Path) -> None:
        write(path.with_name(path.name + suffix))
        path.with_name(path.name + suffix).rename(path)

    return written


def pickled(model: Callable[[], Any], protocol: int = 4) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(pickle.dumps(model(), protocol)) and None


def joblibbed(model: Callable[[], Any], compress: Any = 0) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import joblib

        joblib.dump(model(), path, compress=compress)

    return write


def text_columns() -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows = np.array([["red", 1.5], ["blue", 2.5], ["red", 3.5], ["green", 0.5]], dtype=object)
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0]), remainder="passthrough")
    return make_pipeline(columns, LogisticRegression()).fit(rows, [0, 1, 0, 1])


# --- torch ------------------------------------------------------------------------------------------


def net() -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()


def torch_saved(what: Callable[[], Any], **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import torch

        torch.save(what(), path, **options)

    return write


def torchscript(path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(net(), torch.zeros(1, 3)).save(str(path))


def pt2(path: Path) -> None:
    import torch

    torch.export.save(torch.export.export(net(), (torch.zeros(2, 3),)), path)


def safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros((2, 2), np.float32)}, path)


# --- TensorFlow -------------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def keras_model() -> Any:
    import keras

    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="out")])


def keras_saved(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras_model().save(path)


def keras_weights(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras_model().save_weights(path)


def saved_model(path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.scale = tf.Variable(3.0)
    module.__call__ = tf.function(lambda x: x * module.scale, input_signature=[tf.TensorSpec([None, 3])])
    tf.saved_model.save(module, str(path), signatures=module.__call__)


def frozen_graph(path: Path) -> None:
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        placeholder = tf.compat.v1.placeholder(tf.float32, [None, 3], name="x")
        tf.multiply(placeholder, tf.constant(2.0), name="y")
    path.write_bytes(graph.as_graph_def().SerializeToString())


def tflite(path: Path) -> None:
    import tensorflow as tf

    function = tf.function(lambda x: x * 2.0, input_signature=[tf.TensorSpec([1, 3])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    path.write_bytes(converter.convert())


# --- ONNX -------------------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def onnx_model() -> Any:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    node = helper.make_node("Relu", ["x"], ["y"])
    ends = [value("x", TensorProto.FLOAT, ["n", 3])], [value("y", TensorProto.FLOAT, ["n", 3])]
    graph = helper.make_graph([node], "g", *ends)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="tests")


def onnx_file(path: Path) -> None:
    path.write_bytes(onnx_model().SerializeToString())


def onnx_tensor(path: Path) -> None:
    from onnx import numpy_helper

    path.write_bytes(numpy_helper.from_array(X.astype(np.float32)).SerializeToString())


def ort_file(path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(
        onnx_model().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
