"""Metadata is appended to a file without reading it."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from zoo.provenance import append_metadata, timestamp


def save_identity(path: Path) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    model.metadata_props.add(key="author", value="me")
    onnx.save(model, str(path))


def test_appended_metadata_joins_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    save_identity(path)
    append_metadata(path, {"zoo.verification": "verified", "zoo.long": "é" * 300})
    found = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert found == {"author": "me", "zoo.verification": "verified", "zoo.long": "é" * 300}
    onnx.checker.check_model(str(path))


def test_onnx_runtime_reads_it_too(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    save_identity(path)
    append_metadata(path, {"zoo.verification": "verified"})
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["zoo.verification"] == "verified"


def test_the_time_can_be_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert timestamp() == "2023-11-14T22:13:20Z"
