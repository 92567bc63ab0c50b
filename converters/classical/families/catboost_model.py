"""What a CatBoost model says, as arrays: its JSON form, which CatBoost writes of any model.

Source: catboost/libs/model/model_export/json_model_helpers.cpp, catboost/libs/model/model.cpp (1.2).
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from converters.classical.families.boosted import SetSplit
from converters.classical.families.catboost_ctrs import Ctr, read_ctrs
from converters.classical.families.trees import Tree
from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

WHOLE_NUMBERS = 1000
"""Whole numbers up to here are tried as categories unasked."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_COMMON = (
    "nan NaN None none null missing unknown other Other True False true false yes no Yes No male female "
    "Male Female low medium high Low Medium High small large red green blue black white yellow winter "
    "spring summer autumn fall Monday Tuesday Wednesday Thursday Friday Saturday Sunday Mon Tue Wed Thu Fri "
    "Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec January February March April June July August "
    "September October November December north south east west"
)
"""Categories that are tried unasked: a hash of 32 bits that one of them has is hardly another's."""


@record
class FloatFeature:
    """A number: its place among all features, and whether NaN lies above every border."""

    place: int
    nan_above: bool


@record
class Model:
    """A CatBoost model: trees add to `bias`, scaled."""

    loss: str
    features: int
    floats: tuple[FloatFeature, ...]
    categoricals: tuple[int, ...]
    """The places of categorical features among all features."""
    trees: tuple[dict[str, Any], ...]
    symmetric: bool
    scale: float
    bias: tuple[float, ...]
    ctrs: tuple[Ctr, ...] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)
    """The counts of each CTR's table, as the JSON form has them."""
    first_ctr: int = 0
    """The number of the first split on a CTR among all splits that the model knows."""

    def ctr_split(self, number: int) -> tuple[int, float]:
        """The CTR and the border of a split by its number."""
        place = number - self.first_ctr
        for index, ctr in enumerate(self.ctrs):
            if place < len(ctr.borders):
                return index, ctr.borders[place]
            place -= len(ctr.borders)
        raise IndexError(number)


def read(model: Any) -> Model:
    """The model behind a CatBoost estimator."""
    content = _exported(model, None)
    features = content["features_info"]
    floats = [
        FloatFeature(one["flat_feature_index"], one["nan_value_treatment"] == "AsTrue")
        for one in features.get("float_features", [])
    ]
    scale, bias = content["scale_and_bias"]
    loss = content["model_info"]["params"]["loss_function"]
    counted = [*features.get("float_features", []), *features.get("categorical_features", [])]
    symmetric = "oblivious_trees" in content
    return Model(
        loss=loss["type"],
        features=len(model.feature_names_),
        floats=tuple(floats),
        categoricals=tuple(one["flat_feature_index"] for one in features.get("categorical_features", [])),
        trees=tuple(content["oblivious_trees" if symmetric else "trees"]),
        symmetric=symmetric,
        scale=float(scale),
        bias=tuple(map(float, bias if isinstance(bias, list) else [bias])),
        ctrs=read_ctrs(content),
        tables=content.get("ctr_data", {}),
        first_ctr=sum(len(one.get("borders") or one.get("values") or ()) for one in counted),
    )


def _exported(model: Any, pool: Any) -> dict[str, Any]:
    import json
    from pathlib import Path
    from tempfile import TemporaryDirectory

    import catboost

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        try:
            model.save_model(str(path), format="json", pool=pool)
        except catboost.CatBoostError as error:
            raise UnsupportedModelError(
                f"CatBoost cannot write this model down: {str(error).strip().splitlines()[0]}",
                hint="Text and embedding features stay inside CatBoost: turn them into numbers first.",
            ) from error
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def hashes(model: Any, read_model: Model, words: Sequence[str]) -> dict[int, str]:
    """CatBoost's own hash of each word, as the signed number that splits name.

    CatBoost writes the hashes of a pool's categories beside a model that is saved with it.
    """
    import catboost

    columns: list[Any] = [[0.0] * len(words)] * read_model.features
    for place in read_model.categoricals:
        columns[place] = list(words)
    rows = [list(row) for row in zip(*columns)]
    pool = catboost.Pool(
        rows, cat_features=list(read_model.categoricals), feature_names=list(model.feature_names_)
    )
    listed = _exported(model, pool)["features_info"]["cat_features_hash"]
    return {_signed(int(one["hash"])): one["value"] for one in listed}


