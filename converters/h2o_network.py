"""H2O's deep learning: one-hot and standardised columns, layers of float32 weights, in float64.

Source: hex.genmodel.algos.deeplearning.{DeeplearningMojoModel,NeuralNetwork,ActivationUtils} of H2O 3.46.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict

from converters import h2o_columns
from converters.classical import idioms
from converters.h2o_files import Mojo, damaged

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value

_DROPOUT = "WithDropout"


def scores(graph: Graph, x: Value, mojo: Mojo) -> Value:
    """What the last layer gives, [N, outputs]: probabilities, or one number that is still standardised."""
    activation = mojo.text("activation")
    plain = activation[: -len(_DROPOUT)] if activation.endswith(_DROPOUT) else activation
    units = [int(size) for size in mojo.numbers("neural_network_sizes")]
    dropped = mojo.numbers("hidden_dropout_ratios")
    if plain not in (*_ACTIVATIONS, "Maxout"):
        raise graph.refuse(f"its activation {activation!r} is not converted")
    value = _entered(graph, x, mojo)
    for number in range(len(units) - 2):
        value = _layer(graph, value, mojo, (number, units[number], units[number + 1]))
        value = value if plain == "Maxout" else _ACTIVATIONS[plain](graph, value)
        if plain != activation and number < len(dropped) and dropped[number] > 0:
            value = graph.mul(value, 1.0 - dropped[number])
    value = _layer(graph, value, mojo, (len(units) - 2, units[-2], units[-1]))
    return value if mojo.classes is None else idioms.softmax(graph, value)


def restored(graph: Graph, value: Value, mojo: Mojo) -> Value:
    """A number of a regression as its column had it, before the inverse link."""
    factors, means = mojo.numbers("norm_resp_mul"), mojo.numbers("norm_resp_sub")
    return graph.add(graph.div(value, factors[0]), means[0]) if factors else value


def _entered(graph: Graph, x: Value, mojo: Mojo) -> Value:
    """The first layer's input: missing numbers are 0 after they are standardised."""
    import numpy as np

    parts = [graph.cast(one, "float64") for one in h2o_columns.hot(graph, x, mojo)]
    value = h2o_columns.numbers(graph, x, mojo)
    if value is not None:
        factors, means = mojo.numbers("norm_mul"), mojo.numbers("norm_sub")
        if factors:
            value = graph.mul(graph.sub(value, np.array([means])), np.array([factors]))
        parts.append(graph.where(idioms.is_nan(graph, value), 0.0, value))
    return idioms.concat(graph, parts)


def _layer(graph: Graph, value: Value, mojo: Mojo, shape: tuple[int, int, int]) -> Value:
    """Weights times input and biases added; of a maxout layer the largest for each unit."""
    import numpy as np

    number, before, after = shape
    weights = np.array(mojo.numbers(f"weight_layer{number}"), dtype=np.float32).astype(np.float64)
    biases = np.array(mojo.numbers(f"bias_layer{number}"))
    times = len(biases) // after if after else 0
    if times < 1 or len(biases) != times * after or len(weights) != before * len(biases):
        raise damaged(mojo.path, f"layer {number} has {len(weights)} weights for {before} and {after} units")
    table = weights.reshape(after, before, times).transpose(1, 0, 2).reshape(before, after * times)
    value = graph.add(graph.matmul(value, table), biases[None])
    if times == 1:
        return value
    each = graph.op("Reshape", value, np.array([0, after, times]))
    return graph.op("ReduceMax", each, np.array([2]), keepdims=0)


def _tanh(graph: Graph, x: Value) -> Value:
    return graph.sub(1.0, graph.div(2.0, graph.add(1.0, graph.op("Exp", graph.mul(x, 2.0)))))


def _rectified(graph: Graph, x: Value) -> Value:
    return graph.mul(graph.add(x, graph.op("Abs", x)), 0.5)


_ACTIVATIONS: Dict[str, Callable[[Any, Any], Any]] = {
    "Rectifier": _rectified,
    "Tanh": _tanh,
}
