"""Tensors and samples on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.errors import UsageError
from zoo.tensors import load_tensors, read_sample, save_tensors


def test_tensors_keep_names_order_dtypes_and_text(tmp_path: Path) -> None:
    tensors = {
        "b/0": np.arange(3, dtype=np.int8),
        "a": np.array([["İ", "東京"]], dtype=object),
        "": np.float32(2),
    }
    save_tensors(tmp_path / "t.npz", tensors)
    found = load_tensors(tmp_path / "t.npz")
    assert list(found) == ["b/0", "a", ""]
    assert found["b/0"].dtype == np.int8
    assert found["a"].tolist() == [["İ", "東京"]]
    assert found[""].shape == ()


def test_tensors_with_a_pickle_inside_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", names=np.array(["a"]), t0=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load_tensors(tmp_path / "t.npz")


def test_csv_columns_get_the_narrowest_type_that_holds_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\ufeffage,city,height,member\n3,Köln,1.5,true\n40,Paris,,False\n", encoding="utf-8")
    sample = read_sample(path)
    assert {name: array.dtype.kind for name, array in sample.items()} == {
        "age": "i",
        "city": "U",
        "height": "f",
        "member": "b",
    }
    assert np.isnan(sample["height"][1])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.csv", "a,b\n1\n", "line 2 has 1 fields"),
        ("rows.csv", "a,b\n", "no rows"),
        ("rows.parquet", "", "not .csv"),
        ("rows.npz", "rubbish", "cannot read"),
    ],
)
def test_an_unusable_sample_says_why(tmp_path: Path, name: str, content: str, reason: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=reason):
        read_sample(tmp_path / name)
