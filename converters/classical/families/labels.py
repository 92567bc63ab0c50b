"""LabelEncoder and LabelBinarizer: a row is one label.

Source: sklearn/preprocessing/_label.py (1.9).

- LabelEncoder: the place of the label in `classes_`; the source raises for others, here they are -1.
- LabelBinarizer: `pos_label` in the column of the label, `neg_label` elsewhere, int64; one column for two
  classes (that of the second) and for one (all `neg_label`). Other labels have no column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, categories

if TYPE_CHECKING:
    from converters.classical.graph import Value


class LabelEncoder(Emitter):
    @property
    def reads_labels(self) -> bool:
        return True

    @property
    def width(self) -> int:
        return 1

    def facts(self) -> list[Feature]:
        return [categories(self.estimator.classes_)]

    def transform(self, X: Features) -> Matrix:
        return Matrix(self.places(X), 1)

    def places(self, X: Features) -> Value:
        """[N] int64."""
        import numpy as np

        graph, known = self.graph, np.asarray(self.estimator.classes_)
        label = idioms.flat(graph, columns(graph, X)[0].value)
        if label.dtype not in ("string", "float64", "float32"):
            label, known = graph.cast(label, "int64"), known.astype(np.int64)
        return idioms.lookup(graph, label, known, np.arange(len(known)), -1)


class LabelBinarizer(LabelEncoder):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        graph, source = self.graph, self.estimator
        if source.y_type_.startswith("multilabel"):
            raise self.refuse("labels that are a matrix already", "Feed the matrix to what comes behind it.")
        count = len(source.classes_)
        own = np.arange(count) if count > 2 else np.array([1])
        there = graph.equal(idioms.upright(graph, self.places(X)), own[None])
        value = graph.where(there, graph.constant(int(source.pos_label), "int64"), int(source.neg_label))
        return Matrix(value, len(own))


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.preprocessing.LabelEncoder": LabelEncoder,
    "sklearn.preprocessing.LabelBinarizer": LabelBinarizer,
}
