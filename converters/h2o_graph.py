"""An H2O MOJO as an ONNX graph in float64, in the order of H2O's own sums.

Source: score0 of hex.genmodel.algos.{gbm,drf,isofor,glm,kmeans}.…MojoModel and hex.genmodel.GenModel
(H2O 3.46). Texts that are no category of a column are missing, as H2O's own ``predict`` takes them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Callable, Dict, List, Tuple

from converters import h2o_linear, h2o_network, h2o_trees, h2o_xgboost
from converters.classical import idioms
from converters.classical.families.boosted import Boosted, sums
from converters.classical.graph import Graph, Value
from converters.h2o_files import Mojo
from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

if TYPE_CHECKING:
    import onnx

    from converters.h2o_trees import Forest

Outputs = Dict[str, Value]
LABEL, PROBABILITIES, VALUE = "label", "probabilities", "variable"


def inputs(mojo: Mojo) -> Tuple[TensorSpec, ...]:
    """One matrix X where all columns are numbers, else one [batch, 1] for each column, under its name."""
    if not any(domain is not None for domain in mojo.domains):
        return (TensorSpec("X", "float64", ("batch", len(mojo.columns))),)
    dtypes = ["float64" if domain is None else "string" for domain in mojo.domains]
    return tuple(TensorSpec(name, dtype, ("batch", 1)) for name, dtype in zip(mojo.columns, dtypes))


def outputs(mojo: Mojo) -> Tuple[TensorSpec, ...]:
    """What the graph gives: see docs/frameworks/h2o.md."""
    return tuple(TensorSpec(name, dtype, ("batch", *rest)) for name, dtype, rest in _shapes(mojo))


def _shapes(mojo: Mojo) -> List[Tuple[str, str, Tuple[int, ...]]]:
    if mojo.algorithm == "kmeans":
        return [(LABEL, "int64", ())]
    if mojo.algorithm == "isolationforest":
        found: List[Tuple[str, str, Tuple[int, ...]]] = [
            ("scores", "float64", ()),
            ("mean_length", "float64", ()),
        ]
        return [(LABEL, "int64", ()), *found] if mojo.flag("output_anomaly_flag") else found
    if mojo.classes is None:
        return [(VALUE, _dtype(mojo), ())]
    chances: List[Tuple[str, str, Tuple[int, ...]]] = [(PROBABILITIES, _dtype(mojo), (len(mojo.classes),))]
    return [(LABEL, "string", ()), *chances] if mojo.labelled else chances


def _dtype(mojo: Mojo) -> str:
    """XGBoost computes in float32; H2O writes the same numbers as float64."""
    return "float32" if mojo.algorithm == "xgboost" else "float64"


def written(mojo: Mojo, opset: int | None) -> onnx.ModelProto:
    """The model. Raises `UnsupportedModelError` for an algorithm or a setting that is not converted."""
    writer = WRITERS.get(mojo.algorithm)
    if writer is None:
        known = ", ".join(sorted(WRITERS))
        raise UnsupportedModelError(
            f"H2O's {mojo.info.get('algorithm', mojo.algorithm)} is not converted",
            hint=f"Converted: {known}.",
        )
    graph = Graph()
    x = _rows(graph, mojo)
    with graph.scope(mojo.algorithm):
        found = writer(graph, x, mojo)
    for spec in outputs(mojo):
        graph.output(spec.name, found[spec.name], spec.shape)
    return graph.build(opset)


def _rows(graph: Graph, mojo: Mojo) -> Value:
    """[N, columns] float64: numbers, and the number of a category, NaN where it is none."""
    given = [graph.input(spec.name, spec.dtype, spec.shape) for spec in inputs(mojo)]
    if len(given) == 1 and given[0].dtype != "string":
        return given[0]
    columns = zip(given, mojo.columns, mojo.domains)
    parts = [
        value if domain is None else _code(graph, value, name, domain) for value, name, domain in columns
    ]
    return idioms.concat(graph, parts)


def _code(graph: Graph, value: Value, name: str, domain: Tuple[str, ...]) -> Value:
    """Categories are also found without their column's name and a dot in front, as H2O finds them."""
    import numpy as np

    codes = {text: code for code, text in enumerate(domain)}
    for code, text in enumerate(domain):
        if text.startswith(f"{name}."):
            codes.setdefault(text[len(name) + 1 :], code)
    numbers = np.array(list(codes.values()), dtype=np.float64)
    return idioms.lookup(graph, value, list(codes), numbers, float("nan"))


# --- trees ------------------------------------------------------------------------------------------


