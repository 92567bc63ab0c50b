"""A Spark ML model as an ONNX graph in float64: each stage writes the columns that Spark would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Sequence, Tuple

from converters import spark_features, spark_linear, spark_trees
from converters.classical import idioms
from converters.classical.graph import Graph
from converters.spark_files import Stage
from converters.spark_table import Table
from zoo.errors import UsageError
from zoo.records import Domain, TensorSpec, record

if TYPE_CHECKING:
    import onnx

WRITERS = {**spark_features.WRITERS, **spark_linear.WRITERS, **spark_trees.WRITERS}
_PREDICTORS = {**spark_linear.WRITERS, **spark_trees.WRITERS}


@record
class Written:
    """The graph of a model and what it says of itself."""

    graph: Graph
    inputs: Tuple[TensorSpec, ...]
    outputs: Tuple[TensorSpec, ...]
    domains: Tuple[Domain, ...]
    roles: Dict[str, str]

    def model(self, opset: int | None) -> onnx.ModelProto:
        return self.graph.build(opset)


def written(stages: Sequence[Stage], wished: Sequence[TensorSpec]) -> Written:
    """The outputs are the columns of all predictors, and those of the last stage.

    Raises `UnsupportedModelError` for a stage that is not converted, `UsageError` for an input that none
    reads.
    """
    graph = Graph()
    table = Table(graph, wished)
    chosen: Dict[str, None] = {}
    for number, stage in enumerate(stages):
        before = set(table.made)
        with graph.scope(stage.uid):
            writer = WRITERS.get(stage.kind)
            if writer is None:
                known = ", ".join(sorted(name.rpartition(".")[2] for name in WRITERS))
                raise graph.refuse(f"{stage.kind} is not converted", f"Converted: {known}.")
            writer(table, stage)
        if stage.kind in _PREDICTORS or number == len(stages) - 1:
            entered = {spec.name for spec in table.inputs}
            chosen.update(dict.fromkeys(name for name in table.made if name not in before | entered))
    unread = [spec.name for spec in wished if spec not in table.inputs]
    if unread:
        read = ", ".join(spec.name for spec in table.inputs)
        raise UsageError(f"the model has no input {unread[0]!r}", hint=f"Its inputs: {read}.")
    outputs = tuple(_output(table, name) for name in chosen)
    roles = {name: table.roles[name] for name in chosen}
    return Written(graph, tuple(table.inputs), outputs, table.domains(), roles)


def _output(table: Table, name: str) -> TensorSpec:
    """[N] where a column holds single values, [N, width] where it holds vectors."""
    column = table.made[name]
    if column.width == 1 and table.roles[name] in ("label", "values"):
        table.graph.output(name, idioms.flat(table.graph, column.value), ("batch",))
        return TensorSpec(name, column.value.dtype, ("batch",))
    table.graph.output(name, column.value, ("batch", column.width))
    return TensorSpec(name, column.value.dtype, ("batch", column.width))
