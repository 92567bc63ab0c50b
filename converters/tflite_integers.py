"""Quantised layers of a TFLite graph in whole numbers, as XNNPACK and TFLite round them.

tf2onnx writes an int8 layer as dequantise, float layer, quantise. The float sums round, and ONNX Runtime's
optimiser fuses the three into kernels that round otherwise. Here sums are whole numbers that float32 holds
exactly (below 2^24), so that order, kernel and optimiser do not matter, and the rounding behind them is that
of the source's kernels:

- convolution, matrix product: XNNPACK's qs8-*-fp32: int32 sum with bias, times a float32 scale, half to even;
- addition: XNNPACK's qs8-vadd: multipliers of 21 bits, shifted right, half up;
- average: TFLite's, a sum of raw int8 divided by the count, half away from zero;
- softmax: in float32, as in TFLite, kept from ONNX Runtime's table for it.

A layer of another form stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

from zoo.errors import UsageError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np
    import onnx

EXACT = 2**24
"""Whole numbers up to this are float32."""


ARITHMETIC = ("integers", "fused")
"""Values of option ``arithmetic``: as the source rounds, or in the form that ONNX Runtime fuses."""


def wanted(options: Mapping[str, Any]) -> bool:
    """Whether layers are written in whole numbers. Raises `UsageError` for an unknown ``arithmetic``."""
    asked = options.get("arithmetic", "integers")
    if asked not in ARITHMETIC:
        raise UsageError(f"option arithmetic is {asked!r}", hint=f"It is {' or '.join(ARITHMETIC)}.")
    return bool(asked == "integers")


@record
class Quantised:
    """What a DequantizeLinear reads, or a QuantizeLinear writes: tensor, scales and zero point."""

    name: str
    scale: Any
    zero: int
    values: Any = None
    """The array, of a weight."""


def in_integers(model: onnx.ModelProto) -> None:
    """Rewrite the quantised layers of `model` that have one of the forms above."""
    graph = model.graph
    view = _View(graph)
    kept: list[Any] = []
    written: dict[str, list[Any]] = {}
    for node in graph.node:
        layer = _layer(view, node)
        if layer is not None:
            made = _WRITERS[layer.core.op_type](_Maker(graph, f"int8_layer_{len(written)}"), layer)
            if made is not None:
                written[layer.end.output[0]] = made
    for node in graph.node:
        kept += written.get(node.output[0], [node])
    _keep_needed(graph, kept)


@record
class Layer:
    """A node between quantised tensors: its operands, what is clipped behind it, and its QuantizeLinear."""

    core: Any
    operands: Any
    bias: Optional[Quantised]
    activation: Any
    end: Any
    target: Quantised


class _View:
    """Who writes and who reads each value; arrays of initialisers."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self.arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.writer = {name: node for node in graph.node for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}

    def only_reader(self, name: str) -> Any:
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def source(self, name: str) -> Optional[Quantised]:
        """What the DequantizeLinear reads that gives `name`, if its zero points are all one number."""
        node = self.writer.get(name)
        if node is None or node.op_type != "DequantizeLinear" or node.input[1] not in self.arrays:
            return None
        return self._of(node, node.input[0])

    def target(self, node: Any) -> Optional[Quantised]:
        """What a QuantizeLinear writes."""
        known = node is not None and node.op_type == "QuantizeLinear" and node.input[1] in self.arrays
        found = self._of(node, node.output[0]) if known else None
        return found if found is not None and found.scale.size == 1 else None

    def _of(self, node: Any, name: str) -> Optional[Quantised]:
        import numpy as np

        zeros = self.arrays.get(node.input[2]) if len(node.input) > 2 else np.zeros(1, np.int8)
        if zeros is None or zeros.dtype not in (np.int8, np.int32) or np.unique(zeros).size != 1:
            return None
        return Quantised(name, self.arrays[node.input[1]], int(zeros.flat[0]), self.arrays.get(name))


def _layer(view: _View, node: Any) -> Optional[Layer]:
    if node.op_type not in _WRITERS:
        return None
    bias, last = None, node
    if node.op_type == "MatMul":
        after = view.only_reader(node.output[0])
        if after is not None and after.op_type == "Add":
            bias = view.source(after.input[1 - list(after.input).index(node.output[0])])
            last = after if bias is not None and bias.values is not None else node
    operands = [view.source(name) for name in node.input]
    if node.op_type == "Conv" and len(operands) == 3:
        bias = operands.pop()
        if bias is None or bias.values is None:
            return None
    end = view.only_reader(last.output[0])
    activation = end if end is not None and end.op_type == "Relu" else None
    end = view.only_reader(end.output[0]) if activation is not None else end
    target = view.target(end)
    if target is None or any(operand is None for operand in operands):
        return None
    return Layer(node, operands, bias, activation, end, target)