def tried_words() -> list[str]:
    """Categories that need no sample: whole numbers, letters, letters with a number, common words."""
    letters = [*_LETTERS, *_LETTERS.upper()]
    numbered = [f"{letter}{number}" for letter in (*letters, "cat", "cat_", "c_") for number in range(31)]
    return ["", *map(str, range(-1, WHOLE_NUMBERS)), *letters, *numbered, *_COMMON.split()]


def _signed(number: int) -> int:
    return number - 2**32 if number >= 2**31 else number


def splits(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The splits of a tree, of either form."""
    yield from tree.get("splits") or ()
    if "split" in tree:
        yield tree["split"]
        yield from splits(tree["left"])
        yield from splits(tree["right"])


class TreeArrays:
    """Trees of one model as `Tree` and leaf values [leaves, outputs]; a true split goes right.

    `columns` are those of the derived features; a number is in the column of its place.
    """

    def __init__(
        self,
        model: Model,
        columns: dict[SetSplit, int],
        codes: dict[tuple[int, int], SetSplit],
        ctr_columns: dict[int, int],
    ) -> None:
        self.model = model
        self.ctr_columns = ctr_columns
        self.columns = columns
        self.codes = codes

    def of(self, tree: dict[str, Any]) -> tuple[Tree, np.ndarray]:
        return self._symmetric(tree) if self.model.symmetric else self._free(tree)

    def _split(self, split: dict[str, Any]) -> tuple[int, float, bool]:
        """Column, threshold and where NaN goes (left?) of ``x > threshold``."""
        if split["split_type"] == "OneHotFeature":
            key = (int(split["cat_feature_index"]), int(split["value"]))
            return self.columns[self.codes[key]], 0.5, True
        if split["split_type"] == "OnlineCtr":
            ctr, border = self.model.ctr_split(int(split["split_index"]))
            return self.ctr_columns[ctr], border, True
        feature = self.model.floats[split["float_feature_index"]]
        return feature.place, float(split["border"]), not feature.nan_above

    def _symmetric(self, tree: dict[str, Any]) -> tuple[Tree, np.ndarray]:
        """Every level one split, the last one at the root: leaves come in the order of their numbers."""
        import numpy as np

        levels = [self._split(split) for split in reversed(tree.get("splits") or [])]
        inner = 2 ** len(levels) - 1
        level = np.floor(np.log2(np.arange(inner) + 1)).astype(int)
        ends = np.zeros(inner + 1)
        feature, threshold, nan_left = (
            np.concatenate([np.array([one[i] for one in levels], dtype=np.float64)[level], ends])
            for i in range(3)
        )
        left = np.concatenate([2 * np.arange(inner) + 1, ends - 1]).astype(np.int64)
        right = np.where(left < 0, -1, left + 1)
        nodes = Tree(feature.astype(np.int64), threshold, left, right, nan_left.astype(np.int64))
        return nodes, np.array(tree["leaf_values"], dtype=np.float64).reshape(inner + 1, -1)

    def _free(self, tree: dict[str, Any]) -> tuple[Tree, np.ndarray]:
        import numpy as np

        rows: list[list[float]] = []
        values: list[Any] = []
        self._append(tree, rows, values)
        table = np.array(rows)
        feature, left, right, nan_left = (table[:, i].astype(np.int64) for i in (0, 2, 3, 4))
        leaves = np.array(values, dtype=np.float64).reshape(len(values), -1)
        return Tree(feature, table[:, 1], left, right, nan_left), leaves

    def _append(self, tree: dict[str, Any], rows: list[list[float]], values: list[Any]) -> int:
        place = len(rows)
        rows.append([0, 0.0, -1, -1, 0])
        if "split" not in tree:
            values.append(tree["value"])
            return place
        column, threshold, nan_left = self._split(tree["split"])
        left = self._append(tree["left"], rows, values)
        right = self._append(tree["right"], rows, values)
        rows[place] = [column, threshold, left, right, int(nan_left)]
        return place
