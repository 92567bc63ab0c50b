"""A Keras model's answer in float64: what is left of float32's rounding is the model's own noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

from converters.tensorflow_keras import keras_source
from converters.tensorflow_runtime import quiet, tensorflow

if TYPE_CHECKING:
    import numpy as np

    from converters.tensorflow_models import Source
    from zoo.records import Signature
    from zoo.tensors import Tensors

LARGEST = 1 << 28
"""Weights; the float64 twin of a larger model takes too much memory."""


def precise_twin(source: Source) -> Optional[Source]:
    """The Keras 3 model of `source` made anew from its configuration, every dtype float64, with its weights.

    None where there is none: a SavedModel or frozen graph, Keras 2, mixed precision, classes that its
    configuration does not say how to make.
    """
    model = source.owner
    if not _is_keras_3(model) or _dtypes(model) != {"float32"} or model.count_params() > LARGEST:
        return None
    import keras

    try:
        with quiet():
            config = _in_float64(keras.saving.serialize_keras_object(model))
            twin = keras.saving.deserialize_keras_object(config, safe_mode=True)
            weights = model.get_weights()
            if [w.shape for w in twin.get_weights()] != [w.shape for w in weights]:
                return None
            twin.set_weights(weights)
        return keras_source(twin)
    except Exception:  # noqa: BLE001 - layers of others may refuse in any way; noise is measured otherwise then
        return None


def predicted(twin: Source, feeds: Mapping[str, np.ndarray], signature: Signature) -> Optional[Tensors]:
    """The twin's outputs under the names of `signature`; None where a layer is written for float32 alone."""
    import numpy as np

    tf = tensorflow()
    wide = [feeds[port.name] for port in twin.ports]
    wide = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in wide]
    try:
        with quiet(), tf.device("/cpu:0"):
            outputs = twin.call(*[tf.constant(array) for array in wide])
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError):
        return None
    known = set(outputs) == {spec.name for spec in signature.outputs}
    return {name: np.asarray(value) for name, value in outputs.items()} if known else None


def _is_keras_3(model: Any) -> bool:
    bases = {f"{kind.__module__}.{kind.__name__}" for kind in type(model).__mro__}
    return "keras.src.models.model.Model" in bases


def _dtypes(model: Any) -> set[str]:
    """What its layers compute in."""
    return {str(layer.compute_dtype) for layer in model._flatten_layers(include_self=False)}


def _in_float64(config: Any) -> Any:
    """A serialised configuration with float64 for every float32: policies, inputs, arguments of casts."""
    if isinstance(config, dict):
        return {key: _in_float64(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_in_float64(value) for value in config)
    return "float64" if config == "float32" else config
