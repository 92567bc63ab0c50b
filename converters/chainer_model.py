"""A chain as it answers, and its graph in ONNX with a batch that is free.

onnx_chainer writes down what it sees for one batch size, as constants: a Reshape to it, a start state of
so many rows. Here the chain is exported at two batch sizes. What differs between both graphs is what
hangs on the batch; it is computed from the input's shape instead, or the model is refused.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence

from converters.chainer_functions import converters
from converters.onnx_checks import short
from converters.trials import batch_name, shape_at, symbols
from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.records import TensorSpec
    from zoo.tensors import Tensors

OPSETS = range(8, 12)
"""onnx_chainer writes 7 to 11; Expand, which a free batch may need, is of 8."""
_SIZES = (2, 3)
_BATCH = "zoo_batch"


def run(chain: Any, inputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> Tensors:
    """The answer in evaluation mode: one array for each output, in the order of the chain."""
    with _evaluating():
        answer = chain(*[feeds[name] for name in inputs])
    return {name: _array(value) for name, value in _named(answer)}


def _named(answer: Any) -> list[tuple[str, Any]]:
    if isinstance(answer, Mapping):
        return [(str(name), value) for name, value in answer.items()]
    if isinstance(answer, (tuple, list)):
        return [(f"output_{place}", value) for place, value in enumerate(answer)]
    return [("output", answer)]


def _array(value: Any) -> np.ndarray:
    import numpy as np

    return np.asarray(getattr(value, "array", value))


@contextmanager
def _evaluating() -> Iterator[None]:
    import chainer

    with chainer.using_config("train", False), chainer.no_backprop_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def exported(chain: Any, specs: tuple[TensorSpec, ...], opset: int) -> onnx.ModelProto:
    """The graph at `opset`, its batch free where `specs` name one.

    Raises `UnsupportedModelError` for functions that onnx_chainer does not know, for another named axis than
    the batch, and where something that hangs on the batch cannot be computed from it.
    """
    batch = batch_name(specs)
    others = [name for name in symbols(specs) if name != batch]
    if others:
        raise UnsupportedModelError(
            f"axis {others[0]!r} is promised to be dynamic; of a traced chain only the batch can be",
            hint="Give its size: --input 'name:dtype[batch,3,224,224]'.",
        )
    graphs = [_traced(chain, specs, {batch or "": size}, opset) for size in (_SIZES if batch else (1,))]
    if batch is not None:
        source = next(spec for spec in specs if batch in spec.shape)
        _free(graphs[0].graph, graphs[1].graph, source.name, source.shape.index(batch))
    return graphs[0]


def _traced(
    chain: Any, specs: tuple[TensorSpec, ...], sizes: Mapping[str, int], opset: int
) -> onnx.ModelProto:
    import numpy as np
    import onnx_chainer

    arrays = tuple(np.zeros(shape_at(spec, sizes), spec.dtype) for spec in specs)
    with _evaluating():
        outputs = [name for name, _ in _named(chain(*arrays))]
    try:
        with _evaluating():
            model: onnx.ModelProto = onnx_chainer.export(
                _flat(chain),
                arrays,
                opset_version=opset,
                input_names=[spec.name for spec in specs],
                output_names=outputs,
                external_converters=converters(),
            )
    except UnsupportedModelError:
        raise
    except Exception as error:  # it raises what it likes for a function that it does not know
        raise UnsupportedModelError(
            f"onnx_chainer cannot export it: {type(error).__name__}: {short(str(error))}"
        ) from error
    return model


def _flat(chain: Any) -> Any:
    """`chain` with a tuple of outputs: those of a dictionary would be written in another order."""
    import chainer

    class Flat(chainer.Chain):
        def __init__(self) -> None:
            super().__init__()
            with self.init_scope():
                self.inner = chain

        def forward(self, *inputs: Any) -> Any:
            return tuple(value for _, value in _named(self.inner(*inputs)))

    return Flat()


def _free(graph: onnx.GraphProto, other: onnx.GraphProto, source: str, axis: int) -> None:
    """Make in `graph` whatever differs from `other` a function of the size of `axis` of input `source`."""
    _refuse_other_nodes(graph, other)
    ours, theirs = _constants(graph), _constants(other)
    computed: list[Any] = []
    for name, array in ours.items():
        steps = _from_batch(name, array, theirs[name])
        if steps is not None:
            computed += steps
            _drop(graph, name)
    if computed:
        nodes = [*_batch_size(source, axis), *computed, *graph.node]
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)


def _refuse_other_nodes(graph: onnx.GraphProto, other: onnx.GraphProto) -> None:
    same = len(graph.node) == len(other.node) and set(_constants(graph)) == set(_constants(other))
    for mine, theirs in zip(graph.node, other.node) if same else ():
        if mine.op_type != "Constant" and mine != theirs:
            raise UnsupportedModelError(
                f"{mine.op_type} {mine.name!r} is another for another batch size: it cannot be made dynamic",
                hint="Fix the batch: --input 'name:dtype[1,…]'.",
            )
    if not same:
        raise UnsupportedModelError(
            "the chain computes other steps for another batch size: it cannot be made dynamic",
            hint="Fix the batch: --input 'name:dtype[1,…]'. A loop over the rows is one reason.",
        )


def _constants(graph: onnx.GraphProto) -> dict[str, Any]:
    from onnx import helper, numpy_helper

    found = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(helper.get_node_attr_value(node, "value"))
    return found


def _drop(graph: onnx.GraphProto, name: str) -> None:
    for values in (graph.initializer, graph.input):
        for value in [value for value in values if value.name == name]:
            values.remove(value)
    for node in [node for node in graph.node if node.op_type == "Constant" and node.output[0] == name]:
        graph.node.remove(node)


def _from_batch(name: str, first: np.ndarray, second: np.ndarray) -> Optional[list[Any]]:
    """Nodes that compute a constant from the batch size; None where it is the same at both sizes."""
    import numpy as np

    if first.shape == second.shape and np.array_equal(first, second):
        return None
    if first.dtype == second.dtype == np.int64 and first.shape == second.shape and first.ndim <= 1:
        return _line(name, first, second)
    if (
        first.shape[1:] == second.shape[1:]
        and (len(first), len(second)) == _SIZES
        and (first == first[:1]).all()
        and (second == first[:1]).all()
    ):
        return _rows(name, first)
    raise UnsupportedModelError(
        f"the constant {name!r} hangs on the batch size in a way that cannot be computed from it "
        f"({list(first.shape)} and {list(second.shape)} {first.dtype})",
        hint="Fix the batch: --input 'name:dtype[1,…]'.",
    )


def _line(name: str, first: np.ndarray, second: np.ndarray) -> list[Any]:
    """start + slope · batch, element by element: sizes that hang on the batch do so on a line."""
    from onnx import helper

    slope = second - first
    start = first - _SIZES[0] * slope
    return [
        _constant(f"{name}_slope", slope),
        _constant(f"{name}_start", start),
        helper.make_node("Mul", [_BATCH, f"{name}_slope"], [f"{name}_part"]),
        helper.make_node("Add", [f"{name}_part", f"{name}_start"], [name]),
    ]


def _rows(name: str, array: np.ndarray) -> list[Any]:
    """The first row, as often as the batch is long."""
    import numpy as np
    from onnx import helper

    return [
        _constant(f"{name}_row", array[:1]),
        _constant(f"{name}_rest", np.array(array.shape[1:], np.int64)),
        helper.make_node("Concat", [_BATCH, f"{name}_rest"], [f"{name}_shape"], axis=0),
        helper.make_node("Expand", [f"{name}_row", f"{name}_shape"], [name]),
    ]


def _batch_size(source: str, axis: int) -> list[Any]:
    """The size of `axis` of an input, as a vector of one element."""
    import numpy as np
    from onnx import helper

    return [
        helper.make_node("Shape", [source], ["zoo_shape"]),
        _constant("zoo_axis", np.array([axis], np.int64)),
        helper.make_node("Gather", ["zoo_shape", "zoo_axis"], [_BATCH], axis=0),
    ]


def _constant(name: str, array: np.ndarray) -> Any:
    from onnx import helper, numpy_helper

    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))