def _sums(graph: Graph, x: Value, mojo: Mojo) -> Tuple[Value, Forest]:
    """The sums of the trees of each class, [N, classes]."""
    import numpy as np

    found = h2o_trees.forest(mojo)
    wide = h2o_trees.extended(graph, x, found.splits)
    groups = max(found.groups) + 1
    boosted = Boosted(found.trees, found.values, found.groups)
    return sums(graph, wide, boosted, np.zeros(groups), exact=True), found


def _gbm(graph: Graph, x: Value, mojo: Mojo) -> Outputs:
    total, _ = _sums(graph, x, mojo)
    family = mojo.text("distribution")
    if family == "multinomial":
        scores = total
        if mojo.class_count == 2:
            scores = graph.add(total, mojo.real("init_f"))
            scores = idioms.concat(graph, [scores, graph.op("Neg", scores)])
        exps = graph.op("Exp", graph.sub(scores, idioms.row_max(graph, scores)))
        return _classified(graph, _divided(graph, exps, mojo.class_count), mojo)
    answer = _unlinked(graph, graph.add(total, mojo.real("init_f")), mojo)
    if family in ("bernoulli", "quasibinomial", "modified_huber"):
        return _classified(graph, idioms.concat(graph, [graph.sub(1.0, answer), answer]), mojo)
    return {VALUE: idioms.flat(graph, answer)}


def _unlinked(graph: Graph, score: Value, mojo: Mojo) -> Value:
    """H2O's exponential is at most 1e19."""
    link = mojo.info.get("link_function") or _LINKS.get(mojo.text("distribution"), "identity")
    if link == "identity":
        return score
    if link == "log":
        return graph.minimum(graph.op("Exp", score), 1e19)
    if link == "logit":
        return graph.div(1.0, graph.add(1.0, graph.minimum(graph.op("Exp", graph.op("Neg", score)), 1e19)))
    raise graph.refuse(f"its link function {link!r} is not converted")


_LINKS = {
    **dict.fromkeys(("bernoulli", "quasibinomial", "modified_huber"), "logit"),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "log"),
}


def _drf(graph: Graph, x: Value, mojo: Mojo) -> Outputs:
    total, _ = _sums(graph, x, mojo)
    count = float(mojo.integer("n_trees"))
    if mojo.classes is None:
        return {VALUE: idioms.flat(graph, graph.div(total, count))}
    if mojo.class_count == 2 and not mojo.flag("binomial_double_trees"):
        first = graph.div(total, count)
        return _classified(graph, idioms.concat(graph, [first, graph.sub(1.0, first)]), mojo)
    return _classified(graph, _divided(graph, total, mojo.class_count), mojo)


def _isolation(graph: Graph, x: Value, mojo: Mojo) -> Outputs:
    import numpy as np

    total, _ = _sums(graph, x, mojo)
    total = idioms.flat(graph, total)
    longest, shortest = mojo.integer("max_path_length"), mojo.integer("min_path_length")
    score = (
        graph.div(graph.sub(float(longest), total), float(longest - shortest)) if longest > shortest else None
    )
    found = {"mean_length": graph.div(total, float(mojo.integer("n_trees")))}
    if score is None:
        score = graph.add(graph.mul(total, 0.0), 1.0)
    found["scores"] = score
    if mojo.flag("output_anomaly_flag"):
        anomaly = graph.greater(score, np.float64(mojo.real("default_threshold")))
        found[LABEL] = graph.cast(anomaly, "int64")
    return found


def _xgboost(graph: Graph, x: Value, mojo: Mojo) -> Outputs:
    found = h2o_xgboost.answers(graph, x, mojo)
    if mojo.classes is None:
        return {VALUE: idioms.flat(graph, found)}
    if mojo.class_count == 2:
        found = idioms.concat(graph, [graph.sub(1.0, found), found])
    return _classified(graph, found, _unbalanced(mojo))


def _network(graph: Graph, x: Value, mojo: Mojo) -> Outputs:
    family = mojo.text("distribution")
    if family == "modified_huber" or mojo.info.get("category") == "AutoEncoder":
        raise graph.refuse(
            f"deep learning with the distribution {family!r}, or as an autoencoder, is not converted"
        )
    found = h2o_network.scores(graph, x, mojo)
    if mojo.classes is not None:
        return _classified(graph, found, mojo)
    found = h2o_network.restored(graph, found, mojo)
    if _LINKS.get(family) == "log":
        found = graph.minimum(graph.op("Exp", found), 1e19)
    return {VALUE: idioms.flat(graph, found)}


# --- classes ----------------------------------------------------------------------------------------


def _divided(graph: Graph, values: Value, count: int) -> Value:
    """Divided by their sum, where that is above 0."""
    total = idioms.upright(graph, h2o_linear.added_columns(graph, values, count))
    return graph.where(graph.greater(total, 0.0), graph.div(values, total), values)


