"""`zoo pull`: from a registry, from source strings, from the store; and every way in which it must fail."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import zoo
from converters.from_sklearn import SklearnConverter
from zoo.cli.main import run
from zoo.errors import DigestMismatchError, FetchError, OfflineError, OutputExistsError, UsageError


@pytest.fixture(scope="module")
def onnx_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A tiny ONNX model: y = 2 x + 1, float32[batch, 3]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "xy"]
    weights = [numpy_helper.from_array(np.float32(n), name) for n, name in ((2, "a"), (1, "b"))]
    nodes = [helper.make_node("Mul", ["x", "a"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])]
    graph = helper.make_graph(nodes, "line", values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.ModelProto.SerializeToString(model)


@pytest.fixture
def server(onnx_bytes: bytes) -> Iterator[tuple[str, dict[str, bytes], list[str]]]:
    """A web server on this machine: its address, what it serves by path, and what was asked for."""
    files = {"/line.onnx": onnx_bytes}
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_address[1]}", files, asked
        web.shutdown()
        thread.join()


@pytest.fixture
def registry(tmp_path: Path, server: tuple[str, dict[str, bytes], list[str]], onnx_bytes: bytes) -> Path:
    """A registry with one model, whose first source is gone and whose second is the server."""
    path = tmp_path / "registry.yaml"
    path.write_text(
        f"""
schema: 1
models:
  line:
    kind: zoo
    task: testing
    licence: {{code: MIT, weights: MIT, source: this test}}
    files:
      - path: line.onnx
        sha256: {hashlib.sha256(onnx_bytes).hexdigest()}
        size: {len(onnx_bytes)}
        sources: ["{server[0]}/gone.onnx", "{server[0]}/line.onnx"]
    inputs: ["x:float32[batch,3]"]
    outputs: ["y:float32[batch,3]"]
