"""Core ML's models of features as ONNX, in float64, by the writer of the classical models."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Callable

from converters import coreml_steps, coreml_trees
from converters.classical import idioms
from converters.classical.facts import Feature, jumps, mapped, merge
from converters.classical.families.error_function import erf
from converters.classical.families.svm import radial
from converters.classical.families.trees import leaf_rows, summed_in_order
from converters.classical.graph import Graph, Value
from zoo.records import ColumnDomain, Domain, TensorSpec

if TYPE_CHECKING:
    import onnx

    from converters.coreml_steps import Kind, Step, Steps


def written(model: Steps, opset: int | None) -> onnx.ModelProto:
    """The model with its inputs and outputs under their names; numbers and texts are [batch]."""
    graph, known = Graph(), {}
    for name, kind in model.inputs:
        value = graph.input(name, kind.dtype, shape(kind))
        known[name] = idioms.upright(graph, value) if kind.width is None else value
    for step in model.steps:
        with graph.scope(step.where):
            found = STEPS[step.kind](graph, step, [known[name] for name in step.inputs])
            for (name, kind), value in zip(step.outputs, found):
                known[name] = graph.cast(value, "int64") if kind.dtype == "int64" else value
    for spec, (name, kind) in zip(outputs(model), model.outputs):
        value = idioms.flat(graph, known[name]) if kind.width is None else known[name]
        graph.output(name, value if kind.dtype == "string" else graph.cast(value, spec.dtype), spec.shape)
    return graph.build(opset)


def shape(kind: Kind, width: int = 0) -> tuple[Any, ...]:
    """[batch] of a number or text, [batch, width] of an array or dictionary."""
    return ("batch",) if kind.width is None else ("batch", kind.width or width)


def outputs(model: Steps) -> tuple[TensorSpec, ...]:
    """What the graph gives: a dictionary is the values of its keys, in the order of the class labels."""
    widths = {name: step.width for step in model.steps for name, _ in step.outputs}
    return tuple(
        TensorSpec(name, kind.dtype, shape(kind, widths.get(name, 0))) for name, kind in model.outputs
    )


def roles(model: Steps) -> dict[str, str]:
    """What a classifier's outputs are."""
    found: dict[str, str] = {}
    for step in model.steps:
        if step.kind in coreml_steps.CLASSIFIERS:
            found.update(zip((name for name, _ in step.outputs), ("label", "probabilities")))
    promised = {name for name, _ in model.outputs}
    return {name: role for name, role in found.items() if name in promised}


def _row(graph: Graph, values: list[Value]) -> Value:
    return idioms.concat(graph, [graph.cast(value, "float64") for value in values])


# --- transformers -----------------------------------------------------------------------------------


