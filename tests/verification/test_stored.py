from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import StoreError
from zoo.tensors import save_tensors
from zoo.verification.stored import StoredTensors

ARRAYS = {
    "a/b:0": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "scalar": np.array(3, np.int64),
    "empty": np.zeros((0, 5), np.float64),
    "text": np.array(["naïve", "東京"]),
    "nothing": np.array([""]),
    "half": np.array([1.5], np.float16),
}


def test_every_array_comes_back_in_order(tmp_path):
    save_tensors(tmp_path / "x.npz", ARRAYS)
    stored = StoredTensors(tmp_path / "x.npz")
    assert list(stored) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert stored[name].dtype == array.dtype
        assert np.array_equal(stored[name], array), name


def test_large_arrays_stay_on_disk(tmp_path):
    save_tensors(tmp_path / "x.npz", {"y": np.zeros(1000)})
    assert isinstance(StoredTensors(tmp_path / "x.npz")["y"].base, np.memmap)


def test_a_pickle_in_the_file_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", t0=np.array([{"a": 1}], dtype=object), names=np.array(["y"]))
    with pytest.raises(StoreError, match="Python objects"):
        StoredTensors(tmp_path / "x.npz")["y"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(StoreError, match="does not hold named tensors"):
        StoredTensors(tmp_path / "x.npz")


def test_compressed_members_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", t0=np.ones(3), names=np.array(["y"]))
    with pytest.raises(StoreError, match="plain array"):
        StoredTensors(tmp_path / "x.npz")["y"]
