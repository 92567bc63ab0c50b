"""Layers of Caffe that change single elements, or only the shape; and the table of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from converters import caffe_graph as wide
from converters.caffe_graph import Net, blob, refuse
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    from converters.caffe_files import Layer


def write(net: Net, layers: list[Layer]) -> None:
    """Write every layer. Raises `UnsupportedModelError` naming the first that cannot be said."""
    for layer in layers:
        writer = LAYERS.get(layer.kind)
        if writer is None:
            raise refuse(layer, "this kind of layer is not converted")
        try:
            writer(net, layer)
        except (ValueError, IndexError, TypeError, KeyError) as error:
            raise refuse(layer, f"its parameters and weights do not fit: {error}") from error


def fixes_batch(layers: list[Layer]) -> bool:
    """Whether a layer states the size of the first axis, so that it cannot be dynamic."""
    for layer in layers:
        dims = [int(d) for one in layer.options("reshape", "shape") for d in one.get("dim", [])]
        if layer.kind == "Reshape" and dims and dims[0] != 0 and not layer.option("reshape", "axis", 0):
            return True
    return False


def _same_shape(net: Net, layer: Layer, make: Callable[[str], Any]) -> None:
    bottom = layer.bottoms[0]
    value = make(net.value(bottom))
    net.write(layer, layer.tops[0], value, net.shapes[bottom])


def _plain(kind: str) -> Callable[[Net, Layer], None]:
    return lambda net, layer: _same_shape(net, layer, lambda x: net.op(kind, x))


def _relu(net: Net, layer: Layer) -> None:
    slope = float(layer.option("relu", "negative_slope", 0.0))
    _same_shape(net, layer, lambda x: net.op("LeakyRelu", x, alpha=slope) if slope else net.op("Relu", x))


def _prelu(net: Net, layer: Layer) -> None:
    slope = blob(layer, 0).reshape(-1)
    spread = slope.reshape(-1, *[1] * (len(net.shapes[layer.bottoms[0]]) - 2))
    _same_shape(net, layer, lambda x: net.op("PRelu", x, net.constant(spread)))


def _elu(net: Net, layer: Layer) -> None:
    alpha = float(layer.option("elu", "alpha", 1.0))
    _same_shape(net, layer, lambda x: net.op("Elu", x, alpha=alpha))


def _power(net: Net, layer: Layer) -> None:
    defaults = {"power": 1, "scale": 1, "shift": 0}
    power, factor, shift = (float(layer.option("power", name, value)) for name, value in defaults.items())

    def made(x: str) -> Any:
        moved = net.op("Add", net.op("Mul", x, net.constant(factor)), net.constant(shift))
        return moved if power == 1 else net.op("Pow", moved, net.constant(power))

    _same_shape(net, layer, made)


def _copies(net: Net, layer: Layer) -> None:
    """Dropout does nothing in a network that is not trained; Split gives the same to each top."""
    bottom = layer.bottoms[0]
    value = net.value(bottom)
    for top in layer.tops:
        net.write(layer, top, value, net.shapes[bottom])


def _softmax(net: Net, layer: Layer) -> None:
    axis = int(layer.option("softmax", "axis", 1))
    _same_shape(net, layer, lambda x: net.op("Softmax", x, axis=axis))


def _eltwise(net: Net, layer: Layer) -> None:
    method = str(layer.option("eltwise", "operation", "SUM"))
    factors = [float(value) for value in layer.options("eltwise", "coeff")]
    values = [net.value(bottom) for bottom in layer.bottoms]
    if method == "SUM" and factors:
        if len(factors) != len(values):
            raise refuse(layer, f"{len(factors)} coefficients for {len(values)} blobs")
        values = [net.op("Mul", v, net.constant(f)) if f != 1 else v for v, f in zip(values, factors)]
    kind = {"SUM": "Add", "PROD": "Mul", "MAX": "Max"}[method]
    result = values[0]
    for value in values[1:]:
        result = net.op(kind, result, value)
    net.write(layer, layer.tops[0], result, net.shapes[layer.bottoms[0]])


def _concat(net: Net, layer: Layer) -> None:
    shapes = [net.shapes.get(bottom, ()) for bottom in layer.bottoms]
    values = [net.value(bottom) for bottom in layer.bottoms]
    axis = int(layer.option("concat", "axis", layer.option("concat", "concat_dim", 1))) % len(shapes[0])
    shape = list(shapes[0])
    shape[axis] = sum(one[axis] for one in shapes)
    net.write(layer, layer.tops[0], net.op("Concat", *values, axis=axis), tuple(shape))


def _slice(net: Net, layer: Layer) -> None:
    x, shape = net.value(layer.bottoms[0]), net.shapes[layer.bottoms[0]]
    axis = int(layer.option("slice", "axis", layer.option("slice", "slice_dim", 1))) % len(shape)
    points = [int(point) for point in layer.options("slice", "slice_point")]
    step = shape[axis] // len(layer.tops)
    points = points or [step * i for i in range(1, len(layer.tops))]
    lengths = [b - a for a, b in zip([0, *points], [*points, shape[axis]])]
    if len(lengths) != len(layer.tops) or min(lengths) < 1:
        raise refuse(layer, f"it cuts {shape[axis]} at {points} for {len(layer.tops)} blobs")
    parts = net.op("Split", x, net.constant(lengths, "int64"), outputs=len(lengths), axis=axis)
    for top, part, length in zip(layer.tops, parts if len(lengths) > 1 else [parts], lengths):
        net.write(layer, top, part, (*shape[:axis], length, *shape[axis + 1 :]))


def _flatten(net: Net, layer: Layer) -> None:
    shape = net.shapes[layer.bottoms[0]]
    start = int(layer.option("flatten", "axis", 1)) % len(shape)
    end = int(layer.option("flatten", "end_axis", -1)) % len(shape)
    _reshaped(net, layer, (*shape[:start], -1, *shape[end + 1 :]))


def _reshape(net: Net, layer: Layer) -> None:
    shape = net.shapes[layer.bottoms[0]]
    given = [int(dim) for one in layer.options("reshape", "shape") for dim in one.get("dim", [])]
    start = int(layer.option("reshape", "axis", 0)) % (len(shape) + 1)
    count = int(layer.option("reshape", "num_axes", -1))
    end = len(shape) if count < 0 else start + count
    inner = [shape[start + i] if dim == 0 else dim for i, dim in enumerate(given)]
    _reshaped(net, layer, (*shape[:start], *inner, *shape[end:]))


def _reshaped(net: Net, layer: Layer, target: tuple[int, ...]) -> None:
    import numpy as np

    shape = net.shapes[layer.bottoms[0]]
    total, known = int(np.prod(shape)), int(np.prod([dim for dim in target if dim >= 0]))
    whole = tuple(total // known if dim < 0 else dim for dim in target)
    if int(np.prod(whole)) != total:
        raise refuse(layer, f"{list(shape)} cannot become {list(target)}")
    # Where the first axis stays, 0 copies it: the batch is then free.
    sent = (0, *whole[1:]) if whole[0] == shape[0] else whole
    value = net.op("Reshape", net.value(layer.bottoms[0]), net.constant(sent, "int64"))
    net.write(layer, layer.tops[0], value, whole)


def _permute(net: Net, layer: Layer) -> None:
    shape = net.shapes[layer.bottoms[0]]
    order = [int(axis) for axis in layer.options("permute", "order")]
    order += [axis for axis in range(len(shape)) if axis not in order]
    value = net.op("Transpose", net.value(layer.bottoms[0]), perm=order)
    net.write(layer, layer.tops[0], value, tuple(shape[axis] for axis in order))


def _silence(net: Net, layer: Layer) -> None:
    """Its blobs are read, and so are no outputs."""
    for bottom in layer.bottoms:
        net.value(bottom)


def _training(net: Net, layer: Layer) -> None:
    raise UnsupportedModelError(
        f"layer {layer.name!r} ({layer.kind}) belongs to training",
        hint="Use the network for inference (deploy.prototxt).",
    )


LAYERS: dict[str, Callable[[Net, Layer], None]] = {
    "Convolution": wide.convolution,
    "ConvolutionDepthwise": wide.convolution,
    "Deconvolution": wide.convolution,
    "Pooling": wide.pooling,
    "InnerProduct": wide.inner_product,
    "BatchNorm": wide.batch_norm,
    "Scale": wide.scale,
    "Bias": wide.bias,
    "LRN": wide.lrn,
    "ReLU": _relu,
    "PReLU": _prelu,
    "ELU": _elu,
    "Sigmoid": _plain("Sigmoid"),
    "TanH": _plain("Tanh"),
    "AbsVal": _plain("Abs"),
    "BNLL": _plain("Softplus"),
    "Power": _power,
    "Dropout": _copies,
    "Split": _copies,
    "Softmax": _softmax,
    "Eltwise": _eltwise,
    "Concat": _concat,
    "Slice": _slice,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "Silence": _silence,
    "Data": _training,
    "ImageData": _training,
    "HDF5Data": _training,
    "SoftmaxWithLoss": _training,
    "EuclideanLoss": _training,
    "Accuracy": _training,
}
