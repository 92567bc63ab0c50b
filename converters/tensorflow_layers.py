"""What every layer of a Keras model gives, to find the first that a graph does not have."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Mapping

from converters.tensorflow_keras import is_keras_model

if TYPE_CHECKING:
    import numpy as np

    from zoo.interfaces import Layer


def layers(model: Any, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
    """The outputs of the layers of a functional or sequential Keras model, in their order.

    Layers that are called more than once, or give several tensors, are left out; a model that is no
    graph of layers gives none.
    """
    import numpy as np

    if not is_keras_model(model) or not getattr(model, "inputs", None):
        return []
    tensors = {layer: _output(layer) for layer in model.layers}
    found = [layer for layer, tensor in tensors.items() if tensor is not None]
    keras = import_module(type(model.inputs[0]).__module__.partition(".")[0])
    values = keras.Model(model.inputs, [tensors[layer] for layer in found])(
        list(feeds.values()), training=False
    )
    return [
        (layer.name, type(layer).__name__, np.asarray(value), f"layer {layer.name!r}")
        for layer, value in zip(found, values if len(found) > 1 else [values])
    ]


def _output(layer: Any) -> Any:
    """The one tensor that a layer gives, None where there is none or more."""
    try:
        tensor = layer.output
    except (AttributeError, ValueError, RuntimeError):
        return None
    return tensor if hasattr(tensor, "shape") else None