def _classified(graph: Graph, chances: Value, mojo: Mojo) -> Outputs:
    """The label by the model's threshold, or, of more than two classes, of the first of the largest."""
    import numpy as np

    count = mojo.class_count
    if mojo.flag("balance_classes"):
        before, after = mojo.numbers("prior_class_distrib"), mojo.numbers("model_class_distrib")
        factors = [a / b if a and b else 1.0 for a, b in zip(before, after)]
        chances = _divided(graph, graph.mul(chances, np.array([factors])), count)
    if count == 2:
        second = graph.cast(idioms.column(graph, chances, 1), "float64")
        index = graph.cast(graph.greater_equal(second, np.float64(mojo.real("default_threshold"))), "int64")
    else:
        index = idioms.argmax(graph, chances)
    return _labelled(graph, chances, index, mojo)


def _labelled(graph: Graph, chances: Value, index: Value, mojo: Mojo) -> Outputs:
    """Probabilities, and the name of the class with an index."""
    return {PROBABILITIES: chances, LABEL: idioms.classes(graph, list(mojo.classes or ()), index)}


# --- the others -------------------------------------------------------------------------------------


def _glm(graph: Graph, x: Value, mojo: Mojo) -> Outputs:
    several = {"multinomial": h2o_linear.multinomial, "ordinal": h2o_linear.ordinal}.get(mojo.text("family"))
    if several is not None:
        chances = several(graph, x, mojo)
        return _labelled(graph, chances, idioms.argmax(graph, chances), mojo)
    mean = h2o_linear.mean(graph, x, mojo)
    if mojo.classes is None:
        return {VALUE: idioms.flat(graph, mean)}
    return _classified(graph, idioms.concat(graph, [graph.sub(1.0, mean), mean]), _unbalanced(mojo))


def _unbalanced(mojo: Mojo) -> Mojo:
    """A model whose algorithm does not correct its probabilities for balanced classes."""
    return dataclasses.replace(mojo, info={**mojo.info, "balance_classes": "false"})


def _kmeans(graph: Graph, x: Value, mojo: Mojo) -> Outputs:
    """The nearest centre; a category counts 1 where it differs, and missing columns are left out."""
    import numpy as np

    width = len(mojo.columns)
    centres = np.array([mojo.numbers(f"center_{i}") for i in range(mojo.integer("center_num"))])
    texts = np.array([domain is not None for domain in mojo.domains])
    if mojo.flag("standardize"):
        x = _standardized(graph, x, mojo)
    known = graph.op("Not", graph.op("IsNaN", x))
    rows = graph.op("Unsqueeze", graph.where(known, x, 0.0), np.array([1]))
    apart = graph.sub(rows, centres[None])
    differs = graph.cast(graph.op("Not", graph.equal(apart, 0.0)), "float64")
    terms = graph.op("Where", graph.constant(texts.reshape(1, 1, -1)), differs, graph.mul(apart, apart))
    here = graph.op("Unsqueeze", graph.cast(known, "float64"), np.array([1]))
    terms = graph.where(graph.greater(here, 0.0), terms, 0.0)
    running = graph.op("CumSum", terms, np.array(2))
    squares = graph.op("Gather", running, np.array(width - 1), axis=2)
    valid = idioms.row_sum(graph, graph.cast(known, "float64"))
    partial = graph.op("And", graph.greater(valid, 0.0), graph.less(valid, float(width)))
    scaled = graph.mul(squares, graph.div(float(width), valid))
    squares = graph.where(partial, scaled, squares)
    nearest = idioms.argmin(graph, squares)
    largest = np.float64(np.finfo(np.float64).max)
    reached = graph.less(idioms.row_min(graph, squares, keepdims=False), largest)
    return {LABEL: graph.where(reached, nearest, graph.constant(-1, "int64"))}


def _standardized(graph: Graph, x: Value, mojo: Mojo) -> Value:
    import numpy as np

    means, factors = (np.array(mojo.numbers(f"standardize_{key}")) for key in ("means", "mults"))
    modes = np.array(mojo.numbers("standardize_modes"))
    is_text = modes != -1
    filled = graph.where(graph.op("IsNaN", x), np.where(is_text, modes, means)[None], x)
    return graph.mul(
        graph.sub(filled, np.where(is_text, 0.0, means)[None]), np.where(is_text, 1.0, factors)[None]
    )


WRITERS: Dict[str, Callable[[Graph, Value, Mojo], Outputs]] = {
    "gbm": _gbm,
    "drf": _drf,
    "isolationforest": _isolation,
    "xgboost": _xgboost,
    "deeplearning": _network,
    "glm": _glm,
    "kmeans": _kmeans,
}
