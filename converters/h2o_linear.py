"""H2O's generalized linear models: the sums of coefficients in H2O's order, and what becomes of them.

Source: hex.genmodel.algos.glm.Glm{,Multinomial,Ordinal}MojoModel of H2O 3.46.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Tuple

from converters.classical import idioms
from converters.h2o_files import Mojo, damaged

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value


def mean(graph: Graph, x: Value, mojo: Mojo) -> Value:
    """The inverse link of the linear predictor, [N, 1]."""
    eta = _etas(graph, x, mojo, [mojo.numbers("beta")])
    link = mojo.text("link")
    if link == "identity":
        return eta
    if link == "logit":
        return _logistic(graph, eta)
    if link == "log":
        return graph.op("Exp", eta)
    if link == "inverse":
        bounded = graph.where(graph.less(eta, 0.0), graph.minimum(eta, -1e-5), graph.maximum(eta, 1e-5))
        return graph.div(1.0, bounded)
    if link == "tweedie":
        power = mojo.real("tweedie_link_power")
        if power == 0:
            return graph.maximum(graph.op("Exp", eta), 2e-16)
        return graph.pow(eta, 1.0 / power)
    raise graph.refuse(f"its link function {link!r} is not converted")


def multinomial(graph: Graph, x: Value, mojo: Mojo) -> Value:
    """Probabilities [N, classes]: H2O subtracts the largest predictor only where it is above 0."""
    etas = _etas(graph, x, mojo, _by_class(mojo))
    exps = graph.op("Exp", graph.sub(etas, graph.maximum(idioms.row_max(graph, etas), 0.0)))
    total = idioms.upright(graph, added_columns(graph, exps, mojo.class_count))
    return graph.mul(exps, graph.div(1.0, total))


def ordinal(graph: Graph, x: Value, mojo: Mojo) -> Value:
    """Probabilities [N, classes]: differences of the logistic function at the predictors."""
    import numpy as np

    below = _logistic(graph, _etas(graph, x, mojo, _by_class(mojo)[: mojo.class_count - 1]))
    before = idioms.concat(graph, [idioms.broadcast_rows(graph, np.zeros(1)), below])
    after = idioms.concat(graph, [below, idioms.broadcast_rows(graph, np.ones(1))])
    return graph.sub(after, before)


def added_columns(graph: Graph, values: Value, count: int) -> Value:
    """The sum over axis 1, one after the other: [N]."""
    import numpy as np

    return graph.op("Gather", graph.op("CumSum", values, np.array(1)), np.array(count - 1), axis=1)


def _logistic(graph: Graph, x: Value) -> Value:
    return graph.div(1.0, graph.add(graph.op("Exp", graph.op("Neg", x)), 1.0))


def _by_class(mojo: Mojo) -> List[List[float]]:
    beta, classes = mojo.numbers("beta"), mojo.class_count
    if classes < 2 or len(beta) % classes:
        raise damaged(mojo.path, f"it has {len(beta)} coefficients for {classes} classes")
    each = len(beta) // classes
    return [beta[i * each : (i + 1) * each] for i in range(classes)]


def _etas(graph: Graph, x: Value, mojo: Mojo, betas: List[List[float]]) -> Value:
    """The linear predictors, [N, len(betas)]: categories, then numbers, then the intercept."""
    import numpy as np

    cats, numbers = mojo.integer("cats"), mojo.integer("nums")
    offsets = [int(n) for n in mojo.numbers("cat_offsets")] or [0]
    if mojo.info.get("num_interactions", "0") != "0":
        raise graph.refuse(
            "interactions of columns are not converted", "Compute them as columns of their own."
        )
    if len(offsets) != cats + 1 or any(len(beta) != offsets[-1] + numbers + 1 for beta in betas):
        raise damaged(mojo.path, "its coefficients do not fit its columns")
    x = _imputed(graph, x, mojo, cats)
    skipped = 0 if mojo.flag("use_all_factor_levels") else 1
    terms = [
        idioms.take(
            graph, _table(mojo, (offsets[i], offsets[i + 1]), betas, (i, skipped)), _code(graph, x, i)
        )
        for i in range(cats)
    ]
    for place in range(numbers):
        factors = np.array([[beta[offsets[-1] + place] for beta in betas]])
        terms.append(graph.mul(idioms.take_columns(graph, x, [cats + place]), factors))
    terms.append(idioms.broadcast_rows(graph, np.array([beta[-1] for beta in betas])))
    total = terms[0]
    for term in terms[1:]:
        total = graph.add(total, term)
    return total


def _code(graph: Graph, x: Value, place: int) -> Value:
    return graph.cast(idioms.column(graph, x, place), "int64")


def _table(mojo: Mojo, ends: Tuple[int, int], betas: List[List[float]], which: Tuple[int, int]) -> np.ndarray:
    """The coefficients of each category of a column, [categories, len(betas)]; 0 for those that have none."""
    import numpy as np

    place, skipped = which
    domain = mojo.domains[place]
    if domain is None:
        raise damaged(mojo.path, f"its column {mojo.columns[place]!r} has no categories")
    table = np.zeros((len(domain), len(betas)))
    for code in range(skipped, len(domain)):
        if ends[0] + code - skipped < ends[1]:
            table[code] = [beta[ends[0] + code - skipped] for beta in betas]
    return table


def _imputed(graph: Graph, x: Value, mojo: Mojo, cats: int) -> Value:
    """Missing values replaced by the training's modes and means, where the model says so."""
    import numpy as np

    if not mojo.flag("mean_imputation"):
        return x
    values = [*mojo.numbers("cat_modes")[:cats], *mojo.numbers("num_means")]
    if len(values) != len(mojo.columns):
        raise damaged(mojo.path, "its means do not fit its columns")
    return graph.where(graph.op("IsNaN", x), np.array([values]), x)
