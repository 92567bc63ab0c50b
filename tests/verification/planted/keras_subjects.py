"""Small Keras models and TensorFlow Lite files, each with parts in which converters have been wrong."""

from __future__ import annotations

import numpy as np


def photo():
    """Convolutions, batch normalisation of its own statistics, pooling, and two outputs."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, name="first")(image)
    x = keras.layers.BatchNormalization(epsilon=1e-3, name="norm")(x)
    x = keras.layers.LeakyReLU(negative_slope=0.1, name="leaky")(x)
    x = keras.layers.Conv2D(12, 3, strides=2, padding="same", activation="swish", name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    scores = keras.layers.Dense(4, name="scores")(x)
    model = keras.Model(image, [scores, keras.layers.Activation("sigmoid", name="chances")(scores)])
    random = np.random.default_rng(1)
    norm = model.get_layer("norm")
    parts = (random.uniform(0.5, 1.5, 8), random.normal(0, 0.3, 8), random.normal(0, 0.2, 8))
    norm.set_weights([*parts, random.uniform(0.01, 0.05, 8)])
    return model


def series():
    """A recurrent layer in both directions behind a layer normalisation."""
    import keras

    keras.utils.set_random_seed(2)
    steps = keras.Input((12, 5), name="steps")
    x = keras.layers.LayerNormalization(epsilon=1e-3, name="norm")(steps)
    x = keras.layers.Bidirectional(keras.layers.GRU(8), name="gru")(x)
    return keras.Model(steps, keras.layers.Dense(3, activation="softmax", name="head")(x))


def lite():
    """`photo` without its second output, as a float TensorFlow Lite file."""
    return _flat(quantised=False)


def lite_int8():
    """The same in int8 all through."""
    return _flat(quantised=True)


def _flat(quantised):
    import keras
    import tensorflow as tf

    model = photo()
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(model.input, model.outputs[0]))
    if quantised:
        random = np.random.default_rng(0)
        rows = [[random.normal(size=(1, 16, 16, 3)).astype(np.float32)] for _ in range(32)]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: rows
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()
