"""Keras models in float64: the noise of their float32 is what is left."""

from __future__ import annotations

import numpy as np
import pytest

from converters.from_tensorflow import TensorFlowConverter

keras = pytest.importorskip("keras")
layers = keras.layers


def _stack(*found):
    return keras.Sequential(list(found))


def _attention():
    steps = keras.Input((6, 8), name="steps")
    return keras.Model(steps, layers.Dense(2)(layers.MultiHeadAttention(2, 4)(steps, steps)))


def _cast():
    rows = keras.Input((6,), name="rows")
    return keras.Model(rows, keras.ops.softmax(keras.ops.cast(rows * 2, "float32") + 0.1))


MODELS = {
    "image": lambda: _stack(
        keras.Input((8, 8, 4), name="image"),
        layers.Conv2D(4, 3, activation="swish"),
        layers.GroupNormalization(2),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ),
    "series": lambda: _stack(
        keras.Input((5, 4), name="steps"), layers.Bidirectional(layers.GRU(6)), layers.Dense(2)
    ),
    "attention": _attention,
    "cast to float32 inside": _cast,
    "tokens": lambda: _stack(
        keras.Input((6,), dtype="int32", name="ids"), layers.Embedding(9, 4), layers.LSTM(3)
    ),
}


def _rows(converter, model):
    random = np.random.default_rng(0)
    (spec,) = converter._loaded(model).program.signature.inputs
    shape = (7, *spec.shape[1:])
    whole = spec.dtype.startswith("int")
    values = random.integers(0, 9, shape) if whole else random.standard_normal(shape)
    return {spec.name: values.astype(spec.dtype)}


@pytest.mark.parametrize("name", MODELS)
def test_float64_answers_differ_from_those_in_float32_by_rounding(name):
    keras.utils.set_random_seed(0)
    model, converter = MODELS[name](), TensorFlowConverter()
    feeds = _rows(converter, model)
    answer, precise = converter.predict(model, feeds), converter.predict_precise(model, feeds)
    for output, array in answer.items():
        assert precise[output].dtype == np.float64
        apart = np.abs(precise[output] - array)
        assert 0 < apart.max() < 3e-6 * np.abs(array).max()


def test_the_model_itself_stays_as_it_was():
    keras.utils.set_random_seed(0)
    model, converter = MODELS["image"](), TensorFlowConverter()
    feeds = _rows(converter, model)
    before = converter.predict(model, feeds)
    converter.predict_precise(model, feeds)
    assert model.compute_dtype == "float32"
    assert keras.config.floatx() == "float32"
    after = converter.predict(model, feeds)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_mixed_precision_and_functions_have_no_twin():
    import tensorflow as tf

    mixed = _stack(keras.Input((4,), name="rows"), layers.Dense(3, dtype="mixed_bfloat16"))
    converter = TensorFlowConverter()
    assert converter.predict_precise(mixed, {"rows": np.ones((2, 4), np.float32)}) is None

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def double(x):
        return 2 * x

    converter = TensorFlowConverter()
    assert converter.predict_precise(double, _rows(converter, double)) is None
