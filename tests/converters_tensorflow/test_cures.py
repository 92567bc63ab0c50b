"""What tf2onnx by itself gets wrong or leaves unusable: each right here, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from converters import onnx_checks, tensorflow_graphs, tensorflow_operations
from tests.converters_tensorflow.conversions import Conversion, convert, convert_live
from zoo.errors import UnsupportedModelError
from zoo.records import Signature


def dense(keras: Any, activation: str) -> Any:
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(6, activation=activation)])


def calling(keras: Any, function: Any, **more: Any) -> Any:
    """A model of one layer that applies a TensorFlow function."""

    class Calling(keras.Layer):
        def call(self, x: Any) -> Any:
            return function(x)

    return keras.Sequential([keras.Input((8,), **more), Calling()])


@pytest.mark.parametrize("activation", ["gelu", "celu"])
def test_an_activation_that_tf2onnx_leaves_unmapped_is_right(activation, keras, saved, converter):
    conversion = convert(converter, saved(dense(keras, activation), "m.keras"), "keras")

    assert max(conversion.difference(batch) for batch in (1, 5)) < 1e-6


def test_without_our_handler_the_unusable_operation_is_refused_by_name(keras, converter, monkeypatch):
    monkeypatch.setattr(tensorflow_graphs, "handlers", lambda tables: {})

    with pytest.raises(UnsupportedModelError, match="operation Erfc"):
        convert_live(converter, dense(keras, "gelu"))


@pytest.mark.parametrize("function", ["log1p", "xlogy", "xdivy", "bucketize"])
def test_a_function_of_ours_is_right(function, tf, keras, converter):
    functions = {
        "log1p": lambda x: tf.math.log1p(tf.abs(x)),
        "xlogy": lambda x: tf.math.xlogy(tf.nn.relu(x), tf.nn.relu(x)),
        "xdivy": lambda x: tf.math.divide_no_nan(x, x) + tf.math.xdivy(tf.nn.relu(x), tf.nn.relu(x)),
        "bucketize": lambda x: tf.raw_ops.Bucketize(input=x, boundaries=[-0.5, 0.0, 1.0]),
    }
    conversion = convert_live(converter, calling(keras, functions[function]))

    assert conversion.difference(7) < 1e-6


@pytest.mark.parametrize("function", ["celu", "expm1", "log1p"])
def test_what_is_near_zero_keeps_its_digits(function, tf, keras, converter):
    functions = {"expm1": tf.math.expm1, "log1p": tf.math.log1p}
    conversion = convert_live(
        converter, calling(keras, functions.get(function) or getattr(keras.activations, function))
    )
    near = np.array([[-0.5, -5e-4, -1e-6, 3e-9, 0, 2e-7, 3e-4, 0.75]], np.float32)

    ((_, expected, actual),) = conversion.both({next(iter(conversion.feeds(1))): near})

    np.testing.assert_allclose(actual, expected, rtol=5e-7)


def test_xlogy_is_zero_where_its_logarithm_is_infinite(tf, keras, converter):
    conversion = convert_live(converter, calling(keras, lambda x: tf.math.xlogy(x, x)))
    zeros = {"input": np.zeros((2, 8), np.float32)}

    ((_, expected, actual),) = conversion.both({next(iter(conversion.feeds(2))): zeros["input"]})

    np.testing.assert_array_equal(actual, np.zeros((2, 8)))
    np.testing.assert_array_equal(actual, expected)


def test_a_bucket_edge_belongs_to_the_bucket_above_it(keras, converter):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Discretization(bin_boundaries=[-1.0, 0.0, 0.5])]
    )
    conversion = convert_live(converter, model)
    feeds = {name: np.array([[-1.0, 0.0, 0.5]], np.float32) for name in conversion.feeds(1)}

    ((_, expected, actual),) = conversion.both(feeds)

    assert actual.tolist() == expected.tolist() == [[1, 2, 3]]


def test_an_integer_table_is_looked_up(keras, converter):
    layer = keras.layers.IntegerLookup(vocabulary=[10, 20, 40])
    conversion = convert_live(converter, keras.Sequential([keras.Input((4,), dtype="int64"), layer]))
    feeds = {name: np.array([[10, 20, 30, 40]]) for name in conversion.feeds(1)}

    ((_, expected, actual),) = conversion.both(feeds)

    assert actual.tolist() == expected.tolist() == [[1, 2, 0, 3]]


def test_a_text_table_is_looked_up_and_the_source_still_runs_after_the_conversion(keras, converter):
    layer = keras.layers.StringLookup(vocabulary=["red", "grün"])
    conversion = convert_live(converter, keras.Sequential([keras.Input((3,), dtype="string"), layer]))
    name = conversion.description.signature.inputs[0].name

    ((_, expected, actual),) = conversion.both({name: np.array([["grün", "red", "blue"]])})

    assert actual.tolist() == expected.tolist() == [[2, 1, 0]]


@pytest.mark.parametrize("layer", ["Conv1D", "Conv2D"])
def test_a_grouped_convolution_that_keras_compiles_is_inlined(layer, keras, converter):
    shape = (9, 4) if layer == "Conv1D" else (9, 9, 4)
    model = keras.Sequential([keras.Input(shape), getattr(keras.layers, layer)(8, 3, groups=2)])

    assert convert_live(converter, model).difference(2) < 1e-6


@pytest.mark.parametrize("cell", ["GRU", "LSTM"])
def test_masked_steps_are_skipped_in_both_directions(cell, keras, saved, converter):
    layers = keras.layers
    recurrent = layers.Bidirectional(getattr(layers, cell)(5, return_sequences=True))
    model = keras.Sequential([keras.Input((None, 4)), layers.Masking(), recurrent])
    conversion = convert(converter, saved(model, "m.keras"), "keras")

    worst = max(
        masked_difference(conversion, batch, length) for batch, length in ((1, 6), (5, 5), (3, 9), (8, 2))
    )

    assert worst < 1e-6


def masked_difference(conversion: Conversion, batch: int, length: int) -> float:
    """Rows of different lengths, and a gap in the first."""
    (name, values), *_ = conversion.feeds(batch, length).items()
    for row in range(batch):
        values[row, row % length + 1 :] = 0
    values[0, : length // 2] = 0
    ((_, expected, actual),) = conversion.both({name: values})
    return float(np.abs(expected - actual).max())


@pytest.mark.parametrize(
    ("operation", "function"),
    [("Bitcast", "bitcast"), ("Lgamma", "lgamma"), ("Betainc", "betainc")],
)
def test_an_operation_without_an_onnx_form_is_refused_by_name(operation, function, tf, keras, converter):
    functions = {
        "bitcast": lambda x: tf.bitcast(x, tf.int32),
        "lgamma": tf.math.lgamma,
        "betainc": lambda x: tf.math.betainc(x, x, x),
    }

    with pytest.raises(UnsupportedModelError, match=f"operation {operation}"):
        convert_live(converter, calling(keras, functions[function]))


def test_a_model_that_draws_random_numbers_is_refused(keras, converter):
    model = calling(keras, lambda x: x + keras.random.uniform(keras.ops.shape(x)))

    with pytest.raises(UnsupportedModelError, match="draws random numbers"):
        convert_live(converter, model)


def test_a_model_traced_in_training_mode_is_refused(tf, keras, converter):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
    specs = [tf.TensorSpec([None, 4], tf.float32, name="x")]

    with pytest.raises(UnsupportedModelError, match="draws random numbers"):
        convert_live(converter, tf.function(lambda x: model(x, training=True), input_signature=specs))


def test_a_sequential_model_does_not_go_through_from_keras(keras, converter):
    import tf2onnx

    model = dense(keras, "relu")

    with pytest.raises(KeyError):
        tf2onnx.convert.from_keras(model)
    assert convert_live(converter, model).difference(2) < 1e-6


def test_a_promised_axis_that_was_frozen_is_refused_with_the_input_to_ask_for(keras, converter):
    proto = convert_live(converter, dense(keras, "relu")).proto
    promised = onnx_checks.declared(proto)
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1

    with pytest.raises(UnsupportedModelError, match=r"axis 0 \('batch'\) of .* was frozen to 1"):
        onnx_checks.finished(proto, promised)


def test_outputs_are_put_back_into_the_promised_order(keras, converter):
    proto = two_outputs(keras, converter)
    declared = onnx_checks.declared(proto)
    promised = Signature(declared.inputs, declared.outputs[::-1])

    onnx_checks.finished(proto, promised)

    assert [value.name for value in proto.graph.output] == [spec.name for spec in promised.outputs]


def two_outputs(keras: Any, converter: Any) -> Any:
    x = keras.Input((4,), name="x")
    outputs = [keras.layers.Dense(2, name="first")(x), keras.layers.Dense(3, name="second")(x)]
    return convert_live(converter, keras.Model(x, outputs)).proto


def test_an_operation_inside_a_branch_is_checked_too():
    import onnx

    branch = onnx.helper.make_graph([onnx.helper.make_node("Erfc", ["x"], ["y"])], "branch", [], [])
    node = onnx.helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))

    with pytest.raises(UnsupportedModelError, match="Erfc"):
        onnx_checks.refuse_unknown_operations(model)


def test_every_handler_is_needed(tf):
    """tf2onnx has no mapping of its own for what ours maps, except for the table that it maps in part."""
    import tf2onnx.tfonnx  # noqa: F401
    from tf2onnx.handler import tf_op

    shared = set(tensorflow_operations.handlers()) & set(tf_op.create_mapping(18, None))

    assert shared == {"LookupTableFindV2"}


def test_nearest_upsampling_is_written_as_the_opset_has_it(keras, converter):
    layers = [keras.layers.UpSampling2D((2, 3)), keras.layers.Resizing(7, 11, interpolation="nearest")]
    conversion = convert_live(converter, keras.Sequential([keras.Input((5, 4, 2)), *layers]))

    modes = {
        attribute.s
        for node in conversion.proto.graph.node
        for attribute in node.attribute
        if attribute.name == "coordinate_transformation_mode"
    }
    assert b"tf_half_pixel_for_nn" not in modes
    assert modes
    assert conversion.difference(2) == 0


def test_a_layer_normalised_channel_first_is_left_as_it_is(tf, converter):
    """Keras 2 normalises layers so, and TensorFlow has that kernel on a CPU."""

    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, name="x")])
    def normalise(x: Any) -> Any:
        rows = tf.shape(x)[0]
        image = tf.reshape(x, [1, rows, 6, 1])
        y, *_ = tf.compat.v1.nn.fused_batch_norm(
            image, tf.ones([rows]), tf.zeros([rows]), data_format="NCHW", epsilon=1e-3
        )
        return {"normal": tf.reshape(y, tf.shape(x))}

    assert convert_live(converter, normalise).difference(4) < 1e-5
