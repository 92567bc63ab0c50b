"""CatBoost: classifiers, regressors and rankers; symmetric and free trees, one-hot categories.

Source: catboost/libs/model/{model.cpp,cpu/evaluator_impl.cpp,eval_processing.cpp},
catboost/python-package/catboost/core.py (1.2).

- dtype: numbers are rounded to float32; ``x > border`` in float32 goes right. Leaf values and sums
  are float64.
- NaN lies below every border, or above, as the feature was trained (nan_mode).
- categories: CatBoost keeps a 32 bit hash of each, not the text. Splits on one category and
  statistics of categories (CTRs, see `catboost_ctrs`) convert where the text behind every hash is known,
  from ``--sample`` or because it is a small whole number. Texts and embeddings are refused.
- answers: scale * sum + bias; then by loss: sigmoid, softmax, one sigmoid per class, exponential (Poisson,
  Tweedie), or mean and exp(2 s) (RMSEWithUncertainty).
- labels: the first of the largest sums; with two classes a sum above the logit of the model's
  threshold (0 unless set_probability_threshold changed it).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, categories, jumps
from converters.classical.families.boosted import (
    Boosted,
    SetSplit,
    ordered_sets,
    set_columns,
    sums,
    vector_sums,
    with_sets,
)
from converters.classical.families.catboost_ctrs import MOST_ENTRIES, Bit, Ctr, Table, confirmed, keys
from converters.classical.families.catboost_model import Model, TreeArrays, hashes, read, splits, tried_words

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value

BINARY = {"Logloss", "CrossEntropy", "Focal"}
PER_CLASS = {"MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy"}
CLASSIFYING = BINARY | PER_CLASS | {"MultiClass"}
LARGEST = 3.4e38
"""A border beyond it is no number: it parts missing values from all others."""


class CatBoost(Emitter):
    """Sums of the trees of a CatBoost estimator."""

    @property
    def booster(self) -> Any:
        """The CatBoost model itself, behind the estimator of a file."""
        return getattr(self.estimator, "model", self.estimator)

    @cached_property
    def model(self) -> Model:
        return read(self.booster)

    @property
    def width(self) -> int:
        return self.model.features

    # --- categories -------------------------------------------------------------------------------

    @cached_property
    def used(self) -> dict[int, list[int]]:
        """The hashes that splits and keys name, by categorical feature."""
        found: dict[int, set[int]] = {}
        for tree in self.model.trees:
            for split in splits(tree):
                if split["split_type"] == "OneHotFeature":
                    found.setdefault(int(split["cat_feature_index"]), set()).add(int(split["value"]))
        for ctr in self.model.ctrs:
            for bit in ctr.bits:
                if not bit.of_number:
                    found.setdefault(bit.feature, set()).add(int(bit.value))
        return {feature: sorted(values) for feature, values in found.items()}

    @cached_property
    def known(self) -> dict[int, str]:
        """Categories that rows may hold, by hash: of the sample, and those tried unasked."""
        if not self.used and not self.model.ctrs:
            return {}
        given = [str(word) for word in getattr(self.estimator, "known_categories", ())]
        return hashes(self.booster, self.model, list(dict.fromkeys([*tried_words(), *given])))

    @cached_property
    def hashed(self) -> dict[int, list[int]]:
        """The hashes of the categories that matter, by categorical feature; each is known."""
        found = {feature: set(values) for feature, values in self.used.items()}
        for ctr in self.model.ctrs:
            if len(ctr.features) == 1:
                own = found.setdefault(ctr.features[0], set())
                own.update(confirmed(Table(self.model.tables[ctr.table]), self.known))
        for ctr in self.model.ctrs:
            for feature in ctr.features:
                found.setdefault(feature, set(self.known))
        return {feature: sorted(values) for feature, values in found.items()}

    @cached_property
    def words(self) -> dict[int, list[str]]:
        """The categories behind `hashed`, in the same order."""
        return {feature: [self._word(feature, h) for h in self.hashed[feature]] for feature in self.hashed}

    def _word(self, feature: int, value: int) -> str:
        if value in self.known:
            return self.known[value]
        raise self._unknown((feature,), f"splits on a category of which CatBoost keeps only the hash {value}")

    def _unknown(self, features: tuple[int, ...], what: str) -> Exception:
        names = [repr(str(self.booster.feature_names_[self.model.categoricals[f]])) for f in features]
        return self.refuse(
            f"feature {', '.join(names)} {what}",
            hint="Give rows that hold every category the model was trained with: --sample rows.csv",
        )

    def _code(self, value: Value, feature: int) -> Value:
        """[N, 1] float64: the position among the feature's words, -1 for any other."""
        import numpy as np

        words, codes = self.words[feature], np.arange(len(self.words[feature]), dtype=np.int64)
        if value.dtype == "string":
            return self.graph.cast(idioms.lookup(self.graph, value, words, codes, -1), "float64")
        if not value.dtype.startswith("int"):
            raise self.refuse(
                f"categorical feature {feature} is fed {value.dtype}: CatBoost takes text or integers"
            )
        numbers = [int(word) if _whole(word) else None for word in words]
        kept = [i for i, number in enumerate(numbers) if number is not None]
        keys = np.array([numbers[i] for i in kept], dtype=np.int64)
        if not kept:
            return self.graph.mul(self.graph.cast(value, "float64"), 0.0)
        found = idioms.lookup(self.graph, self.graph.cast(value, "int64"), keys, codes[kept], -1)
        return self.graph.cast(found, "float64")

    # --- sums -------------------------------------------------------------------------------------

    def raw(self, X: Features) -> Value:
        """scale * sum of the trees + bias: [N, outputs] float64."""
        import numpy as np

        graph, model = self.graph, self.model
        x, codes = self._rows(X)
        named = {
            (f, h): SetSplit(f, frozenset([i])) for f, all_ in self.used.items() for i, h in enumerate(all_)
        }
        ordered = ordered_sets(named.values())
        if ordered:
            x = with_sets(graph, x, codes, ordered, inside=1)
        x, ctr_columns = self._with_ctrs(x, codes, model.features + len(ordered))
        arrays = TreeArrays(model, set_columns(ordered, model.features), named, ctr_columns)
        parts = [arrays.of(tree) for tree in model.trees]
        trees, values = tuple(part[0] for part in parts), tuple(part[1] for part in parts)
        start = np.zeros(len(model.bias))
        if not trees:
            total = idioms.broadcast_rows(graph, start)
        elif len(start) > 1:
            total = vector_sums(graph, x, trees, values, start)
        else:
            flat = tuple(value[:, 0] for value in values)
            total = sums(graph, x, Boosted(trees, flat, (0,) * len(trees)), start)
        scaled = total if model.scale == 1.0 else graph.mul(total, model.scale)
        return graph.add(scaled, np.array(model.bias))

    def _rows(self, X: Features) -> tuple[Value, dict[int, Value]]:
        """Numbers rounded to float32 in float64, and the codes of categorical features by their number."""
        import numpy as np

        graph, model = self.graph, self.model
        if isinstance(X, Matrix) and not model.categoricals:
            return graph.cast(graph.cast(X.value, "float32"), "float64"), {}
        parts, codes = [], {}
        place_of = {place: feature for feature, place in enumerate(model.categoricals)}
        for place, column in enumerate(columns(graph, X)):
            feature = place_of.get(place)
            if feature is None:
                parts.append(graph.cast(graph.cast(column.value, "float32"), "float64"))
            elif feature in self.words:
                codes[feature] = self._code(column.value, feature)
                parts.append(codes[feature])
            else:
                parts.append(idioms.broadcast_rows(graph, np.zeros(1)))
        return idioms.concat(graph, parts), codes

    def _with_ctrs(self, x: Value, codes: dict[int, Value], width: int) -> tuple[Value, dict[int, int]]:
        """x with a column for each CTR behind its `width` own, and the column of each."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, ctr in enumerate(self.model.ctrs):
            groups.setdefault((ctr.features, ctr.bits), []).append(index)
        parts = [x]
        columns_of: dict[int, int] = {}
        for members in groups.values():
            parts.append(self._looked_up(members, x, codes))
            for index in members:
                columns_of[index] = width + len(columns_of)
        return idioms.concat(self.graph, parts), columns_of

    def _looked_up(self, members: list[int], x: Value, codes: dict[int, Value]) -> Value:
        """The CTRs `members`, all of the same key: [N, len(members)] float64."""
        import numpy as np

        ctr = self.model.ctrs[members[0]]
        sizes = [len(self.hashed[f]) + 1 for f in ctr.features]
        if math.prod(sizes) * 2 ** len(ctr.bits) > MOST_ENTRIES:
            raise self._unknown(ctr.features, f"has {math.prod(sizes)} combinations of categories, too many")
        found = keys([self.hashed[f] for f in ctr.features], len(ctr.bits))
        columns_ = [self._values(self.model.ctrs[index], found) for index in members]
        row = self._row(ctr, sizes, x, codes)
        return idioms.take(self.graph, np.stack(columns_, axis=1), idioms.flat(self.graph, row))

    def _values(self, ctr: Ctr, found: list[int]) -> np.ndarray:
        """The statistic of every key of `found`, float64."""
        import numpy as np

        table = Table(self.model.tables[ctr.table])
        lost = len(set(table.counts) - set(found))
        if lost:
            what = f"has {lost} of {len(table.counts)} categories of which CatBoost keeps only hashes"
            raise self._unknown(ctr.features, what)
        return np.array([table.value(ctr, key) for key in found], dtype=np.float64)

    def _row(self, ctr: Ctr, sizes: list[int], x: Value, codes: dict[int, Value]) -> Value:
        """The place of each row's key among `keys`, [N, 1] int64."""
        graph = self.graph
        digits = []
        for feature, size in zip(ctr.features, sizes):
            unknown = graph.less(codes[feature], 0.0)
            digits.append((graph.where(unknown, float(size - 1), codes[feature]), size))
        digits += [(self._bit(bit, x, codes), 2) for bit in ctr.bits]
        row = digits[0][0]
        for digit, size in digits[1:]:
            row = graph.add(graph.mul(row, float(size)), digit)
        return graph.cast(row, "int64")

    def _bit(self, bit: Bit, x: Value, codes: dict[int, Value]) -> Value:
        """The answer to a question of a key, [N, 1] float64."""
        graph = self.graph
        if not bit.of_number:
            place = self.hashed[bit.feature].index(int(bit.value))
            return graph.cast(graph.equal(codes[bit.feature], float(place)), "float64")
        feature = self.model.floats[bit.feature]
        value = idioms.take_columns(graph, x, [feature.place])
        above = graph.greater(value, bit.value)
        if feature.nan_above:
            above = graph.op("Or", above, graph.op("IsNaN", value))
        return graph.cast(above, "float64")

    def answers(self, X: Features) -> Value:
        """What predict gives before it is shaped: [N, outputs]."""
        graph, scores = self.graph, self.raw(X)
        kind = self._prediction_type()
        if kind == "Exponent":
            return graph.op("Exp", scores)
        if kind == "RMSEWithUncertainty":
            mean, spread = (idioms.take_columns(graph, scores, [i]) for i in (0, 1))
            return idioms.concat(graph, [mean, graph.op("Exp", graph.mul(spread, 2.0))])
        return scores

    def _prediction_type(self) -> str:
        """As CatBoostRegressor picks it; other estimators give raw sums."""
        asked = getattr(self.booster, "_get_default_prediction_type", None)
        return str(asked()) if asked is not None else "RawFormulaVal"

    def facts(self) -> list[Feature]:
        found: list[list[float]] = [[] for _ in range(self.width)]
        for tree in self.model.trees:
            for split in splits(tree):
                if split["split_type"] == "FloatFeature":
                    place = self.model.floats[split["float_feature_index"]].place
                    found[place].append(float(split["border"]))
        for bit in (bit for ctr in self.model.ctrs for bit in ctr.bits if bit.of_number):
            found[self.model.floats[bit.feature].place].append(bit.value)
        facts = [jumps(value for value in values if abs(value) < LARGEST) for values in found]
        for feature, place in enumerate(self.model.categoricals):
            facts[place] = self._categorical(self.words.get(feature, []))
        return facts

    def _categorical(self, words: list[str]) -> Feature:
        import numpy as np

        if words and all(map(_whole, words)):
            return categories(np.array([int(word) for word in words], dtype=np.int64))
        return categories(np.array(words or ["a"], dtype=object))


