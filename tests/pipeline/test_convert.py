"""`zoo convert`: from a file to a proven ONNX file, or to a clear refusal that leaves nothing."""

from __future__ import annotations

import json
import pickle
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import zoo
from zoo.cli.main import run
from zoo.errors import (
    MissingInputError,
    OutputExistsError,
    UnsupportedFileError,
    VerificationError,
    WorkerError,
)


def answers(path: Path, **feeds: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, feeds)
    return found


def test_a_pickle_becomes_a_proven_onnx_file(iris_pickle: Path, tmp_path: Path) -> None:
    model = zoo.convert(iris_pickle, tmp_path / "iris.onnx")
    assert model.report is not None
    assert model.report.verdict == "verified"
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
    labels = answers(tmp_path / "iris.onnx", X=rows)[0]
    assert labels.tolist() == [0, 2]


def test_the_file_says_where_it_comes_from(iris_pickle: Path, tmp_path: Path) -> None:
    model = zoo.convert(iris_pickle, tmp_path / "iris.onnx")
    found = {entry.key: entry.value for entry in onnx.load(str(model.path)).metadata_props}
    assert found["zoo.source.sha256"] == model.source_digest
    assert found["zoo.source.framework"] == "sklearn"
    assert found["zoo.verification"] == "verified"
    assert found["zoo.opset"] == str(model.model.opset)
    assert "scikit-learn" in found["zoo.converter.versions"]


def test_the_reported_digest_is_that_of_the_file(iris_pickle: Path, tmp_path: Path) -> None:
    import hashlib

    model = zoo.convert(iris_pickle, tmp_path / "iris.onnx")
    assert model.model.digest == hashlib.sha256(model.path.read_bytes()).hexdigest()


def test_an_existing_output_is_kept(iris_pickle: Path, tmp_path: Path) -> None:
    output = tmp_path / "iris.onnx"
    output.write_text("precious")
    with pytest.raises(OutputExistsError, match="exists"):
        zoo.convert(iris_pickle, output)
    assert output.read_text() == "precious"


def test_the_default_output_is_named_after_the_source(
    iris_pickle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["convert", str(iris_pickle), "-q"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "iris.onnx")
    found = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert found == ["iris.onnx", "iris.onnx.zoo.json"]


def test_json_is_one_document(iris_pickle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", str(iris_pickle), "-o", str(tmp_path / "iris.onnx"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["report"]["verdict"] == "verified"
    assert document["model"]["path"] == str(tmp_path / "iris.onnx")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.pkl", b"just some text"),
        ("model.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
        ("empty.pt", b""),
        ("page.h5", b"<!DOCTYPE html><html><body>Log in</body></html>"),
    ],
)
def test_rubbish_is_refused_by_name_and_leaves_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnsupportedFileError):
        zoo.convert(tmp_path / name, tmp_path / "out" / "model.onnx")
    assert not (tmp_path / "out").exists()


def test_a_pickle_of_something_else_is_an_error_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"a": [1, 2, 3]}))
    assert run(["convert", str(tmp_path / "model.pkl"), "-o", str(tmp_path / "model.onnx")]) in (7, 8, 12)
    shown = capsys.readouterr()
    assert "error: " in shown.err
    assert "Traceback" not in shown.err + shown.out
    assert not (tmp_path / "model.onnx").exists()


def test_a_worker_that_takes_too_long_is_stopped(iris_pickle: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"stopped after 0\.05 s"):
        zoo.convert(iris_pickle, tmp_path / "iris.onnx", timeout=0.05)
    assert not (tmp_path / "iris.onnx").exists()


def test_a_missing_shape_names_the_option_that_gives_it(tmp_path: Path) -> None:
    import torch

    with pytest.warns(DeprecationWarning, match="deprecated"):
        torch.jit.script(torch.nn.Linear(3, 2)).save(str(tmp_path / "net.pt"))
    with pytest.raises(MissingInputError) as caught:
        zoo.convert(tmp_path / "net.pt", tmp_path / "net.onnx")
    assert "--input" in f"{caught.value.message} {caught.value.hint}"


def test_a_wrong_file_is_refused_with_the_worst_output_named(wrong_onnx: Path, iris_pickle: Path) -> None:
    from zoo.verification.report import worst

    report = zoo.verify(wrong_onnx, iris_pickle)
    assert report.verdict == "mismatch"
    assert "output 'label'" in worst(report)
    assert any(
        output.output == "probabilities" and not output.passed
        for case in report.cases
        for output in case.outputs
    )


def test_verify_ends_with_ten_on_a_mismatch(
    wrong_onnx: Path, iris_pickle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(wrong_onnx), str(iris_pickle)]) == 10
    assert "mismatch" in capsys.readouterr().out


def test_verify_accepts_what_convert_made(iris_pickle: Path, tmp_path: Path) -> None:
    zoo.convert(iris_pickle, tmp_path / "iris.onnx")
    assert zoo.verify(tmp_path / "iris.onnx", iris_pickle).passed


