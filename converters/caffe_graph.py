"""A Caffe network as an ONNX graph, layer by layer, with the shapes that Caffe gives its blobs.

A name in Caffe is a place that layers may write several times (``top`` equal to ``bottom``); each writing is
a value of its own here. The first axis is the batch and stays open, unless a layer fixes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.caffe_files import Layer

OPSET = 17


class Net:
    """A graph under construction. `shapes` are of one row; `values` the current value of each blob."""

    def __init__(self, inputs: dict[str, tuple[int, ...]]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = dict(inputs)
        self.values: dict[str, str] = {name: name for name in inputs}
        self.writers: dict[str, str] = {}
        """The layer that wrote a blob last."""
        self.read: set[str] = set()
        self._count = 0

    def value(self, blob: str) -> str:
        """The current value of a blob; raises `UnsupportedModelError` for one that nothing has written."""
        self.read.add(blob)
        if blob not in self.values:
            raise UnsupportedModelError(f"nothing writes the blob {blob!r} that a layer reads")
        return self.values[blob]

    def constant(self, array: Any, dtype: str = "float32") -> str:
        """An initialiser."""
        import numpy as np
        from onnx import numpy_helper

        name = self._fresh("const")
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=dtype), name))
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """One node; its output, or the list of several."""
        from onnx import helper

        names = [self._fresh(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def write(self, layer: Layer, top: str, value: str, shape: tuple[int, ...]) -> None:
        """Make `value` the current one of the blob `top`."""
        self.values[top], self.shapes[top], self.writers[top] = value, shape, layer.name
        self.read.discard(top)

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"


def refuse(layer: Layer, reason: str) -> UnsupportedModelError:
    """The error that names the layer; `raise refuse(...)`."""
    return UnsupportedModelError(f"layer {layer.name!r} ({layer.kind}): {reason}")


def blob(layer: Layer, index: int) -> np.ndarray:
    """One blob of the weights; raises `UnsupportedModelError` where the file has none."""
    if index >= len(layer.blobs):
        raise refuse(layer, f"the weights file has {len(layer.blobs)} blobs for it, {index + 1} are needed")
    found: np.ndarray = layer.blobs[index]
    return found


def sizes(layer: Layer, group: str, stem: str, default: int, axes: int = 2) -> tuple[int, ...]:
    """``kernel_size`` and its like: one for all axes, one for each, or ``_h`` and ``_w``."""
    short = stem.replace("_size", "")
    split = [layer.option(group, f"{short}_{axis}") for axis in "hw"]
    if axes == 2 and None not in split:
        return int(split[0]), int(split[1])
    given = [int(value) for value in layer.options(group, stem)] or [default]
    return tuple(given * axes)[:axes] if len(given) == 1 else tuple(given)


# --- layers ---------------------------------------------------------------------------------------


def convolution(net: Net, layer: Layer) -> None:
    transposed = layer.kind == "Deconvolution"
    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    kernel, stride = sizes(layer, "convolution", "kernel_size", 0), sizes(layer, "convolution", "stride", 1)
    pad, dilation = sizes(layer, "convolution", "pad", 0), sizes(layer, "convolution", "dilation", 1)
    group = int(layer.option("convolution", "group", 1))
    filters = blob(layer, 0)
    count = int(layer.option("convolution", "num_output", 0))
    inner = (shape[1], count // group) if transposed else (count, shape[1] // group)
    kernels = filters.reshape(*inner, *kernel)
    inputs = [x, net.constant(kernels)]
    if layer.option("convolution", "bias_term", True):
        inputs.append(net.constant(blob(layer, 1).reshape(-1)))
    more: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": stride,
        "pads": pad * 2,
        "dilations": dilation,
        "group": group,
    }
    result = net.op("ConvTranspose" if transposed else "Conv", *inputs, **more)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    if transposed:
        area = tuple(s * (n - 1) + span - 2 * p for n, s, p, span in zip(shape[2:], stride, pad, spans))
    else:
        area = tuple((n + 2 * p - span) // s + 1 for n, s, p, span in zip(shape[2:], stride, pad, spans))
    net.write(layer, layer.tops[0], result, (shape[0], count, *area))


def pooling(net: Net, layer: Layer) -> None:
    """Caffe rounds the number of windows up, and drops one that would begin beyond the padding."""
    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    area, method = shape[2:], str(layer.option("pooling", "pool", "MAX"))
    if method not in ("MAX", "AVE"):
        raise refuse(layer, f"{method} pooling has no ONNX form")
    if len(layer.tops) > 1:
        raise refuse(layer, "the places of the maxima are not converted")
    if layer.option("pooling", "global_pooling", False):
        kind = "GlobalMaxPool" if method == "MAX" else "GlobalAveragePool"
        net.write(layer, layer.tops[0], net.op(kind, x), (*shape[:2], 1, 1))
        return
    kernel, stride = sizes(layer, "pooling", "kernel_size", 0), sizes(layer, "pooling", "stride", 1)
    pad = sizes(layer, "pooling", "pad", 0)
    down = str(layer.option("pooling", "round_mode", "CEIL")) == "FLOOR"
    counts = [_windows(*each, down) for each in zip(area, kernel, stride, pad)]
    ends = [
        max(0, (count - 1) * s + k - n - p) for count, n, k, s, p in zip(counts, area, kernel, stride, pad)
    ]
    window: dict[str, Any] = {"kernel_shape": kernel, "strides": stride, "pads": (*pad, *ends)}
    if method == "MAX":
        result = net.op("MaxPool", x, **window)
    else:
        result = net.op("AveragePool", x, count_include_pad=1, **window)
        weights = _average_weights(area, counts, (kernel, stride, pad))
        result = result if weights is None else net.op("Mul", result, net.constant(weights))
    net.write(layer, layer.tops[0], result, (*shape[:2], *counts))


def _windows(size: int, kernel: int, stride: int, pad: int, down: bool) -> int:
    room = size + 2 * pad - kernel
    count = (room // stride if down else -(-room // stride)) + 1
    return count - 1 if pad and (count - 1) * stride >= size + pad else count


def _average_weights(
    area: tuple[int, ...], counts: list[int], window: tuple[tuple[int, ...], ...]
) -> Optional[np.ndarray]:
    """What an average over whole windows is multiplied with: Caffe counts only up to the padding's end."""
    import numpy as np

    lengths = []
    for size, count, kernel, stride, pad in zip(area, counts, *window):
        starts = np.arange(count) * stride - pad
        lengths.append((np.minimum(starts + kernel, size + pad) - starts) / kernel)
    weights = 1.0 / np.outer(*lengths)
    return None if np.all(weights == 1.0) else weights[None, None].astype(np.float32)