def _scaler(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    import numpy as np

    shifts, factors = coreml_steps.scaled(step)
    return [graph.mul(graph.add(_row(graph, values), np.array(shifts)), np.array(factors))]


def _imputer(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    import numpy as np

    what, by = coreml_steps.replaced(step)
    row = _row(graph, values)
    gaps = idioms.is_nan(graph, row) if what != what else graph.equal(row, float(what))
    return [graph.where(gaps, graph.constant(np.array([by], dtype=np.float64)), row)]


def _encoder(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    import numpy as np

    known = coreml_steps.categories(step)
    if step.widths != (1,) or values[0].dtype != ("string" if isinstance(known[0], str) else "int64"):
        raise step.refuse(f"{list(step.widths)} columns of {values[0].dtype}")
    codes = np.arange(len(known), dtype=np.int64)
    places = idioms.lookup(graph, values[0], list(known), codes, -1)
    return [idioms.one_hot(graph, places, len(known))]


def _extractor(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    return [idioms.take_columns(graph, _row(graph, values), list(step.parameters.extractIndex))]


def _together(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    return [_row(graph, values)]


# --- models -------------------------------------------------------------------------------------------


def _scores(graph: Graph, step: Step, values: list[Value]) -> Value:
    import numpy as np

    row = _row(graph, values)
    if not step.kind.startswith("tree"):
        weights, offsets = coreml_steps.linear(step)
        return graph.op("Gemm", row, np.array(weights).T.copy(), np.array(offsets))
    made = [coreml_trees.arrays(step, tree) for tree in step.trees]
    rows = leaf_rows(graph, row, [tree for tree, _ in made])
    table = np.concatenate([leaves for _, leaves in made])
    return graph.add(summed_in_order(graph, rows, table, len(made)), coreml_trees.base(step))


def _linked(graph: Graph, step: Step, name: str, score: Value) -> Value:
    import numpy as np

    if name in ("Logit", "Regression_Logistic"):
        return idioms.expit(graph, score)
    if name == "Probit":
        return graph.mul(graph.add(erf(graph, graph.mul(score, np.sqrt(0.5).item())), 1.0), 0.5)
    if name == "Classification_SoftMax":
        return idioms.softmax(graph, score)
    if name != "NoTransform":
        raise step.refuse(f"{name} of one number")
    return score


def _regressor(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    name = coreml_steps.link(step)
    if step.kind.startswith("tree") and (coreml_trees.dimensions(step) != 1 or "SoftMax" in name):
        raise step.refuse(f"{name} of {coreml_trees.dimensions(step)} numbers")
    return [_linked(graph, step, name, _scores(graph, step, values))]


def _classifier(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    import numpy as np

    single = coreml_steps.is_single(step)
    chances = _chances(graph, step, _scores(graph, step, values))
    if single:  # one half goes to the second class: coremltools writes 0.5 - 1e-7 where it must not
        first, second = (idioms.column(graph, chances, place) for place in (0, 1))
        place = graph.cast(graph.greater_equal(second, first), "int64")
    else:
        place = idioms.argmax(graph, chances)
    label = idioms.classes(graph, np.array(coreml_steps.labels(step)), place)
    return [idioms.upright(graph, label), chances]


def _chances(graph: Graph, step: Step, scores: Value) -> Value:
    name = coreml_steps.link(step)
    if coreml_steps.is_single(step):
        name = "Logit" if coreml_steps.has_reference(step) and name != "Probit" else name
        second = _linked(graph, step, name, scores)
        return idioms.concat(graph, [graph.sub(1.0, second), second])
    if coreml_steps.has_reference(step):
        none = graph.mul(idioms.take_columns(graph, scores, [0]), 0.0)
        return idioms.softmax(graph, idioms.concat(graph, [none, scores]))
    chances = _linked(graph, step, name, scores)
    if step.kind == "glmClassifier":
        return graph.div(chances, idioms.row_sum(graph, chances))
    return chances


def _support_vectors(graph: Graph, step: Step, values: list[Value]) -> list[Value]:
    import numpy as np

    vectors, weights, rho = coreml_steps.support_vectors(step)
    kernel = step.parameters.kernel
    kind = str(kernel.WhichOneof("kernel"))
    given, row = getattr(kernel, kind), _row(graph, values)
    if kind == "rbfKernel":
        near = radial(graph, row, vectors, given.gamma)
    else:
        near = graph.matmul(row, vectors.T.copy())
    if kind in ("polyKernel", "sigmoidKernel"):
        near = graph.add(graph.mul(near, given.gamma), given.c)
        near = graph.op("Tanh", near) if kind == "sigmoidKernel" else graph.pow(near, float(given.degree))
    return [graph.op("Gemm", near, np.array(weights).reshape(-1, 1), np.array([-rho]))]


STEPS: dict[str, Callable[[Graph, Step, list[Value]], list[Value]]] = {
    "scaler": _scaler,
    "imputer": _imputer,
    "oneHotEncoder": _encoder,
    "arrayFeatureExtractor": _extractor,
    "featureVectorizer": _together,
    "identity": _together,
    "treeEnsembleRegressor": _regressor,
    "treeEnsembleClassifier": _classifier,
    "glmRegressor": _regressor,
    "glmClassifier": _classifier,
    "supportVectorRegressor": _support_vectors,
}


# --- what to feed ---------------------------------------------------------------------------------------


def domains(model: Steps) -> tuple[Domain, ...]:
    """Where the answer may jump, and which categories there are, column by column of each input."""
    known: dict[str, list[Feature]] = {}
    for step in reversed(model.steps):
        after = [known.pop(name) for name, _ in step.outputs if name in known]
        before = _before(step, after[-1] if after else [Feature()] * step.width)
        for name, width in zip(step.inputs, step.widths):
            some, before = before[:width], before[width:]
            there = known.get(name, [Feature(used=False)] * width)
            known[name] = [merge([one, other]) for one, other in zip(there, some)]
    return tuple(
        Domain(tuple(fact.domain for fact in known.get(name, [Feature()] * kind.columns)))
        for name, kind in model.inputs
    )


def _before(step: Step, after: list[Feature]) -> list[Feature]:
    """The facts of a step's inputs, given those of its outputs."""
    width = sum(step.widths)
    if step.kind.startswith("treeEnsemble"):
        return _thresholds(step, width)
    if step.kind == "oneHotEncoder":
        values = coreml_steps.categories(step)
        domain = ColumnDomain(categories=values, accepts_unknown=step.parameters.handleUnknown != 0)
        return [Feature(domain=domain)]
    if step.kind == "arrayFeatureExtractor":
        found = [Feature(used=False)] * width
        for place, fact in zip(step.parameters.extractIndex, after):
            found[place] = merge([found[place], fact])
        return found
    if step.kind == "scaler":
        return _unscaled(step, after)
    if step.kind == "imputer":
        return [_with_gaps(step, fact) for fact in after]
    return after if step.kind in ("featureVectorizer", "identity") else [Feature()] * width


def _thresholds(step: Step, width: int) -> list[Feature]:
    values: list[list[float]] = [[] for _ in range(width)]
    for node in step.parameters.treeEnsemble.nodes:
        if node.nodeBehavior != coreml_trees.LEAF and node.branchFeatureIndex < width:
            values[node.branchFeatureIndex].append(node.branchFeatureValue)
    return [_missing(jumps(column)) for column in values]


def _missing(fact: Feature) -> Feature:
    return dataclasses.replace(fact, domain=dataclasses.replace(fact.domain, accepts_nan=True))


def _with_gaps(step: Step, fact: Feature) -> Feature:
    what, _ = coreml_steps.replaced(step)
    return _missing(fact) if what != what else fact


def _unscaled(step: Step, after: list[Feature]) -> list[Feature]:
    shifts, factors = coreml_steps.scaled(step)
    many = len(after)
    shifts, factors = shifts * (many // len(shifts)), factors * (many // len(factors))

    def back(fact: Feature, shift: float, factor: float) -> Feature:
        return mapped(fact, lambda points: points / factor - shift)

    return [back(fact, shift, factor) for fact, shift, factor in zip(after, shifts, factors)]
