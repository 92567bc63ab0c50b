"""Every kind of model file, written by its own library, is told from its bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.detection import models
from zoo.detect import detect

Writer = Callable[[Path], None]


def state_dict():
    return models.net().state_dict()


def checkpoint():
    return {"epoch": 3, "state_dict": models.net().state_dict(), "args": ["a"]}


def xgboost_saved(path: Path) -> None:
    models.xgboost_classifier().save_model(path)


def catboost_json(path: Path) -> None:
    models.catboost_classifier().save_model(path, format="json")


def chainer_npz(path: Path) -> None:
    np.savez(path, **{"conv1/W": models.X})


def chainer_pickle(path: Path) -> None:
    """An object of the author's class that holds a chainer.links.Linear, without Chainer."""
    held = b"X\x06\x00\x00\x00linearcchainer.links.connection.linear\nLinear\n)\x81s"
    path.write_bytes(b"\x80\x02cnets\nPictures\n)\x81}" + held + b"b.")


CASES: dict[str, tuple[Writer, str]] = {
    "sklearn pickle": (models.pickled(models.logistic), "sklearn/pickle"),
    "sklearn pickle, protocol 0": (models.pickled(models.logistic, 0), "sklearn/pickle"),
    "sklearn pickle, protocol 2": (models.pickled(models.forest, 2), "sklearn/pickle"),
    "sklearn pickle, protocol 5": (models.pickled(models.forest, 5), "sklearn/pickle"),
    "sklearn joblib": (models.joblibbed(models.forest), "sklearn/joblib"),
    "sklearn joblib with arrays of objects": (models.joblibbed(models.text_columns), "sklearn/joblib"),
    "joblib zlib": (models.joblibbed(models.forest, ("zlib", 3)), "sklearn/joblib"),
    "joblib gzip": (models.joblibbed(models.forest, ("gzip", 3)), "sklearn/joblib"),
    "joblib bz2": (models.joblibbed(models.forest, ("bz2", 3)), "sklearn/joblib"),
    "joblib lzma": (models.joblibbed(models.forest, ("lzma", 3)), "sklearn/joblib"),
    "joblib xz": (models.joblibbed(models.forest, ("xz", 3)), "sklearn/joblib"),
    "pipeline with a booster": (models.pickled(models.pipeline_with_booster), "sklearn/pickle"),
    "dict with an estimator": (models.pickled(lambda: {"m": models.logistic()}), "sklearn/pickle"),
    "xgboost wrapper": (models.pickled(models.xgboost_classifier), "xgboost/pickle"),
    "xgboost wrapper, joblib": (models.joblibbed(models.xgboost_classifier, 3), "xgboost/joblib"),
    "xgboost booster": (models.pickled(lambda: models.xgboost_classifier().get_booster()), "xgboost/pickle"),
    "xgboost json": (models.named(".json", xgboost_saved), "xgboost/json"),
    "xgboost ubj": (models.named(".ubj", xgboost_saved), "xgboost/ubj"),
    "lightgbm wrapper": (models.pickled(models.lightgbm_classifier), "lightgbm/pickle"),
    "lightgbm text": (lambda path: models.lightgbm_classifier().booster_.save_model(path), "lightgbm/text"),
    "catboost wrapper": (models.pickled(models.catboost_classifier), "catboost/pickle"),
    "catboost cbm": (lambda path: models.catboost_classifier().save_model(path), "catboost/cbm"),
    "catboost json": (catboost_json, "catboost/json"),
    "torch state_dict": (models.torch_saved(state_dict), "torch/state_dict"),
    "torch state_dict, old format": (
        models.torch_saved(state_dict, _use_new_zipfile_serialization=False), "torch/state_dict"),
    "torch checkpoint": (models.torch_saved(checkpoint), "torch/state_dict"),
    "torch module": (models.torch_saved(models.net), "torch/module"),
    "torch module, old format": (
        models.torch_saved(models.net, _use_new_zipfile_serialization=False), "torch/module"),
    "torch checkpoint with a module": (models.torch_saved(lambda: {"model": models.net()}), "torch/module"),
    "torchscript": (models.torchscript, "torch/torchscript"),
    "torch exported program": (models.named(".pt2", models.pt2), "torch/pt2"),
    "safetensors": (models.safetensors, "torch/safetensors"),
    "keras": (models.named(".keras", models.keras_saved), "tensorflow/keras"),
    "keras h5": (models.named(".h5", models.keras_saved), "tensorflow/h5"),
    "keras weights": (models.named(".weights.h5", models.keras_weights), "tensorflow/h5_weights"),
    "saved model": (models.saved_model, "tensorflow/saved_model"),
    "frozen graph": (models.frozen_graph, "tensorflow/frozen_graph"),
    "tflite": (models.tflite, "tflite/model"),
    "onnx": (models.onnx_file, "onnx/model"),
    "ort": (models.ort_file, "ort/model"),
    "npy": (models.named(".npy", lambda path: np.save(path, models.X)), "numpy/npy"),
    "npz": (models.named(".npz", lambda path: np.savez(path, a=models.X)), "numpy/npz"),
    "chainer npz": (models.named(".npz", chainer_npz), "chainer/npz"),
    "chain of the author's class": (chainer_pickle, "chainer/pickle"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_told_whatever_its_name(name: str, tmp_path: Path) -> None:
    write, expected = CASES[name]
    write(tmp_path / "written")

    found = detect(tmp_path / "written")

    assert f"{found.framework}/{found.kind}" == expected
