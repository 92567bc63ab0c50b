"""Keras models: each architecture and file form computes in ONNX what it computes in Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.tensorflow_runtime import quiet
from tests.converters_tensorflow.conversions import convert, convert_live, request
from zoo.errors import (
    ConversionError,
    MissingInputError,
    UnsupportedFileError,
    UnsupportedModelError,
    UsageError,
)
from zoo.records import TensorSpec


def cnn(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def two_headed(keras: Any) -> Any:
    left, right = keras.Input((5,), name="left"), keras.Input((7,), name="right")
    merged = keras.layers.Concatenate()([left, right])
    outputs = {
        "zebra": keras.layers.Dense(2)(merged),
        "apple": keras.layers.Dense(3, activation="tanh")(left),
    }
    return keras.Model({"left": left, "right": right}, outputs)


def lstm(keras: Any) -> Any:
    return keras.Sequential(
        [keras.Input((None, 4)), keras.layers.LSTM(6, return_sequences=True), keras.layers.LSTM(3)]
    )


def bidirectional_gru(keras: Any) -> Any:
    return keras.Sequential([keras.Input((None, 4)), keras.layers.Bidirectional(keras.layers.GRU(5))])


def attention(keras: Any) -> Any:
    x = keras.Input((None, 8), name="tokens")
    y = keras.layers.MultiHeadAttention(2, 4, name="attend")(x, x)
    return keras.Model(x, keras.layers.LayerNormalization(name="norm")(y + x))


ARCHITECTURES = [cnn, two_headed, lstm, bidirectional_gru, attention]


@pytest.mark.parametrize("build", ARCHITECTURES, ids=lambda build: build.__name__)
def test_a_keras_file_computes_the_same_at_every_batch_size(build, keras, saved, converter):
    conversion = convert(converter, saved(build(keras), "m.keras"), "keras")

    worst = max(conversion.difference(batch, length) for batch, length in ((1, 6), (2, 2), (5, 9)))

    assert worst < 2e-6
    assert conversion.proto.opset_import[0].version == 17
    assert conversion.proto.ir_version <= 10


@pytest.mark.parametrize("build", [cnn, lstm], ids=lambda build: build.__name__)
def test_an_hdf5_file_computes_the_same(build, keras, saved, converter):
    conversion = convert(converter, saved(build(keras), "m.h5"), "h5")

    assert max(conversion.difference(batch) for batch in (1, 3)) < 2e-6


def test_outputs_keep_the_names_and_the_order_of_the_model(keras, saved, converter):
    conversion = convert(converter, saved(two_headed(keras), "m.keras"), "keras")

    assert [spec.name for spec in conversion.description.signature.inputs] == ["left", "right"]
    assert {value.name for value in conversion.proto.graph.output} == {"zebra", "apple"}
    assert conversion.difference(3) < 1e-6


def test_a_file_without_its_extension_is_read(keras, saved, tmp_path, converter):
    bare = saved(cnn(keras), "m.keras").rename(tmp_path / "blob")

    assert convert(converter, bare, "keras").difference(2) < 1e-6


def test_a_requested_size_narrows_a_dynamic_axis(keras, saved, converter):
    path = saved(lstm(keras), "m.keras")
    asked = TensorSpec("input", "float32", ("batch", 5, 4))

    conversion = convert(converter, path, "keras", inputs=(asked,))

    assert conversion.description.signature.inputs[0].shape == ("batch", 5, 4)
    assert conversion.difference(4) < 1e-6


def test_a_request_for_an_unknown_input_names_the_known_ones(keras, saved, converter):
    path = saved(two_headed(keras), "m.keras")
    inputs = (TensorSpec("up", "float32", ("batch", 5)), TensorSpec("left", "float32", ("batch", 5)))

    with pytest.raises(UsageError, match="no input 'up'") as caught:
        convert(converter, path, "keras", inputs=inputs)

    assert "left, right" in caught.value.hint


def test_a_live_model_is_exported_without_a_file(keras, converter):
    conversion = convert_live(converter, bidirectional_gru(keras))

    assert conversion.difference(3, 5) < 1e-6


@pytest.mark.parametrize(
    ("policy", "told"), [("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16"), ("float32", None)]
)
def test_what_is_computed_in_sixteen_bits_is_told(policy, told, keras, converter):
    layers = [keras.layers.Dense(4, dtype=policy), keras.layers.Dense(2, dtype="float32")]
    model = keras.Sequential([keras.Input((8,)), *layers])

    described = converter.describe(model, request(Path("live"), "tensorflow", "live"))

    assert described.arithmetic == told


def test_a_live_tf_function_keeps_its_keys(tf, converter):
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def halve(x):
        return {"half": x / 2, "sum": tf.reduce_sum(x, axis=1)}

    conversion = convert_live(converter, halve)

    assert [value.name for value in conversion.proto.graph.output] == ["half", "sum"]
    assert conversion.difference(4) < 1e-6


def test_something_else_than_a_model_is_refused(converter):
    with pytest.raises(ConversionError, match=r"builtins\.dict is no Keras model"):
        converter.describe({}, request(__file__, "tensorflow", "live"))


def test_a_subclassed_model_is_converted_at_the_shape_it_was_built_for(keras, converter):
    model = doubling_model(keras)
    with quiet():
        model(np.zeros((1, 3), np.float32))

    conversion = convert_live(converter, model)

    assert conversion.description.signature.inputs[0].shape == ("batch", 3)
    assert conversion.difference(5) < 1e-6


def test_a_subclassed_model_that_was_never_called_asks_for_its_input(keras, converter):
    with pytest.raises(MissingInputError) as caught:
        convert_live(converter, doubling_model(keras))

    assert "--input 'input:float32[batch,…]'" in caught.value.hint


def doubling_model(keras: Any) -> Any:
    class Doubling(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x) * 2

    return Doubling()


def test_weights_alone_are_loaded_into_the_builders_model(keras, tmp_path, converter, monkeypatch):
    model = cnn(keras)
    with quiet():
        model.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "my_nets.py").write_text(
        "import keras\nfrom tests.converters_tensorflow.test_keras import cnn\n\n"
        "def build():\n    return cnn(keras)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = {"builder": "my_nets:build"}

    conversion = convert(converter, tmp_path / "m.weights.h5", "h5_weights", options=options)

    feeds = conversion.feeds(3)
    expected = np.asarray(model(next(iter(feeds.values()))))
    np.testing.assert_allclose(conversion.session.run(None, feeds)[0], expected, atol=1e-6)


def test_weights_alone_without_a_builder_ask_for_one(keras, tmp_path, converter):
    with quiet():
        cnn(keras).save_weights(tmp_path / "m.weights.h5")

    with pytest.raises(MissingInputError) as caught:
        convert(converter, tmp_path / "m.weights.h5", "h5_weights")

    assert "--builder module:callable" in caught.value.hint


def test_a_damaged_archive_is_refused_in_one_sentence(tmp_path, converter):
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 this is no archive")

    with pytest.raises(UnsupportedFileError, match=r"cannot load m\.keras"):
        convert(converter, tmp_path / "m.keras", "keras")


@pytest.mark.parametrize("opset", [12, 19])
def test_an_opset_that_tf2onnx_does_not_write_is_refused(opset, keras, saved, converter):
    with pytest.raises(UnsupportedModelError, match="opsets 13 to 18"):
        convert(converter, saved(cnn(keras), "m.keras"), "keras", opset=opset)


def test_the_requested_opset_is_written(keras, saved, converter):
    conversion = convert(converter, saved(cnn(keras), "m.keras"), "keras", opset=18)

    assert conversion.proto.opset_import[0].version == 18
    assert conversion.difference(2) < 1e-6