def test_a_certificate_finds_a_changed_byte(
    iris_pickle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "iris.onnx"
    zoo.convert(iris_pickle, path)
    assert run(["verify", str(path), "--certificate"]) == 0
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert run(["verify", str(path), "--certificate"]) == 10
    assert "is not the certified file" in capsys.readouterr().out


def test_a_signed_certificate_is_told_from_an_unsigned_one(iris_pickle: Path, tmp_path: Path) -> None:
    private, public = tmp_path / "key.pem", tmp_path / "key.pub.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    model = tmp_path / "iris.onnx"
    zoo.convert(iris_pickle, model)
    with pytest.raises(VerificationError):
        zoo.check_certificate(model, key=public)
    zoo.sign(model, key=private)
    assert zoo.check_certificate(model, key=public).passed


def test_the_report_is_written_as_a_page(iris_pickle: Path, tmp_path: Path) -> None:
    zoo.convert(iris_pickle, tmp_path / "iris.onnx")
    page = tmp_path / "report.html"
    assert run(["verify", str(tmp_path / "iris.onnx"), str(iris_pickle), "--html", str(page), "-q"]) == 0
    assert "probabilities" in page.read_text(encoding="utf-8")


class Impostor:
    """A converter that gives a graph which is not the model: it doubles what the source gives."""

    framework = "impostor"
    title = "impostor"
    requirements = ()
    extra = "none"
    revision = 1

    def load(self, artifact, request):  # type: ignore[no-untyped-def]
        return None

    def describe(self, model, request):  # type: ignore[no-untyped-def]
        from zoo.records import Signature, SourceDescription, TensorSpec

        specs = [(TensorSpec(name, "float32", ("batch", 2)),) for name in "xy"]
        return SourceDescription(Signature(*specs))

    def convert(self, model, request):  # type: ignore[no-untyped-def]
        from onnx import TensorProto, helper

        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in "xy"]
        node = helper.make_node("Add", ["x", "x"], ["y"])
        graph = helper.make_graph([node], "g", values[:1], values[1:])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def predict(self, model, feeds):  # type: ignore[no-untyped-def]
        return {"y": feeds["x"]}


@pytest.fixture
def impostor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the impostor known as a third party's converter would be."""
    from zoo import plugins

    monkeypatch.setitem(plugins.CONVERTERS, "impostor", f"{__name__}:Impostor")
    plugins._table.cache_clear()


@pytest.mark.usefixtures("impostor")
def test_a_mismatch_leaves_no_file(
    iris_pickle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    with pytest.raises(VerificationError, match="output 'y'") as caught:
        zoo.convert(iris_pickle, tmp_path / "out.onnx", framework="impostor")
    assert caught.value.report.verdict == "mismatch"
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.usefixtures("impostor")
def test_a_kept_mismatch_says_so_in_its_metadata(iris_pickle: Path, tmp_path: Path) -> None:
    zoo.convert(iris_pickle, tmp_path / "out.onnx", framework="impostor", keep_unverified=True)
    found = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "out.onnx")).metadata_props}
    assert found["zoo.verification"] == "mismatch"
    assert not (tmp_path / "out.onnx.zoo.json").exists()


def test_a_builder_of_the_users_is_found_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    code = "import torch\n\ndef small(width):\n    return torch.nn.Linear(3, width)\n"
    here = tmp_path / "here"
    here.mkdir()
    (here / "mynets.py").write_text(code)
    torch.save(torch.nn.Linear(3, 5).state_dict(), tmp_path / "w.pt")
    monkeypatch.chdir(here)
    model = zoo.convert(
        tmp_path / "w.pt", builder="mynets:small", builder_kwargs={"width": 5}, input=["x:float32[batch,3]"]
    )
    assert model.model.signature.outputs[0].shape == ("batch", 5)


def test_a_worker_cannot_read_what_lies_beside_a_pickle(tmp_path: Path) -> None:
    from zoo import sandbox

    if sandbox.level() == "rlimits":
        pytest.skip("this kernel has neither landlock nor bubblewrap")
    (tmp_path / "secret.txt").write_text("token")
    (tmp_path / "spy.py").write_text(
        "class Spy:\n    def __reduce__(self):\n        return open, ("
        + repr(str(tmp_path / "secret.txt"))
        + ",)\n"
    )
    import importlib.util

    spec = importlib.util.spec_from_file_location("spy", tmp_path / "spy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    model.extra = module.Spy()
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    with pytest.raises(zoo.ZooError, match="Permission denied"):
        zoo.convert(tmp_path / "model.pkl", tmp_path / "model.onnx", trust=True)


def test_a_source_that_refuses_some_typical_rows_is_judged_on_the_others(tmp_path: Path) -> None:
    """The logarithm of a number below -1 is NaN, which logistic regression refuses."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    rows = np.abs(np.random.default_rng(0).normal(size=(80, 3)))
    model = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(rows, rows[:, 0] > 0.6)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    report = zoo.convert(tmp_path / "model.pkl", tmp_path / "model.onnx").report
    assert report is not None
    assert report.passed
    assert any(case.skipped for case in report.cases)
