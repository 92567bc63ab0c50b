"""`zoo verify` as a whole: data sets beside a model, answers that are kept, int8 files, empty batches."""

from __future__ import annotations

import pickle
import tarfile

import numpy as np
import pytest
from onnx import numpy_helper

import zoo
from tests.verification.graphs import save, seeded_mlp
from zoo.cli.main import run as command
from zoo.errors import UsageError
from zoo.verification.runtime import run

X = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)


def data_set(folder, proto, number=0, off=0.0):
    outputs = run(save(proto, folder), {"x": X})
    place = folder / f"test_data_set_{number}"
    place.mkdir()
    for side, arrays in (
        ("input", {"x": X}),
        ("output", {k: a + np.float32(off) for k, a in outputs.items()}),
    ):
        for index, (name, array) in enumerate(arrays.items()):
            tensor = numpy_helper.from_array(array, name)
            (place / f"{side}_{index}.pb").write_bytes(tensor.SerializeToString())
    return folder / "model.onnx"


def families(report):
    return {case.case.family for case in report.cases}


def test_data_sets_beside_a_model_are_fed_and_their_outputs_are_the_reference(tmp_path):
    report = zoo.verify(data_set(tmp_path, seeded_mlp()))
    assert report.passed
    assert "data_set" in families(report)
    assert any("outputs that came with test_data_set_0 are the reference" in note for note in report.notes)


def test_outputs_that_the_graph_does_not_give_are_a_mismatch(tmp_path):
    report = zoo.verify(data_set(tmp_path, seeded_mlp(), off=1e-3))
    assert report.verdict == "mismatch"
    failed = {case.case.family for case in report.cases if not case.passed}
    assert failed == {"data_set"}


def test_data_sets_are_taken_from_an_archive(tmp_path, capsys):
    (tmp_path / "sets").mkdir()
    path = data_set(tmp_path / "sets", seeded_mlp())
    with tarfile.open(tmp_path / "sets.tar.gz", "w:gz") as archive:
        archive.add(path.parent / "test_data_set_0", "mlp/test_data_set_0")
    plain = save(seeded_mlp(), tmp_path)
    assert command(["verify", str(plain), "--data-sets", str(tmp_path / "sets.tar.gz")]) == 0
    assert "test_data_set_0" in capsys.readouterr().out
    with pytest.raises(UsageError, match="does not exist"):
        zoo.verify(plain, data_sets=tmp_path / "none.tar")


@pytest.fixture
def converted(tmp_path):
    from sklearn.linear_model import Ridge

    rows = np.random.default_rng(1).standard_normal((50, 3))
    source = tmp_path / "ridge.pkl"
    source.write_bytes(pickle.dumps(Ridge().fit(rows, rows.sum(axis=1))))
    zoo.convert(source, tmp_path / "ridge.onnx")
    return tmp_path / "ridge.onnx", source


def test_a_second_proof_does_not_ask_the_source_again(converted, cache_dir):
    stages, kept = [], "the source answered in an earlier run"
    first, second, third = (
        zoo.verify(*converted, refresh=refresh, on_stage=stages.append) for refresh in (False, False, True)
    )
    assert first.passed
    assert second.passed
    assert [any(kept in note for note in report.notes) for report in (first, second, third)] == [
        False,
        True,
        False,
    ]
    assert second.cases == first.cases


def test_another_source_or_seed_has_answers_of_its_own(converted):
    zoo.verify(*converted)
    report = zoo.verify(*converted, seed=1)
    assert not any("earlier run" in note for note in report.notes)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_class_of_a_quantised_source_is_in_the_report_and_the_certificate(tmp_path):
    from tests.verification.planted.suite import prepared

    subject, graph = prepared("lite_int8")
    report = subject.judge(graph)
    assert report.tolerance_class == "quantised"
    assert any("an element may be off by 8 steps" in note for note in report.notes)
