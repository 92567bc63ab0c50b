"""TFLite files of every quantisation compute in ONNX what TFLite computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import tflite_files
from converters.tensorflow_runtime import quiet
from tests.converters_tensorflow.conversions import convert
from tests.converters_tensorflow.test_keras import cnn, lstm, two_headed
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import TensorSpec


@pytest.mark.parametrize("build", [cnn, lstm, two_headed], ids=lambda build: build.__name__)
def test_a_float_model_computes_the_same_at_every_batch_size(build, keras, lite, converter):
    path = lite(build(keras)) if build is not lstm else lite(fixed_lstm(keras))

    conversion = convert(converter, path, "model")

    assert max(conversion.difference(batch) for batch in (1, 3)) < 2e-6
    assert conversion.proto.opset_import[0].version == 17


def fixed_lstm(keras: Any) -> Any:
    return keras.Sequential([keras.Input((6, 4)), keras.layers.LSTM(5, unroll=True)])


def test_outputs_keep_the_order_and_the_names_of_the_signature(keras, lite, converter):
    conversion = convert(converter, lite(two_headed(keras)), "model")
    runner = conversion.model.interpreter.get_signature_runner("serving_default")

    (name, apple, _), (other, zebra, _) = conversion.both(conversion.feeds(2))

    assert [name, other] == list(runner.get_output_details()) == ["apple", "zebra"]
    assert (apple.shape, zebra.shape) == ((2, 3), (2, 2))


def test_an_int8_model_keeps_its_dtypes_and_every_element(keras, lite, int8, converter):
    conversion = convert(converter, lite(cnn(keras), **int8), "model")

    assert conversion.description.signature.inputs[0].dtype == "int8"
    assert conversion.description.signature.outputs[0].dtype == "int8"
    assert max(conversion.difference(batch, seed=batch) for batch in (1, 6)) == 0
    assert any("quantised" in note for note in conversion.description.notes)


def test_a_dynamic_range_model_is_close_and_says_so(tf, keras, lite, converter):
    path = lite(wide(keras), optimizations=[tf.lite.Optimize.DEFAULT])

    conversion = convert(converter, path, "model")

    assert any("dynamic-range" in note for note in conversion.description.notes)
    assert 0 < conversion.difference(4) < 0.05


def test_float16_weights_are_widened(tf, keras, lite, converter):
    spec = tf.lite.TargetSpec(supported_types=[tf.float16])
    path = lite(wide(keras), optimizations=[tf.lite.Optimize.DEFAULT], target_spec=spec)

    conversion = convert(converter, path, "model")

    assert any("float16" in note for note in conversion.description.notes)
    assert conversion.difference(4) < 2e-6


def wide(keras: Any) -> Any:
    """Wide enough for TensorFlow to quantise its weights (1024 of them or more)."""
    layers = [keras.layers.Dense(64, activation="relu"), keras.layers.Dense(4)]
    return keras.Sequential([keras.Input((64,)), *layers])


def test_a_fixed_batch_is_said(keras, lite, converter):
    model = keras.Sequential([keras.Input(batch_shape=(1, 5)), keras.layers.Dense(2)])

    conversion = convert(converter, lite(model), "model")

    assert conversion.description.signature.inputs[0].shape == (1, 5)
    assert any("fixes the first axis" in note for note in conversion.description.notes)
    assert conversion.difference(1) < 1e-6


@pytest.fixture
def two_signatures(tf: Any, tmp_path: Path) -> Path:
    class Two(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([2, 3], tf.float32, name="x")])
        def double(self, x: Any) -> Any:
            return {"doubled": x * 2.0}

        @tf.function(input_signature=[tf.TensorSpec([2, 4], tf.float32, name="y")])
        def halve(self, y: Any) -> Any:
            return {"halved": y / 2.0, "negative": -y}

    module = Two()
    with quiet():
        tf.saved_model.save(module, str(tmp_path / "two"), {"double": module.double, "halve": module.halve})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "two"), ["double", "halve"])
        (tmp_path / "two.tflite").write_bytes(converter.convert())
    return tmp_path / "two.tflite"


@pytest.mark.parametrize(
    ("signature", "outputs"), [("double", ["doubled"]), ("halve", ["halved", "negative"])]
)
def test_the_signature_that_was_asked_for_is_converted(signature, outputs, two_signatures, converter):
    conversion = convert(converter, two_signatures, "model", options={"signature": signature})

    assert [value.name for value in conversion.proto.graph.output] == outputs
    assert conversion.difference(2) < 1e-6


def test_several_signatures_must_be_chosen_from(two_signatures, converter):
    with pytest.raises(MissingInputError, match="2 signatures") as caught:
        convert(converter, two_signatures, "model")
    with pytest.raises(UsageError, match="no signature 'triple'"):
        convert(converter, two_signatures, "model", options={"signature": "triple"})

    assert "--option signature=" in caught.value.hint


def test_a_custom_operation_is_refused_by_name(tf, keras, tmp_path, converter):
    path = tmp_path / "custom.tflite"
    path.write_bytes(with_custom_operation(tf))

    with pytest.raises(UnsupportedModelError, match="custom operation Betainc"):
        convert(converter, path, "model")


def with_custom_operation(tf: Any) -> bytes:
    @tf.function(input_signature=[tf.TensorSpec([4], tf.float32)])
    def incomplete_beta(x: Any) -> Any:
        return tf.math.betainc(x, x, x)

    with quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([incomplete_beta.get_concrete_function()])
        converter.allow_custom_ops = True
        return converter.convert()


def test_a_request_for_other_shapes_is_refused(keras, lite, converter):
    path = lite(wide(keras))
    other = TensorSpec("keras_tensor", "float32", ("batch", 32))

    with pytest.raises(UsageError):
        convert(converter, path, "model", inputs=(other,))


@pytest.mark.parametrize("content", [b"", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 40, b"no flatbuffer at all"])
def test_a_damaged_file_is_refused_in_one_sentence(content, tmp_path, converter):
    (tmp_path / "m.tflite").write_bytes(content)

    with pytest.raises(UnsupportedFileError, match=r"m\.tflite"):
        convert(converter, tmp_path / "m.tflite", "model")


def test_tensors_of_equal_names_are_told_apart(keras, lite, converter):
    path = lite(two_headed(keras))
    path.write_bytes(with_equal_names(path.read_bytes()))

    conversion = convert(converter, path, "model")

    assert conversion.difference(3) < 1e-6


def with_equal_names(content: bytes) -> bytes:
    """Overwrite the name of every inner tensor with as many x's, as some exporters leave them."""
    model = tflite_files.root(bytearray(content))
    graph = model.Subgraphs(0)
    named = bytearray(content)
    for name in {graph.Tensors(i).Name() for i in range(graph.TensorsLength())}:
        if name and b"serving" not in name and b"StatefulPartitioned" not in name:
            named = bytearray(bytes(named).replace(name, b"x" * len(name)))
    return bytes(named)


def test_the_reference_runs_without_a_conversion(keras, lite, converter):
    from tests.converters_tensorflow.conversions import request

    path = lite(wide(keras))
    model = converter.load(request(path, "tflite", "model").artifact, request(path, "tflite", "model"))
    (spec,) = model.signature.inputs

    outputs = converter.predict(model, {spec.name: np.zeros((3, 64), np.float32)})

    assert [value.shape for value in outputs.values()] == [(3, 4)]