class _Maker:
    """New nodes and constants under names of their own."""

    def __init__(self, graph: Any, stem: str) -> None:
        self.graph, self.stem, self.count = graph, stem, 0
        self.nodes: list[Any] = []

    def constant(self, array: Any) -> str:
        from onnx import numpy_helper

        self.count += 1
        name = f"{self.stem}/{self.count}"
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.count += 1
        output = name or f"{self.stem}/{self.count}"
        return self._add(helper.make_node(kind, inputs, [output], **attributes))

    def like(self, node: Any, *inputs: str) -> str:
        """A node with the attributes of `node`."""
        from onnx import NodeProto

        copy = NodeProto()
        copy.CopyFrom(node)
        self.count += 1
        copy.name = ""
        del copy.input[:], copy.output[:]
        copy.input.extend(inputs)
        copy.output.append(f"{self.stem}/{self.count}")
        return self._add(copy)

    def _add(self, node: Any) -> str:
        self.nodes.append(node)
        return str(node.output[0])

    def cast(self, value: str, dtype: str) -> str:
        import numpy as np
        from onnx import helper

        return self.op("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def centred(self, value: Quantised) -> str:
        """The whole numbers of a quantised tensor without its zero point, float32."""
        import numpy as np

        inputs = (value.name, self.constant(np.float32(1)), self.constant(np.array(value.zero, np.int8)))
        return self.op("DequantizeLinear", *inputs)

    def finished(self, value: str, layer: Layer) -> list[Any]:
        """Clip, round half to even, add the zero point: under the name that the layer's output had."""
        import numpy as np

        clipped = layer.activation is not None and self.nodes[-2].op_type != "Relu"
        value = self.op("Relu", value) if clipped else value
        zero = self.constant(np.array(layer.target.zero, np.int8))
        self.op("QuantizeLinear", value, self.constant(np.float32(1)), zero, name=layer.target.name)
        return self.nodes


# --- products -------------------------------------------------------------------------------------------


def _product(maker: _Maker, layer: Layer) -> Optional[list[Any]]:
    """Conv, or MatMul by a weight: sums in whole numbers, then one rounding."""
    import numpy as np

    x, weight = layer.operands
    is_conv = layer.core.op_type == "Conv"
    if weight.values is None or weight.zero != 0 or x.values is not None or weight.values.dtype != np.int8:
        return None
    if x.scale.size != 1 or not (is_conv or weight.values.ndim == 2):
        return None
    bias = np.zeros(1, np.int32) if layer.bias is None else layer.bias.values.astype(np.int32)
    shape = (1, -1, *[1] * (weight.values.ndim - 2)) if is_conv else (1, -1)
    total = _sums(maker, layer, bias.reshape(shape))
    if not total:
        return None
    scale = x.scale.astype(np.float32) * weight.scale.astype(np.float32) / np.float32(layer.target.scale)
    scale = scale.astype(np.float32).reshape(shape if scale.size > 1 else ())
    return maker.finished(maker.op("Mul", total, maker.constant(scale)), layer)


def _sums(maker: _Maker, layer: Layer, bias: np.ndarray) -> str:
    """The sums with their bias as float32: exact, or rounded once where they are beyond 2^24.

    Behind it stands a node that the optimiser does not fold into the weights, as it does a factor.
    """
    import numpy as np

    weight = layer.operands[1]
    axis = 0 if layer.core.op_type == "Conv" else 1
    if _most(weight.values, axis) + np.abs(bias.astype(np.int64)).max() < EXACT:
        total = _sum(maker, layer, weight.values)
        total = maker.op("Add", total, maker.constant(bias.astype(np.float32))) if bias.any() else total
        return maker.op("Relu" if layer.activation is not None else "Round", total)
    high = np.floor_divide(weight.values, 16).astype(np.int8)
    low = (weight.values - 16 * high).astype(np.int8)
    if max(_most(high, axis), _most(low, axis)) >= EXACT:
        return ""
    parts = [maker.cast(_sum(maker, layer, values), "int32") for values in (high, low)]
    total = maker.op("Add", maker.op("Mul", parts[0], maker.constant(np.array(16, np.int32))), parts[1])
    return maker.cast(maker.op("Add", total, maker.constant(bias)), "float32")


def _sum(maker: _Maker, layer: Layer, values: np.ndarray) -> str:
    """Cast, for the optimiser makes an int8 product of two DequantizeLinear, and on x86 without VNNI that
    saturates each sum of two products at 16 bits."""
    weights = maker.cast(maker.constant(values), "float32")
    return maker.like(layer.core, maker.centred(layer.operands[0]), weights)


def _most(weight: np.ndarray, axis: int) -> int:
    """What a sum of products with int8 values can come to, less a zero point."""
    import numpy as np

    others = tuple(i for i in range(weight.ndim) if i != axis)
    return 255 * int(np.abs(weight.astype(np.int64)).sum(axis=others).max(initial=0))


# --- sums and averages ----------------------------------------------------------------------------------


def _addition(maker: _Maker, layer: Layer) -> Optional[list[Any]]:
    """Two tensors of one shape: ``(a * p + b * q + half) >> shift`` with p and q of 21 bits."""
    import numpy as np

    if any(operand.values is not None or operand.scale.size != 1 for operand in layer.operands):
        return None
    target = np.float32(layer.target.scale)
    scales = [np.float32(operand.scale) / target for operand in layer.operands]
    shift = 20 - (int(np.frexp(max(scales))[1]) - 1)
    if not 12 <= shift <= 30:
        return None
    factors = [np.array(np.rint(np.float64(scale) * 2.0**shift), np.int32) for scale in scales]
    terms = [
        maker.op("Mul", maker.cast(maker.centred(operand), "int32"), maker.constant(factor))
        for operand, factor in zip(layer.operands, factors)
    ]
    total = maker.op("Add", maker.op("Add", *terms), maker.constant(np.array(1 << (shift - 1), np.int32)))
    halved = maker.op("Mul", maker.cast(total, "float64"), maker.constant(np.array(2.0**-shift)))
    return maker.finished(maker.cast(maker.op("Floor", halved), "float32"), layer)


def _average(maker: _Maker, layer: Layer) -> Optional[list[Any]]:
    """``(sum ± count // 2) / count`` of raw int8, towards zero; input and output have one scale."""
    import numpy as np

    (x,) = layer.operands
    attributes = {one.name: one for one in layer.core.attribute}
    padded = "pads" in attributes and any(attributes["pads"].ints)
    same = np.float32(x.scale) == np.float32(layer.target.scale) and x.zero == layer.target.zero
    if padded or "auto_pad" in attributes or not same or layer.activation is not None:
        return None
    count = int(np.prod(attributes["kernel_shape"].ints))
    raw = maker.cast(x.name, "float32")
    total = maker.op("Mul", maker.like(layer.core, raw), maker.constant(np.float32(count)))
    total = maker.cast(maker.op("Round", total), "int32")
    half = maker.op("Mul", maker.op("Sign", total), maker.constant(np.array(count // 2, np.int32)))
    mean = maker.op("Div", maker.op("Add", total, half), maker.constant(np.array(count, np.int32)))
    maker.op("Cast", mean, name=layer.target.name, to=3)
    return maker.nodes


def _softmax(maker: _Maker, layer: Layer) -> Optional[list[Any]]:
    """Steps of a power of two, which they always are: the factor that stands for them is exact."""
    import numpy as np

    (x,), target = layer.operands, layer.target
    if np.frexp(np.float32(target.scale))[0] != 0.5 or layer.activation is not None:
        return None
    scale, zero = maker.constant(np.float32(x.scale)), maker.constant(np.array(x.zero, np.int8))
    shares = maker.like(layer.core, maker.op("DequantizeLinear", x.name, scale, zero))
    steps = maker.constant(np.float32(1 / np.float32(target.scale)))
    return maker.finished(maker.op("Mul", shares, steps), layer)


_WRITERS: dict[str, Any] = {
    "Conv": _product,
    "MatMul": _product,
    "Add": _addition,
    "AveragePool": _average,
    "Softmax": _softmax,
}


def _keep_needed(graph: Any, nodes: list[Any]) -> None:
    """Make `nodes` the graph's, without those and the constants that nothing reads."""
    from converters.onnx_tidy import graphs

    wanted = {value.name for value in graph.output}
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
            for attribute in node.attribute:
                for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                    wanted.update(name for part in graphs(inner) for one in part.node for name in one.input)
    constants = [one for one in graph.initializer if one.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(constants)
