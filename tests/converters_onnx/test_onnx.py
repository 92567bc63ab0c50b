"""ONNX files as sources: read with care, left as they are, fed with values that they accept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from converters.from_onnx import OnnxConverter
from tests.converters_onnx import graphs
from zoo.errors import CheckError, UnsafeFileError, UnsupportedFileError, UnsupportedModelError, UsageError
from zoo.records import Artifact, ConversionRequest, SourceDescription
from zoo.verification.feeds import make_feeds


def write(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def request(path: Path, **fields: Any) -> ConversionRequest:
    return ConversionRequest(Artifact(path, "0" * 64, 0), "onnx", "model", **fields)


def loaded(path: Path, **fields: Any) -> tuple[Any, SourceDescription]:
    converter, asked = OnnxConverter(), request(path, **fields)
    source = converter.load(asked.artifact, asked)
    return source, converter.describe(source, asked)


def converted(path: Path, **fields: Any) -> onnx.ModelProto:
    asked = request(path, **fields)
    return OnnxConverter().convert(OnnxConverter().load(asked.artifact, asked), asked)


def accepts_every_feed(source: Any, description: SourceDescription) -> int:
    """The number of feeds that the model took; a feed that it refuses fails the test."""
    count = 0
    for _, feeds in make_feeds(description, seed=1):
        OnnxConverter().predict(source, feeds)
        count += 1
    return count


def test_a_file_stays_what_it_is(tmp_path: Path) -> None:
    path = write(graphs.dense(), tmp_path)
    assert converted(path).SerializeToString() == path.read_bytes()


def test_outputs_that_a_logistic_function_gives_are_probabilities(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Sigmoid", ["x"], ["inner"]),
        onnx.helper.make_node("Transpose", ["inner"], ["map"]),
        onnx.helper.make_node("Mul", ["inner", "x"], ["swish"]),
    ]
    values = [onnx.helper.make_tensor_value_info(name, 1, [3, 3]) for name in ("x", "map", "swish")]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "g", values[:1], values[1:]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    assert loaded(write(model, tmp_path))[1].roles == {"map": "probabilities"}


def test_predictions_bear_the_names_of_the_outputs(tmp_path: Path) -> None:
    source, description = loaded(write(graphs.dense(), tmp_path))
    answer = OnnxConverter().predict(source, {"x": np.eye(3, dtype=np.float32)})
    assert answer["y"].tolist() == [[0, 0], [0, 1], [2, 3]]
    assert [str(spec) for spec in description.signature.outputs] == ["y:float32[n,2]"]


def test_a_live_model_is_taken_without_a_file() -> None:
    answer = OnnxConverter().predict(graphs.dense(), {"x": np.eye(3, dtype=np.float32)})
    assert answer["y"].shape == (3, 2)


def test_weights_that_old_files_list_as_inputs_are_not_asked_for(tmp_path: Path) -> None:
    source, description = loaded(write(graphs.dense(opset=9, ir=3), tmp_path))
    assert [spec.name for spec in description.signature.inputs] == ["x"]
    assert converted(source.path).ir_version == 3
    assert accepts_every_feed(source, description) > 2


@pytest.mark.parametrize("opset", [15, 21])
def test_another_opset_is_reached_when_asked_for(opset: int, tmp_path: Path) -> None:
    model = converted(write(graphs.dense(), tmp_path), opset=opset)
    assert model.opset_import[0].version == opset
    answer = OnnxConverter().predict(model, {"x": np.eye(3, dtype=np.float32)})
    assert answer["y"].tolist() == [[0, 0], [0, 1], [2, 3]]


def test_an_opset_out_of_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="opset 999 cannot be reached from opset 17"):
        converted(write(graphs.dense(), tmp_path), opset=999)


def test_an_invalid_graph_does_not_pass_the_check(tmp_path: Path) -> None:
    model = graphs.dense()
    model.graph.node[1].op_type = "NoSuchOperator"
    with pytest.raises(CheckError, match="NoSuchOperator"):
        converted(write(model, tmp_path))


def test_a_model_that_the_runtime_does_not_load_is_no_reference(tmp_path: Path) -> None:
    model = graphs.dense()
    model.graph.node[1].op_type, model.graph.node[1].domain = "Mystery", "some.company"
    model.opset_import.add(domain="some.company", version=1)
    with pytest.raises(CheckError, match="does not load"):
        loaded(write(model, tmp_path))


def test_a_file_that_is_no_onnx_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\xff\xfenot a model")
    with pytest.raises(UnsupportedFileError, match=r"model\.onnx"):
        converted(path)


def test_external_data_beside_the_file_is_read(tmp_path: Path) -> None:
    source, _ = loaded(graphs.with_external_data(tmp_path, "w.bin"))
    answer = OnnxConverter().predict(source, {"x": np.eye(3, dtype=np.float32)})
    assert answer["y"].tolist() == [[0, 0], [0, 1], [2, 3]]


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/hostname", "sub/../../w.bin", "C:\\w.bin", "..\\w.bin"]
)
def test_external_data_elsewhere_is_refused(location: str, tmp_path: Path) -> None:
    path = graphs.with_external_data(tmp_path / "inner", location)
    (tmp_path / "w.bin").write_bytes(bytes(24))
    with pytest.raises(UnsafeFileError, match="outside its own folder"):
        loaded(path)


def test_external_data_through_a_link_is_refused(tmp_path: Path) -> None:
    path = graphs.with_external_data(tmp_path / "inner", "link.bin")
    (tmp_path / "secret").write_bytes(bytes(24))
    (tmp_path / "inner" / "link.bin").symlink_to(tmp_path / "secret")
    with pytest.raises((UnsafeFileError, UnsupportedFileError)):
        loaded(path)


def test_missing_external_data_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFileError, match=r"needs 'absent\.bin' beside it"):
        loaded(graphs.with_external_data(tmp_path, "absent.bin"))


def test_indices_stay_within_the_tables_they_select_from(tmp_path: Path) -> None:
    source, description = loaded(write(graphs.embedding(), tmp_path))
    columns = {
        spec.name: domain.columns[0]
        for spec, domain in zip(description.signature.inputs, description.domains, strict=True)
    }
    assert (columns["ids"].low, columns["ids"].high) == (0, 19)
    assert (columns["attention_mask"].low, columns["attention_mask"].high) == (0, 1)
    assert columns["bytes"].high == 256
    assert accepts_every_feed(source, description) > 2


def test_a_scalar_that_chooses_a_branch_takes_the_value_compared_with(tmp_path: Path) -> None:
    _, description = loaded(write(graphs.rated(), tmp_path))
    assert description.domains[2].columns[0].categories == (16000,)


def test_options_name_the_axes_and_values_that_the_file_does_not(tmp_path: Path) -> None:
    feeds = {
        "x": {"shape": ["batch", 6]},
        "state": {"shape": [2, "batch", 3]},
        "sr": {"values": [16000, 8000]},
    }
    source, description = loaded(write(graphs.rated(), tmp_path), options={"feeds": feeds})
    assert [str(spec) for spec in description.signature.inputs] == [
        "x:float32[batch,6]",
        "state:float32[2,batch,3]",
        "sr:int64[]",
    ]
    assert description.domains[2].columns[0].categories == (16000, 8000)
    assert accepts_every_feed(source, description) > 2


def test_sizes_that_an_image_network_accepts_are_found(tmp_path: Path) -> None:
    source, description = loaded(write(graphs.strided(), tmp_path))
    assert all(size % 32 == 0 for size in description.axes["h"])
    assert accepts_every_feed(source, description) > 2


def test_sizes_given_as_an_option_are_kept(tmp_path: Path) -> None:
    axes = {"h": [32, 64], "w": [96, 96]}
    _, description = loaded(write(graphs.strided(), tmp_path), options={"axes": axes})
    assert description.axes == {"h": (32, 64), "w": (96, 96)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feeds": {"y": {"low": 0}}}, "names no input: y"),
        ({"feeds": {"x": {"minimum": 0}}}, "unknown minimum"),
        ({"feeds": {"x": {"shape": ["n", 4]}}}, "contradicts"),
        ({"feeds": {"x": {"shape": [3]}}}, "has 1 axes, the input has 2"),
        ({"feeds": 3}, "must map input names"),
        ({"axes": {"n": [0]}}, "sizes above zero"),
    ],
)
def test_wrong_options_are_the_callers_mistake(options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        loaded(write(graphs.dense(), tmp_path), options=options)


def test_the_maps_of_a_classifier_become_a_table() -> None:
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    fitted = LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int))
    answer = OnnxConverter().predict(to_onnx(fitted, rows[:1], target_opset=17), {"X": rows[:4]})
    assert answer["output_probability"].shape == (4, 2)
    assert np.allclose(answer["output_probability"], fitted.predict_proba(rows[:4]), atol=1e-5)
