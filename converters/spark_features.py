"""Spark ML's feature transformers. Source: org.apache.spark.ml.feature of Spark 4.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List

from converters.classical import idioms
from converters.spark_files import Stage, matrix, vector
from converters.spark_table import Table, constant_row

if TYPE_CHECKING:
    from converters.spark_table import Column


def _assembler(table: Table, stage: Stage) -> None:
    """A missing number is an error of Spark's, unless handleInvalid is keep."""
    graph = table.graph
    parts: List[Column] = [table.numbers(name) for name in stage.param("inputCols") or ()]
    if not parts:
        raise graph.refuse("it assembles nothing")
    how = _invalid(table, stage, "error", "keep")
    value = idioms.concat(graph, [part.value for part in parts])
    origins = tuple(origin for part in parts for origin in part.origins)
    if how == "error":
        for part in parts:
            if part.width == 1:
                table.no_missing(part)
    table.make(stage.column("outputCol"), value, origins=origins)


def _standard(table: Table, stage: Stage) -> None:
    """Deviations of 0 give 0."""
    import numpy as np

    row = stage.row()
    mean, deviation = vector(row["mean"]), vector(row["std"])
    column = table.numbers(stage.column("inputCol"), len(mean))
    table.jump(
        column, {i: (mean[i] - 2 * deviation[i], mean[i] + 2 * deviation[i]) for i in range(len(mean))}
    )
    value = column.value
    if stage.param("withMean"):
        value = table.graph.sub(value, constant_row(mean))
    if stage.param("withStd"):
        with np.errstate(divide="ignore"):
            factors = np.where(deviation == 0, 0.0, 1.0 / deviation)
        value = table.graph.mul(value, constant_row(factors))
    table.make(stage.column("outputCol"), value, width=len(mean))


def _min_max(table: Table, stage: Stage) -> None:
    """A range of 0 gives the middle of the new one; missing numbers stay."""
    import numpy as np

    graph, row = table.graph, stage.row()
    low, high = vector(row["originalMin"]), vector(row["originalMax"])
    least, most = float(stage.param("min")), float(stage.param("max"))
    column = table.numbers(stage.column("inputCol"), len(low))
    table.jump(column, {i: (low[i], high[i]) for i in range(len(low))})
    span = high - low
    divided = graph.div(
        graph.sub(column.value, constant_row(low)), constant_row(np.where(span == 0, 1.0, span))
    )
    middle = graph.where(idioms.is_nan(graph, column.value), column.value, 0.5)
    raw = graph.op("Where", graph.constant((span == 0)[None]), middle, divided)
    table.make(stage.column("outputCol"), graph.add(graph.mul(raw, most - least), least), width=len(low))


def _max_abs(table: Table, stage: Stage) -> None:
    import numpy as np

    largest = vector(stage.row()["maxAbs"])
    column = table.numbers(stage.column("inputCol"), len(largest))
    table.jump(column, {i: (-largest[i], largest[i]) for i in range(len(largest))})
    divisors = constant_row(np.where(largest == 0, 1.0, largest))
    table.make(stage.column("outputCol"), table.graph.div(column.value, divisors), width=len(largest))


def _indexer(table: Table, stage: Stage) -> None:
    """A text that was not seen gets the number after all others where handleInvalid is keep."""
    import numpy as np

    row = stage.row()
    lists = row["labelsArray"] if "labelsArray" in row else [row["labels"]]
    how = _invalid(table, stage, "error", "keep")
    names = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    for source, target, labels in zip(*names, lists):
        column = table.texts(source)
        table.known(column, tuple(labels), how == "keep")
        numbers = np.arange(len(labels), dtype=np.float64)
        other = float(len(labels)) if how == "keep" else float("nan")
        value = idioms.lookup(table.graph, column.value, list(labels), numbers, other)
        table.make(target, value, labels=tuple(labels))


def _one_hot(table: Table, stage: Stage) -> None:
    """Index i is column i; the last is left out where dropLast is set."""
    how = _invalid(table, stage, "error", "keep")
    sizes = [int(size) for size in stage.row()["categorySizes"]]
    names = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    for source, target, size in zip(*names, sizes):
        width = size + (how == "keep") - bool(stage.param("dropLast"))
        column = table.numbers(source, 1)
        table.jump(column, {0: range(size)})
        code = column.value
        if how == "keep":
            inside = table.graph.less(code, float(size))
            code = table.graph.where(inside, code, float(size))
        value = idioms.one_hot(table.graph, table.graph.cast(code, "int64"), width)
        table.make(target, value, width=width)


