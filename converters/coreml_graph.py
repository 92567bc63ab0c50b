"""A Core ML network as an ONNX graph: layer by layer, the batch added in front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Tuple

from converters import coreml_layers
from converters.caffe_graph import Net
from converters.coreml_files import Layer, Network, refuse, weights

if TYPE_CHECKING:
    import onnx

OPSET = 17


def written(network: Network, opset: int) -> tuple[onnx.ModelProto, dict[str, tuple[int, ...]]]:
    """The model, and the shapes of its outputs for one row. Raises `UnsupportedModelError`."""
    net = Net(dict(network.inputs))
    for name, (factor, biases) in network.scaled.items():
        spread = [[[bias]] for bias in biases]
        scaled = net.op("Mul", net.values[name], net.constant(factor))
        net.values[name] = net.op("Add", scaled, net.constant(spread))
    for layer in network.layers:
        _write(net, layer)
    shapes = {name: net.shapes[name] for name in network.outputs}
    return _model(net, network, opset), shapes


def _write(net: Net, layer: Layer) -> None:
    writer = LAYERS.get(layer.kind)
    if writer is None:
        raise refuse(layer, "this kind of layer is not converted")
    values = [net.value(name) for name in layer.inputs]
    shapes = [net.shapes[name] for name in layer.inputs]
    result, shape = writer(net, layer, values, shapes)
    net.values[layer.outputs[0]], net.shapes[layer.outputs[0]] = result, shape


SINGLE = {
    "ReLU": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
    "softsign": "Softsign",
}
Made = Tuple[str, Tuple[int, ...]]
"""The value that a layer gives, and its shape for one row."""


def _convolution(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    given, (channels, height, width) = layer.parameters, shapes[0]
    if given.isDeconvolution:
        raise refuse(layer, "deconvolution is not converted")
    sliding = coreml_layers.window(layer, (height, width))
    group, count = max(1, int(given.nGroups)), int(given.outputChannels)
    kernels = weights(layer, "weights", (count, channels // group, *sliding.kernel))
    inputs = [values[0], net.constant(kernels)]
    if given.hasBias:
        inputs.append(net.constant(weights(layer, "bias", (count,))))
    result = net.op("Conv", *inputs, group=group, dilations=sliding.dilation, **_placed(sliding))
    return result, (count, *coreml_layers.counts((height, width), sliding))


def _placed(sliding: coreml_layers.Window) -> dict[str, Any]:
    pads = (*sliding.start, *sliding.end)
    return {"kernel_shape": sliding.kernel, "strides": sliding.stride, "pads": pads}


def _pooling(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    given, (channels, height, width) = layer.parameters, shapes[0]
    if given.type not in (given.MAX, given.AVERAGE):
        raise refuse(layer, "L2 pooling is not converted")
    largest = given.type == given.MAX
    if given.globalPooling:
        kind = "GlobalMaxPool" if largest else "GlobalAveragePool"
        return net.op(kind, values[0]), (channels, 1, 1)
    sliding = coreml_layers.window(layer, (height, width))
    if largest:
        result = net.op("MaxPool", values[0], **_placed(sliding))
    else:
        counted = int(not given.avgPoolExcludePadding)
        result = net.op("AveragePool", values[0], count_include_pad=counted, **_placed(sliding))
    return result, (channels, *coreml_layers.counts((height, width), sliding))


def _product(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    given = layer.parameters
    if layer.kind == "innerProduct":
        width, count = int(given.inputChannels), int(given.outputChannels)
    else:
        width, count = int(given.weightMatrixFirstDimension), int(given.weightMatrixSecondDimension)
        if len(values) != 1 or given.transposeA or given.transposeB:
            raise refuse(layer, "a product of two computed matrices is not converted")
    if shapes[0] not in ((width,), (width, 1, 1)):
        raise refuse(layer, f"its input is {list(shapes[0])}, not [{width}]")
    inputs = [net.op("Flatten", values[0], axis=1), net.constant(weights(layer, "weights", (count, width)))]
    if given.hasBias:
        inputs.append(net.constant(weights(layer, "bias", (count,))))
    return net.op("Gemm", *inputs, transB=1), (count,)


def _activation(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    kind, alpha, beta = coreml_layers.activation(layer)
    x = values[0]
    single = {
        "ReLU": "Relu",
        "tanh": "Tanh",
        "sigmoid": "Sigmoid",
        "softplus": "Softplus",
        "softsign": "Softsign",
    }
    if kind in single:
        result = net.op(single[kind], x)
    elif kind == "linear":
        result = net.op("Add", net.op("Mul", x, net.constant(alpha)), net.constant(beta))
    elif kind == "scaledTanh":
        result = net.op("Mul", net.op("Tanh", net.op("Mul", x, net.constant(beta))), net.constant(alpha))
    elif kind == "sigmoidHard":
        result = net.op("HardSigmoid", x, alpha=alpha, beta=beta)
    else:
        result = net.op({"leakyReLU": "LeakyRelu", "ELU": "Elu"}[kind], x, alpha=alpha)
    return result, shapes[0]


def _softmax(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    return net.op("Softmax", values[0], axis=1), shapes[0]


def _batch_norm(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    given = layer.parameters
    if given.computeMeanVar or given.instanceNormalization:
        raise refuse(layer, "it takes the statistics of its input")
    names = ("gamma", "beta", "mean", "variance")
    constants = [net.constant(weights(layer, name, (int(given.channels),))) for name in names]
    epsilon = float(given.epsilon) or 1e-5
    return net.op("BatchNormalization", values[0], *constants, epsilon=epsilon), shapes[0]


def _flatten(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    value, count = values[0], 1
    for size in shapes[0]:
        count *= size
    if layer.parameters.mode == layer.parameters.CHANNEL_LAST and len(shapes[0]) == 3:
        value = net.op("Transpose", value, perm=[0, 2, 3, 1])
    return net.op("Flatten", value, axis=1), (count,)


def _elementwise(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    kind = {"add": "Add", "multiply": "Mul"}[layer.kind]
    if len(set(shapes)) > 1:
        raise refuse(layer, f"its inputs have different shapes: {', '.join(map(str, shapes))}")
    if len(values) == 1:
        return net.op(kind, values[0], net.constant(float(layer.parameters.alpha))), shapes[0]
    result = values[0]
    for value in values[1:]:
        result = net.op(kind, result, value)
    return result, shapes[0]


def _concat(net: Net, layer: Layer, values: list[str], shapes: list[tuple[int, ...]]) -> Made:
    if layer.parameters.sequenceConcat:
        raise refuse(layer, "sequences are not converted")
    channels = sum(shape[0] for shape in shapes)
    return net.op("Concat", *values, axis=1), (channels, *shapes[0][1:])


LAYERS = {
    "convolution": _convolution,
    "pooling": _pooling,
    "innerProduct": _product,
    "batchedMatmul": _product,
    "activation": _activation,
    "softmax": _softmax,
    "batchnorm": _batch_norm,
    "flatten": _flatten,
    "add": _elementwise,
    "multiply": _elementwise,
    "concat": _concat,
}


def _model(net: Net, network: Network, opset: int) -> onnx.ModelProto:
    from onnx import TensorProto, helper

    def value(name: str, shape: tuple[int, ...], kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor_value_info(name, kind, ["batch", *shape])

    inputs = [value(name, shape) for name, shape in network.inputs.items()]
    outputs = [value(name, net.shapes[name]) for name in network.outputs]
    nodes = [helper.make_node("Identity", [net.values[name]], [name]) for name in network.outputs]
    if network.labels:
        text = isinstance(network.labels[0], str)
        table = helper.make_tensor(
            "labels",
            TensorProto.STRING if text else TensorProto.INT64,
            [len(network.labels)],
            [label.encode() if text else label for label in network.labels],
        )
        flat = net.op("Flatten", net.values[network.outputs[0]], axis=1)
        index = net.op("ArgMax", flat, axis=1, keepdims=0)
        nodes.append(helper.make_node("Gather", ["labels", index], ["classLabel"]))
        outputs.append(value("classLabel", (), table.data_type))
        net.weights.append(table)
    graph = helper.make_graph([*net.nodes, *nodes], "network", inputs, outputs, list(net.weights))
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="zoo")
