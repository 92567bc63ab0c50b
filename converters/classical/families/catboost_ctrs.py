"""CatBoost's statistics of categories (CTRs) as tables over known categories.

Source: catboost/libs/model/{ctr_provider.h,online_ctr.h,model_export/resources/ctr_calcer.py} (1.2).

- a CTR is looked up by the hash of one category, or of several features' categories together:
  ``h = M * (h + M * category)`` over the features, modulo 2**64, each category its 32 bit hash with its
  sign; then the same over bits: a number above a border, or a category equal to one.
- value, in float32: ``(good + prior) / (total + prior denominator)``, shifted and scaled; a key that is
  not in the table counts as 0 of 0. Borders counts the classes above the border as good, Buckets
  one class, BinarizedTargetMeanValue adds up targets, Counter divides by the model's count.
- categories that are not known cannot be in a table whose every key is the hash of known ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from zoo.errors import UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

_MULTIPLIER = 0x4906BA494954CB65
_MASK = 2**64 - 1
_EMPTY = _MASK
MOST_ENTRIES = 2_000_000
"""Combinations of categories that one table may hold."""


@record
class Bit:
    """A question that is part of a key: number `feature` above `value`, or category `feature` equal to it."""

    kind: str
    feature: int
    value: float

    @property
    def of_number(self) -> bool:
        return self.kind == "float_feature"


@record
class Ctr:
    """One statistic: `features` are numbers of categorical features, `bits` follow them in the key."""

    features: tuple[int, ...]
    bits: tuple[Bit, ...]
    kind: str
    table: str
    prior: float
    denominator: float
    shift: float
    scale: float
    target: int
    borders: tuple[float, ...]


def read_ctrs(content: dict[str, Any]) -> tuple[Ctr, ...]:
    """The CTRs of a model's JSON form, in the order that splits count them."""
    return tuple(
        Ctr(
            features=tuple(int(e["cat_feature_index"]) for e in one["elements"] if _is_category(e)),
            bits=tuple(_bit(element) for element in one["elements"] if not _is_category(element)),
            kind=one["ctr_type"],
            table=one["identifier"],
            prior=float(one["prior_numerator"]),
            denominator=float(one["prior_denomerator"]),
            shift=float(one["shift"]),
            scale=float(one["scale"]),
            target=int(one["target_border_idx"]),
            borders=tuple(map(float, one["borders"])),
        )
        for one in content["features_info"].get("ctrs", [])
    )


def _is_category(element: dict[str, Any]) -> bool:
    return bool(element["combination_element"] == "cat_feature_value")


def _bit(element: dict[str, Any]) -> Bit:
    kind = element["combination_element"]
    if kind == "float_feature":
        return Bit(kind, int(element["float_feature_index"]), float(element["border"]))
    if kind == "cat_feature_exact_value":
        return Bit(kind, int(element["cat_feature_index"]), float(element["value"]))
    raise UnsupportedModelError(
        f"CatBoost combines categories with an unknown kind of feature: {kind}",
        hint="Convert with a newer zoo, or train with max_ctr_complexity=1.",
    )


class Table:
    """The counts of one table by key."""

    def __init__(self, stored: dict[str, Any]) -> None:
        width, flat = int(stored["hash_stride"]), stored["hash_map"]
        rows = [flat[i : i + width] for i in range(0, len(flat), width)]
        self.counts = {int(row[0]): row[1:] for row in rows if int(row[0]) != _EMPTY}
        self.denominator = float(stored["counter_denominator"])

    def value(self, ctr: Ctr, key: int) -> np.float32:
        """The statistic of a key, as CatBoost computes it in float32."""
        import numpy as np

        good, total = self._shares(ctr, self.counts.get(key))
        share = (np.float32(good) + np.float32(ctr.prior)) / (np.float32(total) + np.float32(ctr.denominator))
        result: np.float32 = (np.float32(share) + np.float32(ctr.shift)) * np.float32(ctr.scale)
        return result

    def _shares(self, ctr: Ctr, counts: Sequence[float] | None) -> tuple[float, float]:
        if counts is None:
            return 0.0, 0.0
        if ctr.kind in ("BinarizedTargetMeanValue", "FloatTargetMeanValue"):
            return float(counts[0]), float(counts[1])
        if ctr.kind in ("Counter", "FeatureFreq"):
            return float(counts[0]), self.denominator
        if ctr.kind == "Buckets":
            return float(counts[ctr.target]), float(sum(counts))
        return float(sum(counts[ctr.target + 1 :])), float(sum(counts))


def key_of(hashes: Sequence[int]) -> int:
    """The key of categories together, from their signed hashes."""
    key = 0
    for one in hashes:
        key = (_MULTIPLIER * ((key + _MULTIPLIER * (one & _MASK)) & _MASK)) & _MASK
    return key


def confirmed(table: Table, known: Mapping[int, str]) -> dict[int, str]:
    """The known categories (by hash) that a table of one feature holds."""
    return {one: word for one, word in known.items() if key_of([one]) in table.counts}


def keys(words: Sequence[Sequence[int]], bits: int) -> list[int]:
    """The keys of every combination of hashes and of `bits` answers, the last one counting fastest.

    Behind each feature's hashes stands one more place for an unknown category: no table holds its key.
    """
    from itertools import product

    answers = list(product((0, 1), repeat=bits))
    combined = product(*([*one, None] for one in words))
    return [
        _EMPTY if None in one else key_of([*(h for h in one if h is not None), *bit])
        for one in combined
        for bit in answers
    ]
