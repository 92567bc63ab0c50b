"""A TensorFlow model of any kind as one traced function with named inputs and outputs.

Every kind of file ends in a `Program`: the reference runs it and tf2onnx reads it, so that both
see the same trace, the same names and the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from converters.tensorflow_runtime import first, quiet, tensorflow
from zoo.errors import ConversionError, MissingInputError, UsageError
from zoo.records import Dim, Signature, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors


@record
class Port:
    """An input of a TensorFlow callable. A None in `shape` is a dynamic axis, a None for it no known rank."""

    name: str
    dtype: str
    shape: Any


@record
class Program:
    """A traced function: positional inputs and a flat tuple of outputs, both named by `signature`.

    `owner` is kept alive because the function only refers to its variables and tables.
    """

    concrete: Any
    owner: Any
    signature: Signature


def trace(
    call: Callable[..., Any], ports: Sequence[Port], owner: Any, requested: Sequence[TensorSpec] = ()
) -> Program:
    """Trace `call`, which takes one tensor for each of `ports` and returns ``{name: tensor}``.

    `requested` gives shapes and dtypes that the source leaves open, or narrows them.

    Raises:
        MissingInputError: an input's rank is unknown and was not requested.
        ConversionError: TensorFlow cannot trace the call at these shapes.
    """
    tf = tensorflow()
    specs = _specified(ports, requested)
    names: list[str] = []

    def flat(*tensors: Any) -> tuple[Any, ...]:
        outputs = call(*tensors)
        names[:] = list(outputs)
        return tuple(tf.identity(value) for value in outputs.values())

    signature = [
        tf.TensorSpec(_plain_shape(spec), _tf_dtype(spec), name=f"arg{i}") for i, spec in enumerate(specs)
    ]
    concrete = _concrete(flat, signature)
    outputs = [_output(name, spec) for name, spec in zip(names, concrete.structured_outputs)]
    return Program(concrete, (owner, call), Signature(tuple(specs), tuple(outputs)))


def arithmetic(program: Program) -> str | None:
    """The 16-bit format that any operation computes in, as under a policy of mixed precision."""
    from itertools import chain

    definition = program.concrete.graph.as_graph_def()
    inner = (function.node_def for function in definition.library.function)
    types = tensorflow().dtypes
    found = {node.attr[key].type for node in chain(definition.node, *inner) for key in ("T", "dtype", "DstT")}
    coarse = (types.bfloat16, types.float16)
    return next((kind.name for kind in coarse if kind.as_datatype_enum in found), None)


def run(program: Program, feeds: Mapping[str, np.ndarray]) -> Tensors:
    """The source's answer to `feeds`; text is a numpy unicode array on both sides."""
    import numpy as np

    tf = tensorflow()
    with quiet(), tf.device("/cpu:0"):
        tensors = [tf.constant(feeds[spec.name], _tf_dtype(spec)) for spec in program.signature.inputs]
        try:
            results = program.concrete(*tensors)
        except tf.errors.OpError as error:
            raise ConversionError(f"TensorFlow cannot run the model: {first(error)}") from error
    names = [spec.name for spec in program.signature.outputs]
    return {name: _decoded(np.asarray(value.numpy())) for name, value in zip(names, results)}


def axis_name(tensor: str, axis: int, size: Any) -> Dim:
    """The size of an axis, or the name of a dynamic one: ``batch`` first, then one of its own."""
    if size is not None:
        return int(size)
    return "batch" if axis == 0 else f"{tensor}_dim{axis}"


def _concrete(function: Callable[..., Any], signature: Sequence[Any]) -> Any:
    tf = tensorflow()
    try:
        with quiet(), tf.device("/cpu:0"):
            return tf.function(function, input_signature=signature).get_concrete_function()
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError) as error:
        shapes = ", ".join(f"{spec.dtype.name}{list(spec.shape)}" for spec in signature)
        raise ConversionError(
            f"TensorFlow cannot trace the model for inputs {shapes}: {first(error)}",
            hint="Give the shapes that the model was built for with --input name:dtype[batch,…].",
        ) from error


def _specified(ports: Sequence[Port], requested: Sequence[TensorSpec]) -> list[TensorSpec]:
    given = {spec.name: spec for spec in requested}
    if len(ports) == 1 and len(requested) == 1 and ports[0].name not in given:
        given = {ports[0].name: requested[0]}
    unknown = set(given) - {port.name for port in ports}
    if unknown:
        known = ", ".join(port.name for port in ports)
        raise UsageError(f"the model has no input {sorted(unknown)[0]!r}", hint=f"Its inputs: {known}")
    return [_merged(port, given.get(port.name)) for port in ports]


def _merged(port: Port, given: TensorSpec | None) -> TensorSpec:
    if given is not None:
        return TensorSpec(port.name, given.dtype or port.dtype, given.shape)
    if port.shape is None:
        raise MissingInputError(
            f"the rank of input {port.name!r} is unknown: the model does not record it",
            hint=f"Give it: --input '{port.name}:{port.dtype}[batch,…]', or with [] for a scalar.",
        )
    shape = tuple(axis_name(port.name, axis, size) for axis, size in enumerate(port.shape))
    return TensorSpec(port.name, port.dtype, shape)


def _output(name: str, spec: Any) -> TensorSpec:
    rank = spec.shape.rank
    shape = () if rank is None else tuple(axis_name(name, i, size) for i, size in enumerate(spec.shape))
    return TensorSpec(name, spec.dtype.name, shape)


def _plain_shape(spec: TensorSpec) -> list[int | None]:
    return [dim if isinstance(dim, int) else None for dim in spec.shape]


def _tf_dtype(spec: TensorSpec) -> Any:
    return tensorflow().dtypes.as_dtype(spec.dtype)


def _decoded(array: np.ndarray) -> np.ndarray:
    import numpy as np

    if array.dtype != object:
        return array
    return np.array([item.decode("utf-8") for item in array.ravel()], dtype=np.str_).reshape(array.shape)
