"""The one-hot columns that H2O makes of categories before XGBoost and deep learning.

Source: hex.genmodel.GenModel.setCats of H2O 3.46: the last column of each stands for missing and unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Tuple

from converters.classical import idioms
from converters.h2o_files import Mojo, damaged

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value


def layout(mojo: Mojo) -> Tuple[int, List[int]]:
    """The number of columns with categories, which come first, and where the one-hot columns of each are."""
    cats, offsets = mojo.integer("cats"), [int(n) for n in mojo.numbers("cat_offsets")] or [0]
    fits = len(offsets) == cats + 1 and offsets == sorted(offsets)
    if not fits or cats + mojo.integer("nums") != len(mojo.columns) or None in mojo.domains[:cats]:
        raise damaged(mojo.path, "its one-hot columns do not fit its columns")
    return cats, offsets


def hot(graph: Graph, x: Value, mojo: Mojo) -> List[Value]:
    """For each column with categories a boolean [N, its one-hot columns]; x holds their numbers, or NaN."""
    import numpy as np

    _, offsets = layout(mojo)
    skipped = 0.0 if mojo.flag("use_all_factor_levels") else 1.0
    found = []
    for place, (first, end) in enumerate(zip(offsets, offsets[1:])):
        code, last = idioms.take_columns(graph, x, [place]), float(end - first - 1)
        known = graph.minimum(graph.sub(code, skipped), last)
        code = graph.where(idioms.is_nan(graph, code), last, known)
        found.append(graph.equal(code, np.arange(end - first, dtype=np.float64)[None]))
    return found


def numbers(graph: Graph, x: Value, mojo: Mojo) -> Value | None:
    """The columns of numbers, None where there are none."""
    cats, _ = layout(mojo)
    places = list(range(cats, len(mojo.columns)))
    return idioms.take_columns(graph, x, places) if places else None
