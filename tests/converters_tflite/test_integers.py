"""int8 layers are equal to TFLite's in every element, whatever ONNX Runtime's optimiser does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

from converters.tflite_integers import _most
from tests.converters_tensorflow.conversions import convert
from zoo.errors import UsageError

LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL")


def residual(keras: Any) -> Any:
    """Each form of layer: convolutions with and without bias and ReLU, a sum, an average, a product."""
    layers = keras.layers
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", strides=1)(x)
    y = layers.Conv2D(8, 1, use_bias=False)(y)
    x = layers.Add()([x, y])
    x = layers.ReLU()(x)
    x = layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = layers.AveragePooling2D(4, strides=1)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(20, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(6, activation="softmax")(x))


def wide(keras: Any) -> Any:
    """A product whose sums pass 2^24."""
    layers = keras.layers
    inputs = keras.Input((12, 12, 3))
    x = layers.Flatten()(layers.Conv2D(32, 3, padding="same", activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(4)(x))


def answers(conversion: Any, level: str, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(conversion.proto.SerializeToString(), options)
    name = session.get_inputs()[0].name
    return np.asarray(session.run(None, {name: x})[0])


def differing(conversion: Any, level: str) -> int:
    """Elements of 64 random rows that are not TFLite's."""
    x = np.random.default_rng(5).integers(-128, 128, (64, 12, 12, 3)).astype(np.int8)
    name = conversion.description.signature.inputs[0].name
    (expected,) = conversion.converter.predict(conversion.model, {name: x}).values()
    return int((answers(conversion, level, x) != expected).sum())


@pytest.mark.parametrize("build", [residual, wide], ids=lambda build: build.__name__)
def test_every_element_is_tflites_at_every_level_of_optimisation(build, keras, lite, int8, converter):
    conversion = convert(converter, lite(build(keras), **int8), "model")

    assert [differing(conversion, level) for level in LEVELS] == [0, 0]


def test_sums_beyond_what_float32_holds_are_split(keras, lite, int8, converter):
    conversion = convert(converter, lite(wide(keras), **int8), "model")

    graph = conversion.proto.graph
    arrays = [numpy_helper.to_array(one) for one in graph.initializer if list(one.dims) == [4608, 4]]
    assert len(arrays) == 2
    low, high = sorted(arrays, key=lambda array: array.min() < 0)  # the lower four bits are not negative
    assert _most(low.astype(int) + 16 * high, 1) > 2**24


def test_the_form_that_onnx_runtime_fuses_can_be_asked_for(keras, lite, int8, converter):
    path = lite(residual(keras), **int8)

    fused = convert(converter, path, "model", options={"arithmetic": "fused"})

    kinds = {node.op_type for node in fused.proto.graph.node}
    assert kinds.isdisjoint({"Mul", "Round"})
    with pytest.raises(UsageError, match="arithmetic is 'fast'"):
        convert(converter, path, "model", options={"arithmetic": "fast"})
