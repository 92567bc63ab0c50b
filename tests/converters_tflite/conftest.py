from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.from_tflite import TFLiteConverter
from converters.tensorflow_runtime import quiet, tensorflow


@pytest.fixture
def converter() -> TFLiteConverter:
    return TFLiteConverter()


@pytest.fixture(scope="session")
def tf() -> Any:
    return tensorflow()


@pytest.fixture(scope="session")
def keras(tf: Any) -> Any:
    import keras

    keras.utils.set_random_seed(7)
    return keras


@pytest.fixture
def lite(tf: Any, tmp_path: Path):
    """Write a Keras model as .tflite; `settings` are attributes of TensorFlow's own converter."""

    def write(model: Any, name: str = "m.tflite", **settings: Any) -> Path:
        with quiet():
            converter = tf.lite.TFLiteConverter.from_keras_model(model)
            for key, value in settings.items():
                setattr(converter, key, value)
            (tmp_path / name).write_bytes(converter.convert())
        return tmp_path / name

    return write


@pytest.fixture
def int8(tf: Any) -> dict[str, Any]:
    """The settings of a model whose inputs, outputs and arithmetic are int8."""

    def samples() -> Any:
        random = np.random.default_rng(0)
        for _ in range(20):
            yield [random.normal(size=(1, 12, 12, 3)).astype(np.float32)]

    optimise = tf.lite.Optimize.DEFAULT
    spec = tf.lite.TargetSpec(supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8])
    io = {"inference_input_type": tf.int8, "inference_output_type": tf.int8}
    return {"optimizations": [optimise], "representative_dataset": samples, "target_spec": spec, **io}
