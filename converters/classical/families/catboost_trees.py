"""CatBoost: classifiers, regressors and rankers; symmetric and free trees, one-hot categories.

Source: catboost/libs/model/{model.cpp,cpu/evaluator_impl.cpp,eval_processing.cpp},
catboost/python-package/catboost/core.py (1.2).

- dtype: numbers are rounded to float32; ``x > border`` in float32 goes right. Leaf values and sums
  are float64.
- NaN lies below every border, or above, as the feature was trained (nan_mode).
- categories: CatBoost keeps a 32 bit hash of each, not the text. Splits on one category compare
  hashes: they convert where the text is known, from ``--sample`` or because it is a small whole number.
  Statistics of categories (CTRs), texts and embeddings are refused.
- answers: scale * sum + bias; then by loss: sigmoid, softmax, one sigmoid per class, exponential (Poisson,
  Tweedie), or mean and exp(2 s) (RMSEWithUncertainty).
- labels: the first of the largest sums; with two classes a sum above the logit of the model's
  threshold (0 unless set_probability_threshold changed it).
"""

from __future__ import annotations

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
from converters.classical.families.catboost_model import Model, TreeArrays, hashes, read, splits, tried_words

if TYPE_CHECKING:
    from converters.classical.graph import Value

BINARY = {"Logloss", "CrossEntropy"}
PER_CLASS = {"MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy"}
CLASSIFYING = BINARY | PER_CLASS | {"MultiClass"}
LARGEST = 3.4e38
"""A border beyond it is no number: it parts missing values from all others."""
_REFUSED = {
    "ctrs": "statistics of categories (CTRs), which are looked up by hashes of them",
    "text_features": "text features",
    "embedding_features": "embedding features",
}


class CatBoost(Emitter):
    """Sums of the trees of a CatBoost estimator."""

    @property
    def booster(self) -> Any:
        """The CatBoost model itself, behind the estimator of a file."""
        return getattr(self.estimator, "model", self.estimator)

    @cached_property
    def model(self) -> Model:
        model = read(self.booster)
        if model.unreadable:
            raise self.refuse(
                f"it uses {_REFUSED[model.unreadable[0]]}{self._culprits(model)}",
                hint="Encode the columns before CatBoost, or train with one_hot_max_size at least the number "
                "of categories and give --sample rows.csv.",
            )
        return model

    def _culprits(self, model: Model) -> str:
        names = [str(self.booster.feature_names_[place]) for place in model.categoricals]
        return f" (features {', '.join(names)})" if names else ""

    @property
    def width(self) -> int:
        return self.model.features

    # --- categories -------------------------------------------------------------------------------

    @cached_property
    def used(self) -> dict[int, list[int]]:
        """The hashes that splits name, by categorical feature."""
        found: dict[int, set[int]] = {}
        for tree in self.model.trees:
            for split in splits(tree):
                if split["split_type"] == "OneHotFeature":
                    found.setdefault(int(split["cat_feature_index"]), set()).add(int(split["value"]))
        return {feature: sorted(values) for feature, values in found.items()}

    @cached_property
    def words(self) -> dict[int, list[str]]:
        """The categories behind the hashes of `used`, in the same order."""
        known: dict[int, str] = {}
        if self.used:
            given = [str(word) for word in getattr(self.estimator, "known_categories", ())]
            known = hashes(self.booster, self.model, list(dict.fromkeys([*tried_words(), *given])))
        return {feature: [self._word(known, feature, h) for h in self.used[feature]] for feature in self.used}

    def _word(self, known: dict[int, str], feature: int, value: int) -> str:
        if value in known:
            return known[value]
        place = self.model.categoricals[feature]
        raise self.refuse(
            f"feature {self.booster.feature_names_[place]!r} splits on a category of which CatBoost keeps "
            f"only the hash {value}",
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
        arrays = TreeArrays(model, set_columns(ordered, model.features), named)
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
            elif feature in self.used:
                codes[feature] = self._code(column.value, feature)
                parts.append(codes[feature])
            else:
                parts.append(idioms.broadcast_rows(graph, np.zeros(1)))
        return idioms.concat(graph, parts), codes

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
            p = idioms.expit(graph, scores)
            return idioms.concat(graph, [graph.sub(1.0, p), p])
        if loss in PER_CLASS:
            return idioms.expit(graph, scores)
        if loss == "MultiClass":
            return idioms.softmax(graph, scores)
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
        import math

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
