"""Many files in one go: each on its own, on workers that stay warm."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest

import zoo
from zoo import sandbox, warm
from zoo.cli.main import run
from zoo.errors import UnsupportedFileError, UsageError


@pytest.fixture
def folder(iris_pickle: Path, tmp_path: Path) -> Path:
    """Three files: two good ones with rubbish between."""
    for name in ("a", "c"):
        shutil.copy(iris_pickle, tmp_path / f"{name}.pkl")
    (tmp_path / "b.pkl").write_bytes(b"\x80\x04rubbish")
    (tmp_path / "out").mkdir()
    return tmp_path


def test_a_bad_file_stops_none_of_the_others(folder: Path) -> None:
    found = zoo.convert_all(sorted(folder.glob("*.pkl")), folder / "out")
    assert [one.path.name for one in found] == ["a.pkl", "b.pkl", "c.pkl"]
    assert isinstance(found[1].error, UnsupportedFileError)
    proven = [one.model for one in found if one.model is not None]
    assert [model.report is not None and model.report.passed for model in proven] == [True, True]
    assert sorted(path.name for path in (folder / "out").glob("*.onnx")) == ["a.onnx", "c.onnx"]


def test_two_jobs_give_what_one_gives(folder: Path) -> None:
    paths = [folder / "a.pkl", folder / "c.pkl"]
    ended: list[str] = []
    found = zoo.convert_all(
        paths, folder / "out", jobs=2, on_result=lambda result: ended.append(result.path.name)
    )
    assert sorted(ended) == ["a.pkl", "c.pkl"]
    alone = zoo.convert(folder / "a.pkl", folder / "alone.onnx")
    graphs = {one.model.model.graph_digest for one in found if one.model} | {alone.model.graph_digest}
    assert len(graphs) == 1


@pytest.mark.skipif(not sandbox.forkable(), reason="the jail that works here is not made by forking")
def test_files_of_one_framework_share_a_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[warm.Kind] = []
    start = warm._started
    monkeypatch.setattr(warm, "_started", lambda kind: (started.append(kind), start(kind))[1])
    zoo.convert_all([folder / "a.pkl", folder / "c.pkl"], folder / "out", jobs=1)
    assert len(started) == len(set(started)) == 2  # one for the source, one for ONNX Runtime


def test_files_that_would_take_one_name_are_refused_before_any_work(folder: Path) -> None:
    (folder / "other").mkdir()
    shutil.copy(folder / "a.pkl", folder / "other" / "a.pkl")
    with pytest.raises(UsageError, match=r"a\.pkl would both be written to"):
        zoo.convert_all([folder / "a.pkl", folder / "other" / "a.pkl"], folder / "out")
    assert not list((folder / "out").iterdir())


def test_the_command_ends_with_the_first_failure_and_prints_every_result(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(folder / f"{name}.pkl") for name in "abc"]
    assert run(["convert", *paths, "-o", str(folder / "out"), "--jobs", "2", "--json"]) == 7
    first, second, third = json.loads(capsys.readouterr().out)
    assert second["error"]["type"] == "UnknownFormatError"
    assert first["report"]["verdict"] == third["report"]["verdict"] == "verified"


def test_a_missing_output_folder_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(folder / "a.pkl"), str(folder / "c.pkl")]
    assert run(["convert", *paths, "-o", str(folder / "nowhere")]) == 2
    assert "nowhere is no folder" in capsys.readouterr().err


def test_a_pickle_that_changes_its_process_does_not_reach_the_next_file(folder: Path) -> None:
    """Both run in children of one worker; what the first does to its modules stays in its child."""
    code = "import sklearn.linear_model as m; m.LogisticRegression.decision_function = lambda s, X: X[:, :3]"
    attack = b"\x80\x04cbuiltins\nexec\n" + pickle.dumps((code,), 0)[:-1] + b"R."
    (folder / "b.pkl").write_bytes(attack)
    found = zoo.convert_all([folder / "b.pkl", folder / "c.pkl"], folder / "out", trust=True)
    assert found[0].model is None
    good = found[1].model
    assert good is not None
    assert good.model.graph_digest == zoo.convert(folder / "c.pkl", folder / "alone.onnx").model.graph_digest
