from __future__ import annotations

import tarfile

import numpy as np
import pytest
from onnx import numpy_helper

from tests.verification.graphs import save, seeded_mlp
from zoo.errors import UsageError
from zoo.verification.comparison import compare
from zoo.verification.datasets import read_data_sets
from zoo.verification.inspection import signature
from zoo.verification.runtime import run

SIGNATURE = signature(seeded_mlp().graph)


def written(folder, inputs, outputs):
    folder.mkdir(parents=True)
    for side, arrays in (("input", inputs), ("output", outputs)):
        for number, (name, array) in enumerate(arrays):
            (folder / f"{side}_{number}.pb").write_bytes(
                numpy_helper.from_array(array, name).SerializeToString()
            )
    return folder


def one(path, known=SIGNATURE):
    (data,) = read_data_sets(path, known)
    return data


@pytest.fixture
def answered(tmp_path):
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    return x, run(save(seeded_mlp(), tmp_path), {"x": x})


def test_a_set_is_read_and_the_model_agrees_with_it(tmp_path, answered):
    x, outputs = answered
    folder = written(tmp_path / "test_data_set_0", [("x", x)], list(outputs.items()))
    data = one(folder)
    assert np.array_equal(data.inputs["x"], x)
    assert compare(data.case, data.outputs, outputs).passed


def test_tensors_without_a_name_take_that_of_their_number(tmp_path, answered):
    x, outputs = answered
    folder = written(tmp_path / "set", [("", x)], [("", outputs["probabilities"]), ("", outputs["total"])])
    data = one(folder)
    assert list(data.outputs) == ["probabilities", "total"]


def test_sets_come_in_the_order_of_their_numbers(tmp_path, answered):
    x, outputs = answered
    for number in (10, 2, 0):
        written(tmp_path / f"test_data_set_{number}", [("x", x)], list(outputs.items()))
    names = [data.name for data in read_data_sets(tmp_path, SIGNATURE)]
    assert names == ["test_data_set_0", "test_data_set_2", "test_data_set_10"]


def test_text_is_read_as_unicode(tmp_path):
    from tests.verification.graphs import model, value

    text = np.array(["naïve", "東京"], dtype=object)
    proto = model([], [value("t", ["n"], 8)], [value("t", ["n"], 8)])
    data = one(written(tmp_path / "set", [("t", text)], [("t", text)]), signature(proto.graph))
    assert data.inputs["t"].tolist() == ["naïve", "東京"]


def test_missing_inputs_are_told(tmp_path, answered):
    with pytest.raises(UsageError, match="0 inputs and 2 outputs"):
        one(written(tmp_path / "set", [], list(answered[1].items())))


def test_a_broken_file_is_named(tmp_path, answered):
    x, outputs = answered
    folder = written(tmp_path / "set", [("x", x)], list(outputs.items()))
    (folder / "output_0.pb").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UsageError, match=r"output_0\.pb holds no tensor"):
        one(folder)


def test_an_archive_is_read_without_being_unpacked(tmp_path, answered):
    x, outputs = answered
    for number in (1, 0):
        written(tmp_path / "sets" / f"test_data_set_{number}", [("x", x)], list(outputs.items()))
    with tarfile.open(tmp_path / "sets.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "sets", "../mnist")
    found = list(read_data_sets(tmp_path / "sets.tar.gz", SIGNATURE))
    assert [data.name for data in found] == ["test_data_set_0", "test_data_set_1"]
    assert np.array_equal(found[1].inputs["x"], x)


def test_what_is_no_archive_and_what_holds_no_set_is_told(tmp_path):
    (tmp_path / "page.tar.gz").write_bytes(b"<html>not found</html>")
    with pytest.raises(UsageError, match="no tar archive"):
        one(tmp_path / "page.tar.gz")
    with pytest.raises(UsageError, match="holds no test_data_set"):
        one(tmp_path)
