"""What a layer of Core ML's says, as plain numbers: once for the graph, once for numpy."""

from __future__ import annotations

from typing import Any, Tuple

from converters.coreml_files import Layer, refuse
from zoo.records import record

Pair = Tuple[int, int]
ACTIVATIONS = (
    *("linear", "ReLU", "leakyReLU", "tanh", "scaledTanh", "sigmoid", "sigmoidHard"),
    *("ELU", "softplus", "softsign"),
)


@record
class Window:
    """A window that slides over an image: sizes by axis, and the padding at the start and end of each."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    start: Pair
    end: Pair


def window(layer: Layer, area: Pair) -> Window:
    """The window of a convolution or pooling over an image of this height and width.

    Raises `UnsupportedModelError` for pooling that includes the last pixel.
    """
    given = layer.parameters
    kernel, stride = _pair(given.kernelSize, 3), _pair(given.stride, 1)
    dilation = _pair(getattr(given, "dilationFactor", ()), 1)
    which = "ConvolutionPaddingType" if layer.kind == "convolution" else "PoolingPaddingType"
    padding = given.WhichOneof(which) or "valid"
    if padding == "valid":
        edges = [
            (int(one.startEdgeSize), int(one.endEdgeSize)) for one in given.valid.paddingAmounts.borderAmounts
        ]
        edges = edges or [(0, 0), (0, 0)]
    elif padding == "same":
        top_heavy = given.same.asymmetryMode == given.same.TOP_LEFT_HEAVY
        edges = [_same(*each, top_heavy) for each in zip(area, kernel, stride, dilation)]
    else:
        raise refuse(layer, "pooling that includes the last pixel is not converted")
    (top, bottom), (left, right) = edges
    return Window(kernel, stride, dilation, (top, left), (bottom, right))


def _pair(values: Any, default: int) -> Pair:
    found = [int(value) for value in values] or [default, default]
    return found[0], found[1]


def _same(size: int, kernel: int, stride: int, dilation: int, top_heavy: bool) -> Pair:
    span = dilation * (kernel - 1) + 1
    total = max(0, (-(-size // stride) - 1) * stride + span - size)
    small, large = total // 2, total - total // 2
    return (large, small) if top_heavy else (small, large)


def counts(area: Pair, sliding: Window) -> Pair:
    """How many places the window has on each axis."""
    found = [
        (size + a + b - d * (k - 1) - 1) // s + 1
        for size, a, b, d, k, s in zip(
            area, sliding.start, sliding.end, sliding.dilation, sliding.kernel, sliding.stride
        )
    ]
    return found[0], found[1]


def activation(layer: Layer) -> tuple[str, float, float]:
    """Its kind with alpha and beta, 0 where it has none. Raises `UnsupportedModelError` for PReLU."""
    kind = layer.parameters.WhichOneof("NonlinearityType")
    if kind not in ACTIVATIONS:
        raise refuse(layer, f"the activation {kind} is not converted")
    given = getattr(layer.parameters, kind)
    return kind, float(getattr(given, "alpha", 0.0)), float(getattr(given, "beta", 0.0))
