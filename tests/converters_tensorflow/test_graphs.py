"""SavedModels and frozen graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters.tensorflow_runtime import quiet
from tests.converters_tensorflow.conversions import convert
from tests.converters_tensorflow.test_keras import ARCHITECTURES
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import TensorSpec


@pytest.mark.parametrize("build", ARCHITECTURES, ids=lambda build: build.__name__)
def test_a_saved_model_computes_the_same_at_every_batch_size(build, keras, exported, converter):
    conversion = convert(converter, exported(build(keras)), "saved_model")

    assert max(conversion.difference(batch, length) for batch, length in ((1, 6), (2, 2), (5, 9))) < 2e-6


@pytest.fixture
def two_signatures(tf: Any, tmp_path: Path) -> Path:
    class Scale(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = tf.Variable([2.0, 3.0])

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def scale(self, x: Any) -> Any:
            return {"scaled": x * self.factor, "added": x + self.factor}

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="y")])
        def invert(self, y: Any) -> Any:
            return {"inverse": y / self.factor}

    module = Scale()
    with quiet():
        tf.saved_model.save(module, str(tmp_path / "two"), {"scale": module.scale, "invert": module.invert})
    return tmp_path / "two"


@pytest.mark.parametrize(("signature", "outputs"), [("scale", ["added", "scaled"]), ("invert", ["inverse"])])
def test_the_signature_that_was_asked_for_is_converted(signature, outputs, two_signatures, converter):
    conversion = convert(converter, two_signatures, "saved_model", options={"signature": signature})

    assert [value.name for value in conversion.proto.graph.output] == outputs
    assert conversion.difference(3) < 1e-6


def test_several_signatures_without_a_default_must_be_chosen_from(two_signatures, converter):
    with pytest.raises(MissingInputError, match="2 signatures") as caught:
        convert(converter, two_signatures, "saved_model")

    assert "--option signature=" in caught.value.hint


def test_an_unknown_signature_names_the_known_ones(two_signatures, converter):
    with pytest.raises(UsageError) as caught:
        convert(converter, two_signatures, "saved_model", options={"signature": "scales"})

    assert "scale, invert" in caught.value.hint or "invert, scale" in caught.value.hint


def test_a_folder_that_is_no_saved_model_is_refused(tmp_path, converter):
    with pytest.raises(UnsupportedFileError, match="cannot load SavedModel"):
        convert(converter, tmp_path, "saved_model")


def test_a_saved_model_of_tensorflow_1_computes_the_same(tf, tmp_path, converter):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session, quiet():
        x = v1.placeholder(tf.float32, [None, 3], "x")
        weights = v1.get_variable(
            "w", [3, 2], tf.float32, v1.initializers.random_normal(seed=3), use_resource=False
        )
        y = tf.nn.softmax(x @ weights)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "v1"), {"in": x}, {"out": y})

    conversion = convert(converter, tmp_path / "v1", "saved_model")

    assert [value.name for value in conversion.proto.graph.output] == ["out"]
    assert conversion.difference(4) < 1e-6


def frozen(tf: Any, model: Any, path: Path, lower: bool = False) -> Path:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name="x") for tensor in model.inputs]
    with quiet():
        concrete = tf.function(lambda x: model(x, training=False)).get_concrete_function(*specs)
        graph = convert_variables_to_constants_v2(concrete, lower_control_flow=lower).graph.as_graph_def()
    path.write_bytes(graph.SerializeToString())
    return path


def test_a_frozen_graph_is_converted_between_its_placeholders_and_its_sinks(tf, keras, tmp_path, converter):
    path = frozen(tf, ARCHITECTURES[0](keras), tmp_path / "cnn.pb")

    conversion = convert(converter, path, "frozen_graph")

    assert [spec.name for spec in conversion.description.signature.inputs] == ["x"]
    assert max(conversion.difference(batch) for batch in (1, 4)) < 1e-6


def test_a_frozen_lstm_computes_the_same(tf, keras, tmp_path, converter):
    path = frozen(tf, ARCHITECTURES[2](keras), tmp_path / "lstm.pb")

    conversion = convert(converter, path, "frozen_graph")

    assert max(conversion.difference(batch, length) for batch, length in ((1, 6), (4, 4), (2, 11))) < 1e-6


def test_named_tensors_cut_a_frozen_graph(tf, tmp_path, converter):
    path = two_step_graph(tf, tmp_path)

    conversion = convert(converter, path, "frozen_graph", options={"outputs": "doubled"})

    feeds = {"x": np.arange(6, dtype=np.float32).reshape(3, 2)}
    np.testing.assert_array_equal(conversion.session.run(None, feeds)[0], feeds["x"] * 2)


def test_a_placeholder_of_unknown_rank_is_asked_for(tf, tmp_path, converter):
    path = two_step_graph(tf, tmp_path, shape=None)

    with pytest.raises(MissingInputError) as caught:
        convert(converter, path, "frozen_graph")
    asked = TensorSpec("x", "float32", ("batch", 2))
    conversion = convert(converter, path, "frozen_graph", inputs=(asked,))

    assert "--input 'x:float32[batch,…]'" in caught.value.hint
    assert conversion.difference(3) == 0


def test_a_graph_without_a_placeholder_is_refused_with_the_way_out(tf, tmp_path, converter):
    with tf.Graph().as_default() as graph:
        tf.add(tf.constant(1.0, name="one"), 2.0, name="three")
    (tmp_path / "constant.pb").write_bytes(graph.as_graph_def().SerializeToString())

    with pytest.raises(MissingInputError, match="no placeholder") as caught:
        convert(converter, tmp_path / "constant.pb", "frozen_graph")

    assert "--option inputs=" in caught.value.hint


def two_step_graph(tf: Any, folder: Path, shape: Any = (None, 2)) -> Path:
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, shape, "x")
        tf.square(tf.multiply(x, 2.0, name="doubled"), name="squared")
    path = folder / "steps.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_the_dropout_of_a_frozen_graph_must_be_fixed_and_then_is_none(tf, tmp_path, converter):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 50], "x")
        keep = v1.placeholder(tf.float32, [], "keep_prob")
        noise = tf.raw_ops.RandomUniform(shape=tf.shape(x), dtype=tf.float32)
        # The values of noise that round 1 + noise to 2 are rare; a scale of 1.5 makes them sure.
        tf.multiply(tf.divide(x, keep), tf.floor(keep + noise * 1.5), name="kept")
    path = tmp_path / "dropout.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())

    with pytest.raises(UnsupportedModelError) as caught:
        convert(converter, path, "frozen_graph")
    conversion = convert(converter, path, "frozen_graph", options={"constants": {"keep_prob": 1.0}})

    assert "keep_prob" in caught.value.hint
    assert conversion.difference(20) == 0


def test_a_loop_that_was_lowered_is_refused_with_the_way_to_freeze_it(tf, keras, tmp_path, converter):
    path = frozen(tf, ARCHITECTURES[2](keras), tmp_path / "lstm.pb", lower=True)

    with pytest.raises(UnsupportedModelError) as caught:
        convert(converter, path, "frozen_graph")

    assert "lower_control_flow=False" in caught.value.hint


def test_a_channel_first_model_runs_and_is_converted_on_a_cpu(keras, saved, converter):
    first = {"data_format": "channels_first"}
    layers = [
        keras.layers.Conv2D(8, 3, padding="same", strides=(2, 1), **first),
        keras.layers.BatchNormalization(axis=1),
        keras.layers.MaxPooling2D((1, 2), **first),
        keras.layers.DepthwiseConv2D(3, **first),
        keras.layers.GlobalAveragePooling2D(**first),
    ]
    model = keras.Sequential([keras.Input((3, 13, 12)), *layers])

    conversion = convert(converter, saved(model, "m.keras"), "keras")

    assert max(conversion.difference(batch) for batch in (1, 4)) < 1e-6
    assert conversion.description.signature.inputs[0].shape == ("batch", 3, 13, 12)
    (_, expected, _), *_ = conversion.both(conversion.feeds(2))
    last = channel_last_twin(keras, model)
    feeds = next(iter(conversion.feeds(2).values()))
    np.testing.assert_allclose(expected, last(feeds.transpose(0, 2, 3, 1)), atol=1e-6)


def channel_last_twin(keras: Any, model: Any) -> Any:
    """The same model and weights in the layout that TensorFlow runs on a CPU by itself."""
    configs = [layer.get_config() for layer in model.layers]
    for config in configs:
        config.pop("data_format", None)
        config.update({"axis": -1} if "axis" in config else {})
    layers = [type(layer).from_config(config) for layer, config in zip(model.layers, configs, strict=True)]
    twin = keras.Sequential([keras.Input((13, 12, 3)), *layers])
    twin.set_weights(model.get_weights())
    return twin
