"""A Core ML network computed by numpy, from the specification and in float64: the reference.

Core ML runs on Apple's systems only. This shares the reading of the file with the graph, and no arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping

from converters import coreml_layers
from converters.coreml_files import Layer, Network, weights

if TYPE_CHECKING:
    import numpy as np


def computed(network: Network, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All blobs that are outputs, float64, for inputs [N, C] or [N, C, H, W]."""
    import numpy as np

    blobs = {name: np.asarray(array, dtype=np.float64) for name, array in feeds.items()}
    for name, (factor, biases) in network.scaled.items():
        blobs[name] = blobs[name] * factor + np.array(biases).reshape(1, -1, 1, 1)
    for layer in network.layers:
        blobs[layer.outputs[0]] = LAYERS[layer.kind](layer, [blobs[name] for name in layer.inputs])
    return {name: blobs[name] for name in network.outputs}


def _convolution(layer: Layer, inputs: list[np.ndarray]) -> Any:
    import numpy as np

    given, x = layer.parameters, inputs[0]
    sliding = coreml_layers.window(layer, (x.shape[2], x.shape[3]))
    group, count = max(1, int(given.nGroups)), int(given.outputChannels)
    kernels = weights(layer, "weights", (count, x.shape[1] // group, *sliding.kernel)).astype(np.float64)
    patches = _patches(x, sliding, 0.0)
    parts = [
        np.einsum("nchwij,kcij->nkhw", some, own)
        for some, own in zip(np.split(patches, group, axis=1), np.split(kernels, group))
    ]
    result = np.concatenate(parts, axis=1)
    return result + weights(layer, "bias", (1, count, 1, 1)) if given.hasBias else result


def _patches(x: np.ndarray, sliding: coreml_layers.Window, fill: float) -> Any:
    """[N, C, places down, places across, kernel height, kernel width]."""
    import numpy as np

    edges = [(0, 0), (0, 0), *zip(sliding.start, sliding.end)]
    padded = np.pad(x, edges, constant_values=fill)
    spans = tuple(d * (k - 1) + 1 for d, k in zip(sliding.dilation, sliding.kernel))
    every = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(2, 3))
    down, across = sliding.stride
    return every[:, :, ::down, ::across, :: sliding.dilation[0], :: sliding.dilation[1]]


def _pooling(layer: Layer, inputs: list[np.ndarray]) -> Any:
    import numpy as np

    given, x = layer.parameters, inputs[0]
    largest = given.type == given.MAX
    if given.globalPooling:
        return x.max(axis=(2, 3), keepdims=True) if largest else x.mean(axis=(2, 3), keepdims=True)
    sliding = coreml_layers.window(layer, (x.shape[2], x.shape[3]))
    if largest:
        return _patches(x, sliding, -np.inf).max(axis=(4, 5))
    total = _patches(x, sliding, 0.0).sum(axis=(4, 5))
    if not given.avgPoolExcludePadding:
        return total / (sliding.kernel[0] * sliding.kernel[1])
    return total / _patches(np.ones_like(x), sliding, 0.0).sum(axis=(4, 5))


def _product(layer: Layer, inputs: list[np.ndarray]) -> Any:
    given, x = layer.parameters, inputs[0].reshape(len(inputs[0]), -1)
    inner = layer.kind == "innerProduct"
    count = int(given.outputChannels if inner else given.weightMatrixSecondDimension)
    result = x @ weights(layer, "weights", (count, x.shape[1])).astype("float64").T
    return result + weights(layer, "bias", (count,)) if given.hasBias else result


def _activation(layer: Layer, inputs: list[np.ndarray]) -> Any:
    import numpy as np

    kind, alpha, beta = coreml_layers.activation(layer)
    x = inputs[0]
    with np.errstate(over="ignore"):
        functions: dict[str, Callable[[], Any]] = {
            "linear": lambda: alpha * x + beta,
            "ReLU": lambda: np.maximum(x, 0),
            "leakyReLU": lambda: np.where(x < 0, alpha * x, x),
            "tanh": lambda: np.tanh(x),
            "scaledTanh": lambda: alpha * np.tanh(beta * x),
            "sigmoid": lambda: 1 / (1 + np.exp(-x)),
            "sigmoidHard": lambda: np.clip(alpha * x + beta, 0, 1),
            "ELU": lambda: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
            "softplus": lambda: np.logaddexp(x, 0),
            "softsign": lambda: x / (1 + np.abs(x)),
        }
        return functions[kind]()


def _softmax(layer: Layer, inputs: list[np.ndarray]) -> Any:
    import numpy as np

    exps = np.exp(inputs[0] - inputs[0].max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def _batch_norm(layer: Layer, inputs: list[np.ndarray]) -> Any:
    import numpy as np

    x = inputs[0]
    shape = (1, int(layer.parameters.channels), *[1] * (x.ndim - 2))
    names = ("gamma", "beta", "mean", "variance")
    gamma, beta, mean, variance = (weights(layer, name, shape).astype(np.float64) for name in names)
    return gamma * (x - mean) / np.sqrt(variance + (float(layer.parameters.epsilon) or 1e-5)) + beta


def _flatten(layer: Layer, inputs: list[np.ndarray]) -> Any:
    import numpy as np

    x = inputs[0]
    if layer.parameters.mode == layer.parameters.CHANNEL_LAST and x.ndim == 4:
        x = np.moveaxis(x, 1, 3)
    return x.reshape(len(x), -1)


def _add(layer: Layer, inputs: list[np.ndarray]) -> Any:
    return inputs[0] + float(layer.parameters.alpha) if len(inputs) == 1 else sum(inputs)


def _multiply(layer: Layer, inputs: list[np.ndarray]) -> Any:
    result: Any = inputs[0]
    for factor in inputs[1:] or [float(layer.parameters.alpha)]:  # type: ignore[list-item]
        result = result * factor
    return result


def _concat(layer: Layer, inputs: list[np.ndarray]) -> Any:
    import numpy as np

    return np.concatenate(inputs, axis=1)


LAYERS = {
    "convolution": _convolution,
    "pooling": _pooling,
    "innerProduct": _product,
    "batchedMatmul": _product,
    "activation": _activation,
    "softmax": _softmax,
    "batchnorm": _batch_norm,
    "flatten": _flatten,
    "add": _add,
    "multiply": _multiply,
    "concat": _concat,
}
