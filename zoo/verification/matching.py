"""Feeds of a source, made to fit the inputs of a graph that somebody else converted.

The same table may enter as one matrix or as a column for each feature, an image with its channels
first or last, a float64 row as float32. Each adaptation is recorded; what is ambiguous is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

from zoo.errors import VerificationError
from zoo.records import Signature, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors


@record
class InputPlan:
    """How one input of the graph is made from the source's inputs.

    `sources` are their names; several are joined as columns. `column` cuts one column out of a
    matrix. `layout` is ``"NCHW→NHWC"``, ``"NHWC→NCHW"`` or None.
    """

    target: TensorSpec
    sources: tuple[str, ...]
    column: Optional[int] = None
    layout: Optional[str] = None


@record
class Matching:
    """The plan of every input of a graph, and what a reader should know of it."""

    plans: tuple[InputPlan, ...]
    notes: tuple[str, ...] = ()

    def apply(self, feeds: Tensors) -> Tensors:
        """The feeds under the graph's names, shapes and dtypes."""
        return {plan.target.name: _made(plan, feeds) for plan in self.plans}


def adapted_feeds(
    feeds: Tensors, inputs: Sequence[TensorSpec], constants: Optional[Mapping[str, Any]] = None
) -> Tensors:
    """`feeds`, with the inputs that only the graph has, as the graph with these `inputs` takes them.

    See `match_inputs`.
    """
    fed = with_constants(feeds, inputs, constants or {})
    return matched(fed, inputs).apply(fed)


def with_constants(feeds: Tensors, inputs: Sequence[TensorSpec], constants: Mapping[str, Any]) -> Tensors:
    """`feeds` and the given values. Raises `VerificationError` for a name that the graph does not have."""
    import numpy as np

    kinds = {spec.name: spec.dtype for spec in inputs}
    for name in constants:
        if name not in kinds:
            raise VerificationError(f"the graph has no input {name!r}, only {', '.join(kinds)}")
    values = {name: np.asarray(value, dtype=_numpy(kinds[name])) for name, value in constants.items()}
    return {**feeds, **values}


def _numpy(dtype: str) -> str:
    return {"string": "str", "bfloat16": "float32"}.get(dtype, dtype)


def matched(feeds: Tensors, inputs: Sequence[TensorSpec]) -> Matching:
    """How a graph with these `inputs` takes `feeds`; see `match_inputs`."""
    specs = tuple(TensorSpec(name, _dtype(array), array.shape) for name, array in feeds.items())
    return match_inputs(Signature(inputs=specs), Signature(inputs=tuple(inputs)))


def match_inputs(source: Signature, graph: Signature) -> Matching:
    """How the inputs of `graph` are made from those of `source`.

    By name; else, where their numbers agree, by position; else one matrix against a column for each
    feature. Raises `VerificationError` where none of these fits.
    """
    plans = _by_name(source, graph) or _by_position(source, graph) or _by_columns(source, graph)
    if plans is None:
        raise VerificationError(
            f"the graph's inputs ({_listed(graph)}) cannot be matched with the source's ({_listed(source)})",
            hint="--constant NAME=VALUE gives what only the graph has; --input renames the source's.",
        )
    known = {spec.name: spec for spec in source.inputs}
    plans = [_with_layout(plan, known) for plan in plans]
    return Matching(tuple(plans), tuple(note for plan in plans for note in _notes(plan, known)))


def _by_name(source: Signature, graph: Signature) -> Optional[list[InputPlan]]:
    names = {spec.name for spec in source.inputs}
    if not all(spec.name in names for spec in graph.inputs):
        return None
    return [InputPlan(spec, (spec.name,)) for spec in graph.inputs]


def _by_position(source: Signature, graph: Signature) -> Optional[list[InputPlan]]:
    """The same number of inputs; names that agree stay together, the rest pairs up in order."""
    if len(source.inputs) != len(graph.inputs):
        return None
    same = {spec.name for spec in graph.inputs} & {spec.name for spec in source.inputs}
    rest = iter([spec.name for spec in source.inputs if spec.name not in same])
    plans = [InputPlan(s, (s.name if s.name in same else next(rest),)) for s in graph.inputs]
    known = {spec.name: spec for spec in source.inputs}
    return plans if all(_compatible(known[p.sources[0]], p.target) for p in plans) else None


