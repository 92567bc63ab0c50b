"""DictVectorizer, and why FeatureHasher and MultiLabelBinarizer are refused.

Source: sklearn/feature_extraction/_dict_vectorizer.py, _hash.py, preprocessing/_label.py (1.9).

- a row is a mapping from names to numbers or text. A number stands in the column of its name, a text puts 1
  into the column ``name=text``; what has no column is left out, and an entry that is not there is 0.
- in the graph every name is an input [N, 1]: text where its columns have the separator, else numbers. A
  number that is not there is 0, a text that is not there the empty string. Names end at the first separator:
  what is behind it may hold others, and the column is that of the whole either way.
- a name that was fitted with numbers and with text would be an input of two dtypes: refused.
- output: `dtype`, each number rounded to it; sparse unless sparse=False.
"""

from __future__ import annotations

from typing import Optional, Sequence

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns
from converters.classical.emit import Emitter
from converters.classical.facts import Feature
from converters.classical.graph import Value
from zoo.records import ColumnDomain

Places = dict[Optional[str], int]
"""The columns of an entry's texts, or under None that of its number."""


class DictVectorizer(Emitter):
    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._known())

    @property
    def width(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, Places]:
        source = self.estimator
        known: dict[str, Places] = {}
        for name in source.feature_names_:
            key, glue, text = str(name).partition(source.separator)
            known.setdefault(key, {})[text if glue else None] = int(source.vocabulary_[name])
        both = [key for key, places in known.items() if None in places and len(places) > 1]
        if both:
            raise self.refuse(
                f"the entry {both[0]!r} was fitted with numbers and with texts; an input is one of both",
                "Give the numbers and the texts names of their own, or write all of them as texts.",
            )
        return known

    def transform(self, X: Features) -> Matrix:
        import numpy as np

        graph, source, dtype = self.graph, self.estimator, np.dtype(self.estimator.dtype)
        if dtype.kind != "f":
            raise self.refuse(f"dtype={dtype}", "Use dtype=numpy.float64 or numpy.float32.")
        parts: list[Value] = []
        order: list[int] = []
        for column, places in zip(columns(graph, X), self._known().values()):
            parts.append(self._part(column.value, places, str(dtype)))
            order += places.values()
        value = idioms.concat(graph, parts)
        if order != sorted(order):
            value = idioms.take_columns(graph, value, np.argsort(order))
        return Matrix(value, len(order), bool(source.sparse))

    def _part(self, x: Value, places: Places, dtype: str) -> Value:
        """[N, places] in the order of `places`."""
        import numpy as np

        if None in places:
            if x.dtype == "string":
                raise self.refuse(f"text for {self._name(places)!r}, which was fitted with numbers")
            return self.graph.cast(x, dtype)
        if x.dtype != "string":
            raise self.refuse(f"numbers for {self._name(places)!r}, which was fitted with texts")
        codes = idioms.lookup(self.graph, x, list(places), np.arange(len(places)), -1)
        return idioms.one_hot(self.graph, codes, len(places), dtype)

    def _name(self, places: Places) -> str:
        return next(key for key, own in self._known().items() if own == places)

    def facts(self) -> list[Feature]:
        return self.facts_before(())

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        return [self._before(places, after) for places in self._known().values()]

    def _before(self, places: Places, after: Sequence[Feature]) -> Feature:
        if None not in places:
            return Feature("string", ColumnDomain(categories=tuple(str(text) for text in places)))
        return Feature(domain=after[places[None]].domain) if after else Feature()


class Ragged(Emitter):
    """Rows that hold as many values as they like."""

    reason = "a row is a set of any number of labels, and the rows of a tensor are all as long"
    way_out = "Apply it before the graph, and convert what stands behind it."

    def facts(self) -> list[Feature]:
        raise self.refuse(self.reason, self.way_out)

    @property
    def width(self) -> int:
        raise self.refuse(self.reason, self.way_out)


class FeatureHasher(Ragged):
    reason = "a row holds any names, as many as it likes, and none was learned that an input could have"
    way_out = "Use DictVectorizer, whose names are known, or apply it before the graph."


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.feature_extraction.DictVectorizer": DictVectorizer,
    "sklearn.feature_extraction.FeatureHasher": FeatureHasher,
    "sklearn.preprocessing.MultiLabelBinarizer": Ragged,
}