class CatBoostRegressor(CatBoost):
    """predict: [N], or [N, outputs]."""

    def predict(self, X: Features) -> Value:
        result = self.answers(X)
        return result if len(self.model.bias) > 1 else idioms.flat(self.graph, result)


class CatBoostClassifier(CatBoost):
    """Labels and probabilities. Labels of several classes have the source's shape [N, 1]."""

    def predict_proba(self, X: Features) -> Value:
        graph, scores, loss = self.graph, self.raw(X), self.model.loss
        if loss in BINARY:
            return idioms.two_columns(graph, idioms.expit(graph, scores))
        if loss in PER_CLASS:
            return idioms.expit(graph, scores)
        if loss == "MultiClass":
            return idioms.shares(graph, scores)
        raise self.refuse(f"the loss {loss!r} is unknown: its probabilities cannot be told")

    def predict(self, X: Features) -> Value:
        import numpy as np

        graph, scores, loss = self.graph, self.raw(X), self.model.loss
        labels = np.asarray(self.booster.classes_)
        if loss in ("MultiLogloss", "MultiCrossEntropy"):
            return graph.cast(graph.greater(scores, 0.0), "int64")
        if loss in BINARY:
            above = graph.cast(graph.greater(scores, self._border()), "int64")
            return idioms.classes(graph, labels, idioms.flat(graph, above))
        return idioms.upright(graph, idioms.classes(graph, labels, idioms.argmax(graph, scores)))

    def _border(self) -> float:
        text = dict(self.booster.get_metadata().items()).get("binclass_probability_threshold", "0.5")
        threshold = float(text)
        if threshold <= 0 or threshold >= 1:
            return math.copysign(math.inf, threshold - 0.5)
        return -math.log(1 / threshold - 1)


def _whole(word: str) -> bool:
    return word.lstrip("-").isdigit() and str(int(word)) == word


_FILES = "converters.classical.families.catboost_files"
EMITTERS = {
    "catboost.core.CatBoostClassifier": CatBoostClassifier,
    "catboost.core.CatBoostRegressor": CatBoostRegressor,
    "catboost.core.CatBoostRanker": CatBoostRegressor,
    f"{_FILES}.Classifier": CatBoostClassifier,
    f"{_FILES}.Regressor": CatBoostRegressor,
}
