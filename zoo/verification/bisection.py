"""The first wrong node of a graph, found by the values inside it.

What is right inside a graph can be recognised: the source's layers (`Tap`), or the nodes of another
graph of the same model, give arrays, and a value of the graph that equals one of them was computed
rightly so far. Walking towards the output that is wrong, the fault lies between the last values that
are recognised and the first that should be and are not. Nothing is matched by name or by structure,
so it does not matter how a converter fuses, splits or renames.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Iterable, Sequence

from zoo.errors import VerificationError
from zoo.records import record
from zoo.verification.tolerances import ON_THE_BOUNDARY, class_of

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.records import FeedCase, SourceDescription, VerificationReport
    from zoo.tensors import Tensors

NOISE = 1e-7
"""Relative size of honest float32 differences between layers."""
MAX_REGION = 40
"""Most nodes of the part of the graph that is shown."""


@record
class Tap:
    """One array from inside the source: the name of the layer, its kind, and where it stands in code."""

    name: str
    kind: str
    array: Any
    where: str = ""


@record
class Finding:
    """Where a graph goes wrong.

    `node` is the first node whose result is not recognised, `region` all nodes from there to the next
    place where the source could have been recognised, `inputs` the recognised values they start from.
    `layer` is the first layer of the source that is nowhere in the graph, `last_right` the one before.
    """

    node: str
    op_type: str
    region: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    layer: str | None = None
    layer_kind: str | None = None
    where: str = ""
    last_right: str | None = None
    error: float = 0.0
    expected: Any = None
    """What `layer` gave."""

    def __str__(self) -> str:
        right = f", right until {self.last_right!r}" if self.last_right else ""
        layer = f", in the source {self.layer_kind} {self.layer!r}" if self.layer else ""
        return f"first wrong: {self.op_type} {self.node!r}{layer}{right}"


def all_values(model: onnx.ModelProto, feeds: Tensors) -> Tensors:
    """Every value that a node of the main graph computes, by name; unoptimised, on one thread."""
    import onnx

    from zoo.verification.runtime import Session

    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    known = {output.name for output in tapped.graph.output}
    names = [name for node in tapped.graph.node for name in node.output if name and name not in known]
    tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names))
    return Session(tapped.SerializeToString(), optimisation="none").run(feeds)


def node_taps(model: onnx.ModelProto, feeds: Tensors) -> list[Tap]:
    """The values of a graph that is right, as taps: for bisection against another conversion."""
    values = all_values(model, feeds)
    return [
        Tap(name, node.op_type, values[name], f"node {node.name or name}")
        for node in model.graph.node
        for name in node.output
        if name in values
    ]


def bisect(
    model: onnx.ModelProto, feeds: Tensors, taps: Sequence[Tap], expected: Tensors, noise: float = NOISE
) -> Finding:
    """The first wrong node on the way to the output that is furthest from `expected`.

    `taps` are in the order of execution, `noise` is the relative size of honest differences. Raises
    `VerificationError` where every output is right.
    """
    values = all_values(model, feeds)
    output, error = _worst_output(values, expected)
    if error <= 4 * noise:
        raise VerificationError("every output agrees on these inputs: there is nothing to bisect")
    # Half way, on a logarithmic scale, between rounding and the error that is to be explained.
    tolerance = (noise * min(error, 1.0)) ** 0.5 if error < float("inf") else max(1e-4, noise)
    recogniser = _Recogniser(taps, max(tolerance, 4 * noise))
    return _Search(model, {**feeds, **values}, recogniser).finding(output, error)


@record
class Inside:
    """What is known of the inside of a source, on some feeds: its layers, and the nodes of another conversion
    of it (`node_taps`), which `located` does without where that is wrong itself."""

    layers: Sequence[Tap] = ()
    nodes: Sequence[Tap] = ()


def located(
    model: onnx.ModelProto, feeds: Tensors, inside: Inside, expected: Tensors, noise: float = NOISE
) -> Finding:
    """The first wrong node, by the source's layers, and where that is narrower by a right conversion's nodes.

    A source of few layers, such as a single estimator, does not tell the node.
    """
    by_layer = bisect(model, feeds, inside.layers, expected, noise)
    if not _explains(inside.nodes, expected, max(64 * noise, by_layer.error / 100)):
        return by_layer
    by_node = bisect(model, feeds, inside.nodes, expected, noise)
    if len(by_node.region) >= len(by_layer.region):
        return by_layer
    if by_layer.layer is None:
        return by_node
    return replace(
        by_node,
        layer=by_layer.layer,
        layer_kind=by_layer.layer_kind,
        where=by_layer.where,
        last_right=by_layer.last_right,
        expected=by_layer.expected,
    )


def _explains(nodes: Sequence[Tap], expected: Tensors, most: float) -> bool:
    """Whether a conversion, by the values of its nodes, is off from its source by no more than `most`."""
    values = {tap.name: tap.array for tap in nodes}
    return all(name in values and distance(values[name], array) <= most for name, array in expected.items())


def noise_of(description: SourceDescription) -> float:
    """The relative size of honest differences inside a source: a step of int8, else float32's rounding."""
    return 1 / 128 if class_of(description) else NOISE


