"""Hypothesis strategies: a model to be fitted, and the table, target or texts it is fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.classical.property import catalogue, catalogue_steps
from tests.classical.property.data import KINDS, TARGETS, TEXT_KINDS, Data, classes, numbers, table, texts

Drawing = Any
"""Hypothesis' draw function."""


@dataclass(frozen=True)
class Draw:
    """`steps` are (estimator's name, options), the last is the model; `task` says what it is fitted to."""

    task: str
    steps: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
    data: Data

    def fit(self) -> tuple[Any, Any]:
        """(fitted model, rows it was fitted on). Raises what the source raises where they do not fit."""
        rows = texts(self.data) if self.task == "texts" else table(self.data)
        model = self.model(rows)
        return model.fit(rows, self._target()), rows

    def model(self, rows: Any) -> Any:
        """The unfitted estimator or pipeline; text columns of a frame are encoded first."""
        from sklearn.pipeline import make_pipeline

        made = [catalogue.built(name, dict(options)) for name, options in self.steps]
        if hasattr(rows, "columns"):
            made.insert(0, _encoded(rows, self.data.seed))
        return made[0] if len(made) == 1 else make_pipeline(*made)

    def _target(self) -> Any:
        if self.task in ("classifier", "texts"):
            return classes(self.data)
        return numbers(self.data) if self.task == "regressor" else None


def _encoded(rows: Any, seed: int) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    words = [name for name in rows.columns if rows[name].dtype.kind not in "fiub"]
    encoders = (
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=4, sparse_output=False),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    )
    chosen = [("words", encoders[seed % 3], words)] if words else []
    return ColumnTransformer(chosen, remainder="passthrough")


@st.composite
def draws(draw: Drawing) -> Draw:
    """Any model: classifiers most often, then regressors, transformers and the rest, texts."""
    task = draw(st.sampled_from(("classifier",) * 9 + ("regressor",) * 6 + ("other",) * 4 + ("texts",)))
    outputs = draw(st.sampled_from((1,) * 7 + (2, 3))) if task in ("classifier", "regressor") else 1
    name, options = draw(_estimator(_last(task, outputs)))
    before = draw(_before(task, name))
    last = options if task != "texts" else ()
    data = draw(_data(task, outputs, [*before, (name, last)]))
    return Draw(task, (*before, (name, options)), data)


def _last(task: str, outputs: int) -> dict[str, catalogue.Options]:
    if task == "other":
        return catalogue_steps.OTHERS
    if task == "texts":
        return {
            k: v
            for k, v in catalogue.CLASSIFIERS.items()
            if k.endswith(("LogisticRegression", "SGDClassifier", "MultinomialNB"))
        }
    if task == "classifier":
        return catalogue.SEVERAL_CLASSIFIERS if outputs > 1 else catalogue.CLASSIFIERS
    return catalogue.SEVERAL_REGRESSORS if outputs > 1 else catalogue.REGRESSORS


@st.composite
def _estimator(draw: Drawing, known: dict[str, catalogue.Options]) -> tuple[str, tuple[tuple[str, Any], ...]]:
    name = draw(st.sampled_from(sorted(known)))
    return name, tuple((key, draw(st.sampled_from(values))) for key, values in known[name].items())


@st.composite
def _before(draw: Drawing, task: str, name: str) -> list[Any]:
    if task == "texts":
        return [draw(_estimator(catalogue_steps.VECTORIZERS))]
    if "Isotonic" in name:
        return []
    count = draw(st.sampled_from((0, 0, 0, 1, 1, 2)))
    # What looks numbers up by equality stands first, where they are still those of the table.
    later = {k: v for k, v in catalogue_steps.SCALERS.items() if not k.endswith("Encoder")}
    return [draw(_estimator(later if place else catalogue_steps.SCALERS)) for place in range(count)]


@st.composite
def _data(draw: Drawing, task: str, outputs: int, steps: list[Any]) -> Data:
    said = repr(steps)
    frame = task != "texts" and draw(st.integers(0, 4)) == 0
    kinds = st.sampled_from((*KINDS, *TEXT_KINDS) if frame else KINDS)
    most = 1 if "Isotonic" in said else 5
    names = [name for name, _ in steps]
    gaps = "Imputer" in names[0] or all(any(w in name for w in catalogue.GAPS_ALLOWED) for name in names)
    return Data(
        kinds=tuple(draw(st.lists(kinds, min_size=1, max_size=most))),
        rows=draw(st.integers(8, 40)),
        dtype=draw(st.sampled_from(("float64",) * 6 + ("float32",) * 3 + ("int64",))),
        missing=draw(st.sampled_from((0.0, 0.1))) if gaps else 0.0,
        target=draw(st.sampled_from(TARGETS)),
        outputs=outputs,
        frame=frame,
        positive=any(word in said for word in (*catalogue.POSITIVE, *catalogue.POSITIVE_WORDS)),
        seed=draw(st.integers(0, 2**31 - 1)),
    )


def rows_to_judge(rows: Any, data: Data) -> dict[str, Any]:
    """Families of rows: given, fresh, half way, a step beside (float64, float32), negated, with gaps."""
    if isinstance(rows, list):
        return {"given": rows, "other": texts(Data(data.kinds, rows=20, seed=data.seed + 7))}
    rng = np.random.default_rng(data.seed + 3)
    fresh = table(Data(**{**data.__dict__, "seed": data.seed + 7, "rows": 20}))
    if hasattr(rows, "columns"):
        return {"given": rows, "fresh": fresh}
    if rows.dtype.kind != "f":
        return {"given": rows, "fresh": fresh, "negated": -rows}
    order = rng.permutation(len(rows))
    with np.errstate(all="ignore"):
        made = {"given": rows, "fresh": fresh, "half way": (rows + rows[order]) / 2, "negated": -rows}
        for side in (np.inf, -np.inf):
            made[f"beside {side}"] = np.nextafter(rows, rows.dtype.type(side))
            made[f"beside32 {side}"] = np.nextafter(rows.astype(np.float32), np.float32(side)).astype(
                rows.dtype
            )
        gaps = rows.copy()
        gaps[rng.random(rows.shape) < 0.3] = np.nan
    return {**made, "gaps": gaps}