def inner_product(net: Net, layer: Layer) -> None:
    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    axis, count = (
        int(layer.option("inner_product", "axis", 1)),
        int(layer.option("inner_product", "num_output", 0)),
    )
    if axis != 1:
        raise refuse(layer, f"axis {axis}: only 1 is converted")
    width = 1
    for size in shape[1:]:
        width *= size
    transposed = bool(layer.option("inner_product", "transpose", False))
    matrix = blob(layer, 0).reshape((width, count) if transposed else (count, width))
    inputs = [net.op("Flatten", x, axis=1), net.constant(matrix)]
    if layer.option("inner_product", "bias_term", True):
        inputs.append(net.constant(blob(layer, 1).reshape(-1)))
    result = net.op("Gemm", *inputs, transB=0 if transposed else 1)
    net.write(layer, layer.tops[0], result, (shape[0], count))


def batch_norm(net: Net, layer: Layer) -> None:
    import numpy as np

    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    if layer.option("batch_norm", "use_global_stats", True) is False:
        raise refuse(layer, "it takes the statistics of the batch (use_global_stats: false)")
    factor = float(blob(layer, 2).reshape(-1)[0])
    factor = 0.0 if factor == 0 else 1.0 / factor
    mean, variance = (blob(layer, i).reshape(-1).astype(np.float32) * np.float32(factor) for i in (0, 1))
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    constants = [net.constant(array) for array in (ones, zeros, mean, variance)]
    epsilon = float(layer.option("batch_norm", "eps", 1e-5))
    net.write(layer, layer.tops[0], net.op("BatchNormalization", x, *constants, epsilon=epsilon), shape)


def scale(net: Net, layer: Layer) -> None:
    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    axis = int(layer.option("scale", "axis", 1)) % len(shape)
    if len(layer.bottoms) > 1:
        second = layer.bottoms[1]
        tail = [1] * (len(shape) - axis - len(net.shapes[second]))
        factors = (
            _with_ones(net, net.value(second), net.shapes[second], len(tail)) if tail else net.value(second)
        )
        spare = layer.blobs
    else:
        factors, spare = net.constant(_aligned(blob(layer, 0), shape, axis)), layer.blobs[1:]
    result = net.op("Mul", x, factors)
    if layer.option("scale", "bias_term", False):
        if not spare:
            raise refuse(layer, "the weights file has no bias for it")
        result = net.op("Add", result, net.constant(_aligned(spare[0], shape, axis)))
    net.write(layer, layer.tops[0], result, shape)


def bias(net: Net, layer: Layer) -> None:
    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    axis = int(layer.option("bias", "axis", 1)) % len(shape)
    if len(layer.bottoms) > 1:
        raise refuse(layer, "a bias that another layer computes is not converted")
    added = net.op("Add", x, net.constant(_aligned(blob(layer, 0), shape, axis)))
    net.write(layer, layer.tops[0], added, shape)


def _aligned(array: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """With axes of size one behind, so that it begins at `axis` of `shape`."""
    plain = array.reshape(-1) if array.ndim == 4 and array.shape[:3] == (1, 1, 1) else array
    return plain.reshape(*plain.shape, *[1] * (len(shape) - axis - plain.ndim))


def _with_ones(net: Net, value: str, shape: tuple[int, ...], count: int) -> str:
    axes = net.constant(range(len(shape), len(shape) + count), "int64")
    return str(net.op("Unsqueeze", value, axes))


def lrn(net: Net, layer: Layer) -> None:
    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    if str(layer.option("lrn", "norm_region", "ACROSS_CHANNELS")) != "ACROSS_CHANNELS":
        raise refuse(layer, "normalisation within a channel has no ONNX form")
    if float(layer.option("lrn", "k", 1.0)) != 1.0:
        raise refuse(layer, "OpenCV, the reference, ignores k: it could not be proven")
    given: dict[str, Any] = {
        "size": int(layer.option("lrn", "local_size", 5)),
        "alpha": float(layer.option("lrn", "alpha", 1.0)),
        "beta": float(layer.option("lrn", "beta", 0.75)),
        "bias": 1.0,
    }
    net.write(layer, layer.tops[0], net.op("LRN", x, **given), shape)
