"""What every operation of a TensorFlow Lite file gives, to find the first that a graph does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Mapping

from converters.tensorflow_runtime import quiet, tensorflow
from converters.tflite_files import invoked
from converters.tflite_graphs import operation_names

if TYPE_CHECKING:
    import numpy as np

    from converters.from_tflite import LiteModel
    from zoo.interfaces import Layer


def layers(model: LiteModel, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
    """The outputs of the operations of the file's first subgraph, in their order, under their tensors' names.

    Quantised ones twice: as they are, and as the numbers that they stand for. An entry behind another
    subgraph gives none: TFLite shows the inside of the first alone.
    """
    if model.entry.subgraph != 0:
        return []
    interpreter = _run(model, feeds)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    found = []
    for name, index in _outputs(model):
        if index not in details:
            continue
        try:
            array = interpreter.get_tensor(index)
        except ValueError:  # a tensor that the operation did not fill
            continue
        tensor = details[index]["name"]
        where = f"operation {name}, tensor {tensor!r}"
        found += [(tensor, name, meant, where) for meant in _meant(array, details[index])]
    return found


def _run(model: LiteModel, feeds: Mapping[str, np.ndarray]) -> Any:
    """An interpreter that kept all tensors; on TFLite's plain kernels, for delegates keep theirs."""
    lite = tensorflow().lite
    plain = lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with quiet():
        interpreter = lite.Interpreter(
            model_content=bytes(model.flatbuffer._tab.Bytes),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=plain,
        )
        return invoked(interpreter, model.entry, feeds)


def _outputs(model: LiteModel) -> Iterator[tuple[str, int]]:
    """Name of the operation and index of its tensor, in the order of execution."""
    graph = model.flatbuffer.Subgraphs(0)
    names = operation_names(model.flatbuffer)
    for place in range(graph.OperatorsLength()):
        operator = graph.Operators(place)
        for output in range(operator.OutputsLength()):
            yield names[operator.OpcodeIndex()], int(operator.Outputs(output))


def _meant(array: np.ndarray, detail: Mapping[str, Any]) -> Iterator[np.ndarray]:
    import numpy as np

    yield array
    scale, zero = detail["quantization"]
    if scale and array.dtype.kind in "iu":
        yield ((array.astype(np.float64) - zero) * scale).astype(np.float32)
