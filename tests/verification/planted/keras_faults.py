"""Faults in conversions of the Keras and TensorFlow Lite subjects."""

from __future__ import annotations

import numpy as np

from tests.verification.planted.edits import array, bypass, nodes, replace, set_attribute, swap_outputs


def weight_off_by_a_thousandth(graph, model):
    name = nodes(graph, "Conv")[1].input[1]
    weights = array(graph, name)
    weights[3, 2, 1, 1] += 1e-3
    return replace(graph, name, weights)


def outputs_swapped(graph, model):
    return swap_outputs(graph)


def wrong_epsilon_in_batch_norm(graph, model):
    """1e-5 in place of the model's 1e-3, folded into the convolution before it."""
    _, beta, _, variance = model.get_layer("norm").get_weights()
    ratio = np.sqrt((variance + 1e-3) / (variance + 1e-5)).astype(np.float32)
    node = nodes(graph, "Conv")[0]
    weights, bias = array(graph, node.input[1]), array(graph, node.input[2])
    replace(graph, node.input[1], weights * ratio[:, None, None, None])
    return replace(graph, node.input[2], ((bias - beta) * ratio + beta).astype(np.float32))


def padding_off_by_one(graph, model):
    """TensorFlow's "same" with a stride pads the end; PyTorch's the beginning."""
    set_attribute(nodes(graph, "Conv")[1], "pads", [1, 1, 0, 0])
    return graph


def slope_of_leaky_relu_lost(graph, model):
    set_attribute(nodes(graph, "LeakyRelu")[0], "alpha", 0.3)
    return graph


def softmax_for_sigmoid(graph, model):
    nodes(graph, "Sigmoid")[-1].op_type = "Softmax"
    return graph


def wrong_epsilon_in_layer_norm(graph, model):
    """1e-5 in place of the model's 1e-3."""
    name = next(t.name for t in graph.graph.initializer if t.name.endswith("norm_1/add/y:0"))
    return replace(graph, name, np.float32(1e-5))


def direction_lost(graph, model):
    """The backward half of a recurrent layer reads forward."""
    return bypass(graph, nodes(graph, "ReverseSequence")[0])


def quantised_weights_shifted(graph, model):
    """The kernels of a convolution exchanged among its filters."""
    name = next(t.name for t in graph.graph.initializer if len(t.dims) == 4 and t.dims[0] == 12)
    return replace(graph, name, np.roll(array(graph, name), 1, axis=0))


def scale_of_the_output_off_by_a_tenth(graph, model):
    name = nodes(graph, "QuantizeLinear")[-1].input[1]
    return replace(graph, name, (array(graph, name) * 1.1).astype(np.float32))


FAULTS = {
    "photo": (
        weight_off_by_a_thousandth,
        outputs_swapped,
        wrong_epsilon_in_batch_norm,
        padding_off_by_one,
        slope_of_leaky_relu_lost,
        softmax_for_sigmoid,
    ),
    "series": (wrong_epsilon_in_layer_norm, direction_lost),
}
LITE_FAULTS = {
    "lite": (weight_off_by_a_thousandth, padding_off_by_one, slope_of_leaky_relu_lost),
    "lite_int8": (quantised_weights_shifted, scale_of_the_output_off_by_a_tenth),
}