def _worst_output(values: Tensors, expected: Tensors) -> tuple[str, float]:
    errors = {name: distance(values[name], array) for name, array in expected.items() if name in values}
    if not errors:
        raise VerificationError(f"the graph has none of the outputs {sorted(expected)}")
    name = max(errors, key=lambda key: errors[key])
    return name, errors[name]


def distance(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference relative to the largest expected magnitude; infinite where shapes or
    kinds differ, or NaN stands on one side only."""
    import numpy as np

    if actual.size != expected.size:
        return float("inf")
    if "U" in (actual.dtype.kind, expected.dtype.kind):
        same = np.array_equal(actual.astype(str).ravel(), expected.astype(str).ravel())
        return 0.0 if same else float("inf")
    e = expected.astype(np.float64).reshape(-1)
    a = actual.astype(np.float64).reshape(-1)
    if not np.array_equal(np.isnan(a), np.isnan(e)):
        return float("inf")
    with np.errstate(invalid="ignore"):
        gap = np.where(np.isnan(e) | (a == e), 0.0, np.abs(a - e))
    scale = np.abs(e[np.isfinite(e)]).max(initial=0.0)
    worst = float(gap.max(initial=0.0))
    return worst / float(scale) if scale > 0 else worst


class _Recogniser:
    """Which tap a value of the graph is, if any."""

    def __init__(self, taps: Sequence[Tap], tolerance: float) -> None:
        self.taps = [tap for tap in taps if tap.array.size]
        self._tolerance = tolerance
        self.found: dict[str, int] = {}
        """The tap of each recognised value, as an index."""

    def recognises(self, name: str, value: np.ndarray) -> bool:
        for index, tap in enumerate(self.taps):
            if tap.array.size == value.size and self._same(value, tap.array):
                self.found[name] = index
                return True
        return False

    def _same(self, value: np.ndarray, array: np.ndarray) -> bool:
        """Equal as they lie, or with the channels of an image moved from last to first."""
        if value.size > 1 and _is_constant(array):
            return False
        if self._close(value, array):
            return True
        if value.ndim not in (3, 4) or array.ndim != value.ndim:
            return False
        moved = array.transpose((0, value.ndim - 1, *range(1, value.ndim - 1)))
        return moved.shape == value.shape and self._close(value, moved)

    def _close(self, value: np.ndarray, array: np.ndarray) -> bool:
        """By the largest element, and by most elements each: a few huge ones hide the others."""
        if distance(value, array) > self._tolerance:
            return False
        return array.dtype.kind not in "fiu" or _usual_relative(value, array) <= 10 * self._tolerance

    def around(self, starts: Iterable[str]) -> tuple[Tap | None, Tap | None]:
        """The last tap among the values `starts`, and the first after it that is nowhere in the graph."""
        last = max((self.found[name] for name in starts if name in self.found), default=-1)
        found = set(self.found.values())
        lost = next((i for i in range(last + 1, len(self.taps)) if i not in found), None)
        return (self.taps[last] if last >= 0 else None), (None if lost is None else self.taps[lost])


def _usual_relative(value: np.ndarray, array: np.ndarray) -> float:
    """The relative error that three quarters of the elements do not exceed."""
    import numpy as np

    e, a = array.astype(np.float64).reshape(-1), value.astype(np.float64).reshape(-1)
    usable = np.isfinite(e) & np.isfinite(a) & (e != 0)
    return float(np.quantile(np.abs(a - e)[usable] / np.abs(e)[usable], 0.75)) if usable.any() else 0.0


def _is_constant(array: np.ndarray) -> bool:
    """Zeros after a dead layer are everywhere and prove nothing."""
    flat = array.reshape(-1)
    return bool((flat == flat[0]).all())


@dataclass
class _Search:
    model: onnx.ModelProto
    values: Tensors
    recogniser: _Recogniser
    right: set[str] = field(default_factory=set)

    def finding(self, output: str, error: float) -> Finding:
        nodes, inputs = _ancestors(self.model, output), self._inputs()
        for name in inputs.intersection(self.values):
            self.recogniser.recognises(name, self.values[name])
        self.right = {
            name for node in nodes for name in node.output if name != output and self._is_right(name)
        }
        region = _unexplained(nodes, output, self.right)
        wrong = self._from_first_data(region) or region
        data = self.right | inputs
        starts = {name for node in wrong for name in _reads(node) if name in data}
        last, lost = self.recogniser.around(starts.intersection(_reads(wrong[0])) or starts)
        return Finding(
            wrong[0].name or wrong[0].output[0],
            wrong[0].op_type,
            tuple(node.name or node.output[0] for node in wrong[:MAX_REGION]),
            tuple(sorted(starts)),
            output,
            layer=None if lost is None else lost.name,
            layer_kind=None if lost is None else lost.kind,
            where="" if lost is None else lost.where,
            last_right=None if last is None else last.name,
            error=error,
            expected=None if lost is None else lost.array,
        )

    def _is_right(self, name: str) -> bool:
        value = self.values.get(name)
        return value is not None and value.size > 0 and self.recogniser.recognises(name, value)

    def _inputs(self) -> set[str]:
        stored = {tensor.name for tensor in self.model.graph.initializer}
        return {value.name for value in self.model.graph.input} - stored

    def _from_first_data(self, region: Sequence[Any]) -> list[Any]:
        """Without what only computes shapes and constants before the first node that takes right data."""
        fixed = _fixed(self.model)
        data = (self.right | self._inputs()) - fixed
        for i, node in enumerate(region):
            if data.intersection(_reads(node)) and not fixed.issuperset(node.output):
                return list(region[i:])
        return []


def _reads(node: Any) -> set[str]:
    """The values that a node takes, those included that its subgraphs take from around them."""
    found = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            made = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            for inner in graph.node:
                found |= _reads(inner) - made
                made |= set(inner.output)
    return found - {""}


def _fixed(model: onnx.ModelProto) -> set[str]:
    """The values that hang on the shapes of the inputs alone, or on nothing."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size") or fixed.issuperset(_reads(node)):
            fixed |= set(node.output)
    return fixed