""",
        encoding="utf-8",
    )
    return path


def test_a_pulled_model_is_verified_and_runs(registry: Path) -> None:
    model = zoo.pull("line", registry=registry, allow_private=True)
    assert model.report is not None
    assert model.report.passed
    loaded = zoo.load(model.path)
    assert loaded(np.ones((2, 3), np.float32))["y"].tolist() == [[3, 3, 3], [3, 3, 3]]


def test_a_second_pull_asks_nobody(registry: Path, server: tuple[str, dict[str, bytes], list[str]]) -> None:
    first = zoo.pull("line", registry=registry, allow_private=True)
    server[2].clear()
    second = zoo.pull("line", registry=registry, allow_private=True)
    assert server[2] == []
    assert second.path == first.path
    assert second.report == first.report


def test_a_damaged_blob_is_fetched_again(
    registry: Path, server: tuple[str, dict[str, bytes], list[str]]
) -> None:
    model = zoo.pull("line", registry=registry, allow_private=True)
    blob = model.path.resolve()
    blob.chmod(0o644)
    blob.write_bytes(b"x" * blob.stat().st_size)
    again = zoo.pull("line", registry=registry, allow_private=True)
    assert hashlib.sha256(again.path.read_bytes()).hexdigest() == model.model.digest


def test_offline_answers_from_the_store_only(registry: Path) -> None:
    with pytest.raises(OfflineError):
        zoo.pull("line", registry=registry, allow_private=True, offline=True)
    zoo.pull("line", registry=registry, allow_private=True)
    assert zoo.pull("line", registry=registry, allow_private=True, offline=True).report is not None


def test_wrong_bytes_are_named_with_both_digests_and_never_kept(
    registry: Path, server: tuple[str, dict[str, bytes], list[str]], onnx_bytes: bytes, cache_dir: Path
) -> None:
    wrong = bytearray(onnx_bytes)
    wrong[20] ^= 1
    server[1]["/line.onnx"] = bytes(wrong)
    with pytest.raises(DigestMismatchError) as caught:
        zoo.pull("line", registry=registry, allow_private=True)
    shown = f"{caught.value.message} {caught.value.hint}"
    assert hashlib.sha256(onnx_bytes).hexdigest() in shown
    assert hashlib.sha256(wrong).hexdigest() in shown
    blobs = (
        [path for path in (cache_dir / "sha256").rglob("*") if path.is_file()] if cache_dir.exists() else []
    )
    assert blobs == []


def test_no_source_at_all_names_each_with_its_reason(
    registry: Path, server: tuple[str, dict[str, bytes], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    server[1].clear()
    assert run(["pull", "line", "--allow-private", "--registry", str(registry)]) == 4
    shown = capsys.readouterr().err
    assert shown.count("404") >= 2
    assert "gone.onnx" in shown
    assert "line.onnx" in shown
    assert "hint: " in shown


def test_another_source_is_tried_first(
    registry: Path, server: tuple[str, dict[str, bytes], list[str]]
) -> None:
    server[1]["/mirror.onnx"] = server[1].pop("/line.onnx")
    zoo.pull("line", registry=registry, allow_private=True, sources=[f"{server[0]}/mirror.onnx"])
    assert server[2] == ["/mirror.onnx"]


def test_a_source_string_is_trusted_on_first_use_and_held_to_it(
    server: tuple[str, dict[str, bytes], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = f"{server[0]}/line.onnx"
    assert run(["pull", source]) == 0
    assert "trusted on first use" in capsys.readouterr().err
    changed = bytearray(server[1]["/line.onnx"])
    changed[20] ^= 1
    server[1]["/line.onnx"] = bytes(changed)
    for blob in zoo.cache.list().blobs:
        blob.path.unlink()
    with pytest.raises(DigestMismatchError):
        zoo.pull(source)


def test_a_digest_goes_with_a_source_not_with_a_name(registry: Path) -> None:
    with pytest.raises(UsageError, match="pins its own digests"):
        zoo.pull("line", registry=registry, allow_private=True, sha256="0" * 64)


def test_the_model_is_copied_where_it_is_wanted(registry: Path, tmp_path: Path, onnx_bytes: bytes) -> None:
    zoo.pull("line", registry=registry, allow_private=True, output=tmp_path / "mine.onnx")
    assert (tmp_path / "mine.onnx").read_bytes() == onnx_bytes
    with pytest.raises(OutputExistsError):
        zoo.pull("line", registry=registry, allow_private=True, output=tmp_path / "mine.onnx")


def test_info_shows_the_entry_before_and_the_proof_after(
    registry: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", "line", "--registry", str(registry), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pulled"] is None
    zoo.pull("line", registry=registry, allow_private=True)
    assert run(["info", "line", "--registry", str(registry), "--json"]) == 0
    pulled = json.loads(capsys.readouterr().out)["pulled"]
    assert pulled["model"]["opset"] == 17
    assert pulled["report"]["verdict"] == "verified"


def test_verifying_a_name_proves_it_anew(registry: Path) -> None:
    assert zoo.verify("line", registry=registry, allow_private=True).passed


def test_a_fetch_error_is_a_fetch_error_in_the_api(
    registry: Path, server: tuple[str, dict[str, bytes], list[str]]
) -> None:
    server[1].clear()
    with pytest.raises(FetchError):
        zoo.pull("line", registry=registry, allow_private=True)


def test_validate_goes_on_after_a_failure_and_reports_all(
    registry: Path, server: tuple[str, dict[str, bytes], list[str]], tmp_path: Path
) -> None:
    text = registry.read_text()
    entry = text[text.index("  line:") :]
    digest = hashlib.sha256(server[1]["/line.onnx"]).hexdigest()
    for number, name in enumerate(("bent", "lost"), 1):
        other = entry.replace("  line:", f"  {name}:").replace('/line.onnx"', f'/{name}.onnx"')
        text += other.replace(digest, f"{number}a" * 32)
    registry.write_text(text)
    server[1]["/bent.onnx"] = b"x" * len(server[1]["/line.onnx"])
    report, junit = tmp_path / "v.json", tmp_path / "v.xml"
    code = run(
        [
            "validate",
            "--all",
            "--allow-private",
            "-q",
            "--registry",
            str(registry),
            "--report",
            str(report),
            "--junit",
            str(junit),
        ]
    )
    statuses = {result["ref"]: result["status"] for result in json.loads(report.read_text())["results"]}
    assert statuses == {"line": "verified", "bent": "failed", "lost": "unreachable"}
    assert code == DigestMismatchError.exit_code
    from xml.etree import ElementTree

    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")


def test_a_locked_project_refuses_another_model(
    registry: Path, server: tuple[str, dict[str, bytes], list[str]], tmp_path: Path, onnx_bytes: bytes
) -> None:
    lock = tmp_path / "zoo.lock"
    zoo.lock(["line"], path=lock, registry=registry, allow_private=True)
    assert zoo.pull("line", registry=registry, allow_private=True, locked=lock).report is not None
    changed = bytearray(onnx_bytes)
    changed[20] ^= 1
    text = registry.read_text()
    before, after = (hashlib.sha256(data).hexdigest() for data in (onnx_bytes, changed))
    registry.write_text(text.replace(before, after))
    with pytest.raises(DigestMismatchError, match="not the model locked"):
        zoo.pull("line", registry=registry, allow_private=True, locked=lock)


def test_a_bundle_answers_an_offline_pull_elsewhere(registry: Path, tmp_path: Path) -> None:
    first = zoo.pull("line", registry=registry, allow_private=True)
    zoo.bundle(["line"], tmp_path / "models.zoo", registry=registry)
    elsewhere = tmp_path / "elsewhere"
    assert zoo.import_bundle(tmp_path / "models.zoo", cache=elsewhere).refs == ("line",)
    pulled = zoo.pull("line", registry=registry, cache=elsewhere, offline=True)
    assert pulled.model.digest == first.model.digest
    assert pulled.report == first.report


def test_a_record_that_names_other_bytes_is_not_believed(registry: Path, tmp_path: Path) -> None:
    from zoo import pulled
    from zoo.registry import load
    from zoo.store import Store

    zoo.pull("line", registry=registry, allow_private=True)
    store = Store.open()
    entry = load(registry).find("line")
    value = store.recall("pulls", pulled.key(entry))
    assert isinstance(value, dict)
    (tmp_path / "other").write_bytes(b"another model")
    forged = {**value, "files": {"line.onnx": store.add(tmp_path / "other").digest}}
    store.remember("pulls", pulled.key(entry), forged)
    assert pulled.recalled(entry, store) is None


def test_what_an_earlier_revision_of_its_converter_wrote_is_converted_again(
    iris_pickle: Path, tmp_path: Path
) -> None:
    from zoo import pulled
    from zoo.registry import load
    from zoo.store import Store

    path = tmp_path / "registry.yaml"
    path.write_text(
        f"""
schema: 1
models:
  iris:
    kind: converted
    task: testing
    licence: {{code: MIT, weights: MIT, source: this test}}
    conversion: {{framework: sklearn, kind: pickle}}
    files:
      - path: iris.pkl
        sha256: {hashlib.sha256(iris_pickle.read_bytes()).hexdigest()}
        size: {iris_pickle.stat().st_size}
        sources: ["file:{iris_pickle}"]
""",
        encoding="utf-8",
    )
    first = zoo.pull("iris", registry=path)
    store, entry = Store.open(), load(path).find("iris")
    value = store.recall(pulled.KIND, pulled.key(entry))
    assert isinstance(value, dict)
    store.remember(
        pulled.KIND, pulled.key(entry), {**value, "verified": {**value["verified"], "revision": -1}}
    )
    assert zoo.pull("iris", registry=path, offline=True).revision == -1
    assert zoo.pull("iris", registry=path).revision == first.revision == SklearnConverter.revision


def test_nothing_to_pull_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull"]) == 2
    assert "nothing to pull" in capsys.readouterr().err