def _bucketizer(table: Table, stage: Stage) -> None:
    """Bucket i holds splits[i] and what is below splits[i + 1]; the last split is in the last bucket."""
    import numpy as np

    graph, how = table.graph, _invalid(table, stage, "error", "keep")
    several = stage.param("splitsArray")
    lists = [[_number(item) for item in splits] for splits in (several or [stage.param("splits")])]
    names = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    for source, target, splits in zip(*names, lists):
        column = table.numbers(source, 1)
        table.jump(column, {0: splits})
        table.within(column, splits[0], splits[-1])
        if how == "error":
            table.no_missing(column)
        above = graph.cast(graph.greater_equal(column.value, constant_row(splits[1:-1])), "float64")
        bucket = idioms.row_sum(graph, above) if len(splits) > 2 else graph.mul(column.value, 0.0)
        outside = float(len(splits) - 1)
        if how == "keep":
            bucket = graph.where(idioms.is_nan(graph, column.value), np.float64(outside), bucket)
        table.make(target, bucket)


def _binarizer(table: Table, stage: Stage) -> None:
    graph = table.graph
    thresholds = stage.param("thresholds")
    names = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    limits = thresholds or [stage.param("threshold")] * len(names[0])
    for source, target, limit in zip(*names, limits):
        column = table.numbers(source)
        table.jump(column, {i: (float(limit),) for i in range(column.width)})
        value = graph.cast(graph.greater(column.value, float(limit)), "float64")
        table.make(target, value, width=column.width)


def _normalizer(table: Table, stage: Stage) -> None:
    """Divided by the p-norm, unless that is 0."""
    import numpy as np

    graph, power = table.graph, _number(stage.param("p"))
    column = table.numbers(stage.column("inputCol"))
    size = graph.op("Abs", column.value)
    if power == 1:
        norm = idioms.row_sum(graph, size)
    elif power == 2:
        norm = graph.op("Sqrt", idioms.row_sum(graph, graph.mul(column.value, column.value)))
    elif np.isinf(power):
        norm = idioms.row_max(graph, size)
    else:
        norm = graph.pow(idioms.row_sum(graph, graph.pow(size, power)), 1.0 / power)
    safe = graph.where(graph.equal(norm, 0.0), 1.0, norm)
    table.make(stage.column("outputCol"), graph.div(column.value, safe), width=column.width)


def _pca(table: Table, stage: Stage) -> None:
    components = matrix(stage.row()["pc"])
    column = table.numbers(stage.column("inputCol"), components.shape[0])
    value = table.graph.matmul(column.value, components)
    table.make(stage.column("outputCol"), value, width=components.shape[1])


def _index_to_string(table: Table, stage: Stage) -> None:
    source = stage.column("inputCol")
    column = table.numbers(source, 1)
    labels = stage.param("labels") or column.labels
    if not labels:
        raise table.graph.refuse(
            "its labels are in the metadata of a column that the saved model does not hold"
        )
    texts = idioms.take(table.graph, list(labels), table.graph.cast(column.value, "int64"))
    table.make(stage.column("outputCol"), texts, role="label")


def _number(value: Any) -> float:
    """A number as Spark writes it in JSON, where the infinite ones are texts."""
    return float({"-Inf": "-inf", "Inf": "inf"}.get(value, value) if isinstance(value, str) else value)


def _invalid(table: Table, stage: Stage, *taken: str) -> str:
    """The parameter handleInvalid; ``skip`` would leave rows out."""
    how = str(stage.param("handleInvalid"))
    if how not in taken:
        raise table.graph.refuse(f"handleInvalid={how!r} leaves rows out", "Use 'error' or 'keep'.")
    return how


WRITERS: Dict[str, Callable[[Table, Stage], None]] = {
    "feature.VectorAssembler": _assembler,
    "feature.StandardScalerModel": _standard,
    "feature.MinMaxScalerModel": _min_max,
    "feature.MaxAbsScalerModel": _max_abs,
    "feature.StringIndexerModel": _indexer,
    "feature.OneHotEncoderModel": _one_hot,
    "feature.Bucketizer": _bucketizer,
    "feature.Binarizer": _binarizer,
    "feature.Normalizer": _normalizer,
    "feature.PCAModel": _pca,
    "feature.IndexToString": _index_to_string,
}
