"""The files that make up a source: each is in the certificate, and a changed one is noticed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import zoo
from converters import from_caffe, mxnet_files, paddle_files
from tests.verification.graphs import save, seeded_mlp
from zoo import siblings
from zoo.artifacts import open_artifact
from zoo.certificates import check_certificate
from zoo.cli.main import run
from zoo.records import Artifact, ConversionRequest, Detection
from zoo.verification.certificate import beside, loads


def made_of(path: Path, framework: str, kind: str, **options: object) -> set[str]:
    return set(siblings.parts(path, Detection(framework, kind, ""), options))


def request(path: Path, framework: str, kind: str, **options: object) -> ConversionRequest:
    return ConversionRequest(Artifact(path, "", 0), framework, kind, options=dict(options))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several frameworks by name; the symbol is one that MXNet's converter reads."""
    names = "n.json n.pdiparams o.pdmodel o.pdiparams __model__ __params__ deploy.prototxt a.caffemodel"
    for name in [*names.split(), "b.prototxt", "b.caffemodel", "s-0003.params", "s-0007.params", "t.params"]:
        (tmp_path / name).write_bytes(name.encode())
    for stem in ("s", "t"):
        (tmp_path / f"{stem}-symbol.json").write_text(json.dumps({"nodes": []}))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("n.json", "json"),
        ("n.pdiparams", "pdiparams"),
        ("o.pdmodel", "pdmodel"),
        ("o.pdiparams", "pdiparams"),
        ("__model__", "pdmodel"),
        ("__params__", "pdiparams"),
    ],
)
def test_the_files_of_a_paddle_model_are_those_that_its_converter_reads(folder, name, kind) -> None:
    read = paddle_files.found(folder / name, kind, {})
    assert made_of(folder / name, "paddle", kind) == {read.program.name, read.parameters.name}


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("s-symbol.json", "symbol", {"epoch": 7}),
        ("s-0003.params", "params", {}),
        ("t-symbol.json", "symbol", {}),
        ("t.params", "params", {}),
    ],
)
def test_the_files_of_an_mxnet_model_are_those_that_its_converter_reads(folder, name, kind, options) -> None:
    read = mxnet_files.found(folder / name, kind, options)
    assert made_of(folder / name, "mxnet", kind, **options) == {read.symbol.name, read.parameters.name}


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.caffemodel", "caffemodel", {}),
        ("b.caffemodel", "caffemodel", {}),
        ("b.prototxt", "prototxt", {}),
        ("b.prototxt", "prototxt", {"weights": "a.caffemodel"}),
        ("a.caffemodel", "caffemodel", {"network": "b.prototxt"}),
    ],
)
def test_the_files_of_a_caffe_model_are_those_that_its_converter_reads(folder, name, kind, options) -> None:
    read = from_caffe._files(folder / name, request(folder / name, "caffe", kind, **options))
    assert made_of(folder / name, "caffe", kind, **options) == {file.name for file in read}


def test_the_code_that_builds_a_model_belongs_to_its_weights(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    for name in ("w.npz", "nets.py", "package/__init__.py", "package/blocks.py", "other.py"):
        (tmp_path / name).write_bytes(b"")
    weights = tmp_path / "w.npz"
    assert made_of(weights, "chainer", "npz", builder="nets.py:Net") == {"w.npz", "nets.py"}
    of_package = made_of(weights, "chainer", "npz", builder="package.blocks:Net")
    assert of_package == {"w.npz", "package/__init__.py", "package/blocks.py"}
    assert made_of(weights, "torch", "state_dict", builder="converters.architectures.bert:bert") == {"w.npz"}


def test_a_file_by_itself_has_its_digest_and_no_list(tmp_path: Path) -> None:
    (tmp_path / "model.cbm").write_bytes(b"CBM1")
    artifact = open_artifact(tmp_path / "model.cbm")
    assert siblings.completed(artifact, Detection("catboost", "cbm", ""), {}).files == {}


def test_a_folder_lists_all_that_it_holds(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "variables" / "data").write_bytes(b"weights")
    assert open_artifact(tmp_path).files == {
        "saved_model.pb": hashlib.sha256(b"graph").hexdigest(),
        "variables/data": hashlib.sha256(b"weights").hexdigest(),
    }


def test_external_data_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    path = external(tmp_path)
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../weights.bin"
    path.write_bytes(model.SerializeToString())
    assert siblings.external_data(path) == ()


# --- end to end: a file with external data ------------------------------------------------------------


def external(folder: Path) -> Path:
    """A small network whose weights lie in ``weights.bin`` beside it."""
    folder.mkdir(exist_ok=True)
    model = onnx.load(str(save(seeded_mlp(), folder)))
    path = folder / "net.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=64)
    return path


def nudge(data: Path) -> None:
    """Another first weight; the size stays."""
    weights = np.fromfile(data, np.float32)
    weights[0] += np.float32(0.5)
    weights.tofile(data)


@pytest.fixture
def converted(tmp_path: Path) -> tuple[Path, Path]:
    source = external(tmp_path / "source")
    zoo.convert(source, tmp_path / "out.onnx")
    return tmp_path / "out.onnx", source


def test_the_certificate_holds_the_digest_of_every_file_of_the_source(converted) -> None:
    model, source = converted
    stated = loads(beside(model).read_bytes()).source
    assert stated.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert stated.files == {
        name: hashlib.sha256((source.parent / name).read_bytes()).hexdigest()
        for name in ("net.onnx", "weights.bin")
    }


def test_the_source_of_a_model_is_known_again(converted, capsys) -> None:
    model, source = converted
    assert run(["verify", str(model), str(source), "--certificate"]) == 0
    assert f"made from {source}" in capsys.readouterr().out


def test_a_changed_file_beside_the_source_is_noticed(converted, capsys) -> None:
    model, source = converted
    nudge(source.parent / "weights.bin")
    assert run(["verify", str(model), str(source), "--certificate"]) == 10
    assert "weights.bin is not the file that the model was made from" in capsys.readouterr().out


def test_a_missing_file_beside_the_source_is_noticed(converted) -> None:
    model, source = converted
    (source.parent / "weights.bin").unlink()
    assert check_certificate(model, source).problems == ("weights.bin of the source is missing",)


def test_another_lone_source_is_noticed(tmp_path: Path) -> None:
    import pickle

    from sklearn.linear_model import Ridge

    rows = np.random.default_rng(1).standard_normal((50, 3))
    for name, alpha in (("one", 1.0), ("other", 2.0)):
        model = Ridge(alpha=alpha).fit(rows, rows.sum(axis=1))
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(model))
    zoo.convert(tmp_path / "one.pkl", tmp_path / "one.onnx")
    assert check_certificate(tmp_path / "one.onnx", tmp_path / "one.pkl").passed
    (problem,) = check_certificate(tmp_path / "one.onnx", tmp_path / "other.pkl").problems
    assert problem.startswith("other.pkl is not the source")


def test_kept_answers_are_those_of_every_file_of_the_source(converted) -> None:
    model, source = converted
    kept = "the source answered in an earlier run"
    reports = [zoo.verify(model, source), zoo.verify(model, source)]
    nudge(source.parent / "weights.bin")
    reports.append(zoo.verify(model, source))
    assert [any(kept in note for note in report.notes) for report in reports] == [False, True, False]
    assert [report.verdict for report in reports] == ["verified", "verified", "mismatch"]