def _by_columns(source: Signature, graph: Signature) -> Optional[list[InputPlan]]:
    if len(source.inputs) == 1 and _width(source.inputs[0]) == len(graph.inputs):
        name = source.inputs[0].name
        return [InputPlan(spec, (name,), column=i) for i, spec in enumerate(graph.inputs)]
    if len(graph.inputs) == 1 and _width(graph.inputs[0]) in (len(source.inputs), None):
        names = tuple(spec.name for spec in source.inputs)
        columns = [_width(spec) == 1 and len(spec.shape) == 2 for spec in source.inputs]
        return [InputPlan(graph.inputs[0], names)] if all(columns) and len(names) > 1 else None
    return None


def _width(spec: TensorSpec) -> Optional[int]:
    last = spec.shape[-1] if len(spec.shape) == 2 else None
    return last if isinstance(last, int) else None


def _compatible(source: TensorSpec, target: TensorSpec) -> bool:
    """Whether dtypes are of one kind; shapes are judged when the graph runs."""
    return (source.dtype == "string") == (target.dtype == "string")


def _with_layout(plan: InputPlan, known: dict[str, TensorSpec]) -> InputPlan:
    source = known[plan.sources[0]]
    if len(plan.sources) > 1 or plan.column is not None:
        return plan
    return InputPlan(plan.target, plan.sources, None, layout(source, plan.target))


def layout(source: TensorSpec, target: TensorSpec) -> Optional[str]:
    """The transposition that an image needs, when the channel counts leave no doubt."""
    if len(source.shape) != 4 or len(target.shape) != 4 or _fits(source, target, (0, 1, 2, 3)):
        return None
    first, last = _fits(source, target, (0, 3, 1, 2)), _fits(source, target, (0, 2, 3, 1))
    if first == last:
        return None
    return "NHWC→NCHW" if first else "NCHW→NHWC"


def _fits(source: TensorSpec, target: TensorSpec, order: tuple[int, ...]) -> bool:
    """Whether the fixed axes agree; a transposition must also be proven by one fixed axis."""
    pairs = [(source.shape[axis], target.shape[i]) for i, axis in enumerate(order)]
    return all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


def _notes(plan: InputPlan, known: dict[str, TensorSpec]) -> list[str]:
    target, source = plan.target, known[plan.sources[0]]
    notes = []
    if len(plan.sources) > 1:
        notes.append(f"input {target.name!r} is {len(plan.sources)} columns of the source joined")
    elif plan.column is not None:
        notes.append(f"input {target.name!r} is column {plan.column} of {source.name!r}")
    elif target.name != source.name:
        notes.append(f"input {target.name!r} is {source.name!r} by position")
    if plan.layout:
        notes.append(f"input {target.name!r} was transposed {plan.layout}")
    if source.dtype != target.dtype:
        notes.append(f"input {target.name!r} was cast from {source.dtype} to {target.dtype}")
    return notes


def _made(plan: InputPlan, feeds: Tensors) -> np.ndarray:
    import numpy as np

    arrays = [feeds[name] for name in plan.sources]
    if len(arrays) > 1:
        array = np.concatenate([_as_dtype(item, plan.target.dtype) for item in arrays], axis=1)
    else:
        array = arrays[0]
    if plan.column is not None:
        array = array[:, plan.column : plan.column + 1]
    if plan.layout:
        array = np.transpose(array, (0, 3, 1, 2) if plan.layout == "NHWC→NCHW" else (0, 2, 3, 1))
    return _reshaped(_as_dtype(array, plan.target.dtype), plan.target)


def _reshaped(array: np.ndarray, target: TensorSpec) -> np.ndarray:
    """A column axis more or less, where the graph has ``[N]`` for the source's ``[N, 1]``."""
    if array.ndim == len(target.shape) + 1 and array.shape[-1] == 1:
        return array[..., 0]
    if array.ndim + 1 == len(target.shape) and target.shape[-1] == 1:
        return array[..., None]
    return array


def _as_dtype(array: np.ndarray, dtype: str) -> np.ndarray:
    import numpy as np

    if dtype == "string":
        return array.astype(np.str_)
    if dtype == "bfloat16" or "(" in dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        result = array.astype(np.dtype(dtype))
    if result.dtype.kind in "iub" and not np.array_equal(result, array):
        raise VerificationError(
            f"the graph takes {dtype}, which cannot hold the source's {array.dtype} input values",
            hint="The graph was converted with a narrower input type than its source has.",
        )
    return result


def _dtype(array: np.ndarray) -> str:
    return "string" if array.dtype.kind in "UOS" else str(array.dtype)


def _listed(signature: Signature) -> str:
    return ", ".join(map(str, signature.inputs))