def _ancestors(model: onnx.ModelProto, output: str) -> list[Any]:
    """The nodes that the output depends on, in the order of the graph."""
    wanted, found = {output}, []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            found.append(node)
            wanted |= _reads(node)
    return found[::-1]


def _unexplained(nodes: Sequence[Any], output: str, right: set[str]) -> list[Any]:
    """The nodes from which the output is reached without passing a recognised value, earliest first."""
    wanted, region = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            region.append(node)
            wanted |= _reads(node) - right
    return region[::-1]


def taps_from(layers: Iterable[tuple[str, str, Any, str]]) -> list[Tap]:
    """Taps of ``(name, kind, array, where)``, as a converter's ``layers`` gives them."""
    return [Tap(*layer) for layer in layers]


def failing_case(report: VerificationReport) -> FeedCase | None:
    """The case to bisect on: the smallest of those with a wrong output, but for those on boundaries.

    Where a case is wrong only when it is run in another way (without the optimiser), that case. None where
    every case passed, or none could be compared.
    """
    failed = [c.case for c in report.cases if c.error is None and not c.passed]
    usual = [case for case in failed if "," not in case.name]
    if not usual:
        names = {case.name.partition(",")[0] for case in failed}
        usual = [c.case for c in report.cases if c.case.name in names]
    return min(usual, key=lambda case: (case.family in ON_THE_BOUNDARY, case.batch), default=None)
