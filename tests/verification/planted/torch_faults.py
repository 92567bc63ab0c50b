"""Faults in conversions of the PyTorch subjects. Each takes an honest graph and the model."""

from __future__ import annotations

import copy

import numpy as np
import torch
from onnx import TensorProto, helper

from tests.verification.planted.edits import (
    add_constant,
    array,
    insert_before,
    nodes,
    replace,
    set_attribute,
    stored,
    swap_outputs,
    wrap_input,
)


def weight_off_by_a_thousandth(graph, model):
    weights = array(graph, "second.weight")
    weights[3, 2, 1, 1] += 1e-3
    return replace(graph, "second.weight", weights)


def outputs_swapped(graph, model):
    return swap_outputs(graph)


def wrong_epsilon_in_batch_norm(graph, model):
    """1e-5, the default, in place of the model's 1e-3."""
    variance = model.norm.running_var.numpy()
    ratio = np.sqrt((variance + 1e-3) / (variance + 1e-5)).astype(np.float32)
    replace(graph, "first.weight", array(graph, "first.weight") * ratio[:, None, None, None])
    shift = model.norm.bias.detach().numpy()
    bias = shift + (array(graph, "first.weight_bias") - shift) * ratio
    return replace(graph, "first.weight_bias", bias.astype(np.float32))


def padding_off_by_one(graph, model):
    set_attribute(nodes(graph, "Conv")[1], "pads", [0, 0, 2, 2])
    return graph


def padding_counted_in_the_average(graph, model):
    node = nodes(graph, "AveragePool")[0]
    set_attribute(node, "count_include_pad", 0)
    return graph


def softmax_for_sigmoid(graph, model):
    node = nodes(graph, "Sigmoid")[0]
    node.op_type = "Softmax"
    return graph


def slope_of_leaky_relu_lost(graph, model):
    set_attribute(nodes(graph, "LeakyRelu")[0], "alpha", 0.01)
    return graph


def corners_aligned_in_resize(graph, model):
    set_attribute(nodes(graph, "Resize")[0], "coordinate_transformation_mode", "align_corners")
    return graph


def stale_initializer(graph, model):
    """The head as it was one small training step before."""
    torch.manual_seed(0)
    other = copy.deepcopy(model)
    step = torch.optim.SGD(other.head.parameters(), lr=1e-3)
    other(torch.randn(8, 3, 12, 12))["scores"].square().mean().backward()
    step.step()
    return replace(graph, "head.weight", other.head.weight.detach().numpy())


def weights_in_half_precision(graph, model):
    for tensor in list(graph.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT and tensor.name.endswith("weight"):
            halved = array(graph, tensor.name).astype(np.float16).astype(np.float32)
            replace(graph, tensor.name, halved)
    return graph


def batch_axis_frozen(graph, model):
    """The head sees the first row only, repeated: right for one row, wrong for more."""
    node = nodes(graph, "Gemm")[0]
    start, end, axis = (add_constant(graph, f"frozen_{i}", np.array([i if i < 2 else 0])) for i in range(3))
    return wrap_input(graph, node, 0, ("Slice", [start, end, axis], {}))


def channels_reversed(graph, model):
    """BGR for RGB."""
    return replace(graph, "first.weight", array(graph, "first.weight")[:, ::-1])


def approximate_gelu(graph, model):
    """tanh(√(2/π)(x + 0.044715x³)) in place of erf(x/√2)."""
    node = nodes(graph, "Erf")[0]
    # Erf's input is x/√2, so x = √2·input.
    scale = add_constant(graph, "gelu_scale", np.float32(np.sqrt(2)))
    cubic = add_constant(graph, "gelu_cubic", np.float32(0.044715))
    slope = add_constant(graph, "gelu_slope", np.float32(np.sqrt(2 / np.pi)))
    source = node.input[0]
    made = [
        helper.make_node("Mul", [source, scale], ["gelu_x"]),
        helper.make_node("Mul", ["gelu_x", "gelu_x"], ["gelu_x2"]),
        helper.make_node("Mul", ["gelu_x2", "gelu_x"], ["gelu_x3"]),
        helper.make_node("Mul", ["gelu_x3", cubic], ["gelu_part"]),
        helper.make_node("Add", ["gelu_x", "gelu_part"], ["gelu_sum"]),
        helper.make_node("Mul", ["gelu_sum", slope], ["gelu_in"]),
    ]
    insert_before(graph, node, *made)
    node.op_type = "Tanh"
    node.input[0] = "gelu_in"
    return graph


def wrong_epsilon_in_layer_norm(graph, model):
    set_attribute(nodes(graph, "LayerNormalization")[0], "epsilon", 1e-12)
    return graph


def mask_ignored(graph, model):
    node = nodes(graph, "Softmax")[0]
    masked = next(item for item in graph.graph.node if node.input[0] in item.output)
    node.input[0] = masked.input[0]
    return graph


def tokens_off_by_one(graph, model):
    return replace(graph, "table.weight", np.roll(array(graph, "table.weight"), 1, axis=0))


def dropout_in_training_mode(graph, model):
    node = nodes(graph, "Gemm")[0]
    ratio = add_constant(graph, "drop_ratio", np.float32(0.3))
    training = add_constant(graph, "drop_training", np.array(True))
    return wrap_input(graph, node, 0, ("Dropout", [ratio, training], {"seed": 1}))


def length_frozen(graph, model):
    """Attention is divided by a constant for the length of the example: here, the softmax of 8 tokens."""
    node = nodes(graph, "Softmax")[0]
    start, end, axis = (
        add_constant(graph, f"len_{n}", np.array([v])) for n, v in (("a", 0), ("b", 8), ("c", 2))
    )
    wrap_input(graph, node, 0, ("Slice", [start, end, axis], {}))
    value = next(item for item in graph.graph.node if node.output[0] in item.input)
    axis = add_constant(graph, "len_d", np.array([1]))
    return wrap_input(graph, value, 1, ("Slice", [start, end, axis], {}))


def weight_wrong_behind_a_saturated_output(graph, model):
    weights = array(graph, "hidden.weight")
    weights[4, 2] += 2e-2
    return replace(graph, "hidden.weight", weights)


def bias_wrong_behind_a_saturated_output(graph, model):
    assert stored(graph, "head.bias").dims[0] == 3
    return replace(graph, "head.bias", array(graph, "head.bias") + np.float32([0, 1, 0]))


FAULTS = {
    "image": (
        weight_off_by_a_thousandth,
        outputs_swapped,
        wrong_epsilon_in_batch_norm,
        padding_off_by_one,
        padding_counted_in_the_average,
        softmax_for_sigmoid,
        slope_of_leaky_relu_lost,
        corners_aligned_in_resize,
        stale_initializer,
        weights_in_half_precision,
        batch_axis_frozen,
        channels_reversed,
    ),
    "text": (
        approximate_gelu,
        wrong_epsilon_in_layer_norm,
        mask_ignored,
        tokens_off_by_one,
        dropout_in_training_mode,
        length_frozen,
    ),
    "saturated": (weight_wrong_behind_a_saturated_output, bias_wrong_behind_a_saturated_output),
}
