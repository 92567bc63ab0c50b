"""TensorFlow graphs, ONNX, TorchScript and exported programs: operations that do more than compute."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.detection import models
from tests.safety.attacks.canaries import canaries, load_jailed
from tests.sandbox.jails import isolating
from zoo.detect import detect
from zoo.safety import assess


def reasons(path: Path) -> str:
    return "; ".join(assess(path, detect(path)).reasons)


# --- TensorFlow -----------------------------------------------------------------------------------


def saved(path: Path, body: Callable[[Any], Any]) -> Path:
    """A SavedModel whose signature runs `body`; tracing does not run it."""
    import tensorflow as tf

    module = tf.Module()
    module.scale = tf.Variable(2.0)
    signature = [tf.TensorSpec([None], tf.float32)]
    module.__call__ = tf.function(lambda x: body(x * module.scale), input_signature=signature)
    tf.saved_model.save(module, str(path), signatures=module.__call__)
    return path


def writes(target: str) -> Callable[[Any], Any]:
    def body(x: Any) -> Any:
        import tensorflow as tf

        with tf.control_dependencies([tf.io.write_file(target, "x")]):
            return tf.identity(x)

    return body


def reads(target: str) -> Callable[[Any], Any]:
    def body(x: Any) -> Any:
        import tensorflow as tf

        return tf.cast(tf.io.decode_raw(tf.io.read_file(target), tf.uint8), tf.float32) + 0 * x[0]

    return body


def saves(x: Any) -> Any:
    import tensorflow as tf

    saving = tf.raw_ops.SaveV2(prefix="/x", tensor_names=["a"], shape_and_slices=[""], tensors=[x])
    with tf.control_dependencies([saving]):
        return tf.identity(x)


def branches(x: Any) -> Any:
    import tensorflow as tf

    return tf.cond(tf.reduce_sum(x) > 0, lambda: writes("/x")(x), lambda: x)


def loops(x: Any) -> Any:
    import tensorflow as tf

    return tf.while_loop(lambda y: tf.reduce_sum(y) < 9, lambda y: [writes("/x")(y + 1)], [x])[0]


def python(x: Any) -> Any:
    import tensorflow as tf

    return tf.numpy_function(lambda y: y, [x], tf.float32)


def dataset(x: Any) -> Any:
    import tensorflow as tf

    return tf.raw_ops.DatasetFromGraph(graph_def=b"hidden") is not None and x


def prints(x: Any) -> Any:
    import tensorflow as tf

    tf.print(x, output_stream="file:///tmp/x")
    return tf.identity(x)


@pytest.mark.parametrize("body", [writes("/x"), reads("/x"), saves, branches, loops, python, dataset, prints])
def test_a_saved_model_that_does_more_than_compute_is_refused(body: Any, tmp_path: Path) -> None:
    found = reasons(saved(tmp_path / "m", body))

    assert re.search(r"WriteFile|ReadFile|SaveV2|PyFunc|DatasetFromGraph|PrintV2", found)


def test_the_part_that_saves_variables_is_no_reason(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", lambda x: x)

    assert b"SaveV2" in (folder / "saved_model.pb").read_bytes()
    assert reasons(folder) == ""


def test_a_frozen_graph_that_writes_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        tf.io.write_file("/x", "x")
    (tmp_path / "m.pb").write_bytes(graph.as_graph_def().SerializeToString())

    assert "WriteFile" in reasons(tmp_path / "m.pb")


def test_a_function_that_a_frozen_graph_calls_is_audited(tmp_path: Path) -> None:
    import tensorflow as tf

    inner = tf.function(writes("/x"), input_signature=[tf.TensorSpec([None], tf.float32)])
    outer = tf.function(lambda x: inner(x), input_signature=[tf.TensorSpec([None], tf.float32)])
    graph = outer.get_concrete_function().graph.as_graph_def()
    assert not any(node.op == "WriteFile" for node in graph.node)
    (tmp_path / "m.pb").write_bytes(graph.SerializeToString())

    assert "WriteFile" in reasons(tmp_path / "m.pb")


def test_a_tflite_file_with_such_an_operation_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    function = tf.function(reads("/etc/passwd"), input_signature=[tf.TensorSpec([1], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    (tmp_path / "m.tflite").write_bytes(converter.convert())

    assert "ReadFile" in reasons(tmp_path / "m.tflite")


def test_a_link_in_a_saved_model_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", lambda x: x)
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "vocabulary.txt").symlink_to("/etc/passwd")

    assert "is a link" in reasons(folder)


@isolating
def test_the_jail_contains_a_saved_model(jail: str, tmp_path: Path) -> None:
    with canaries(tmp_path) as watched:
        target, secret = str(watched.outside / "written"), str(watched.outside / "secret")
        writing, reading = saved(tmp_path / "w", writes(target)), saved(tmp_path / "r", reads(secret))
        code = f"""
            import tensorflow as tf
            for path in {[str(writing), str(reading)]!r}:
                module = tf.saved_model.load(path)
                try:
                    print(bytes(tf.cast(module(tf.ones(1)), tf.uint8).numpy()).decode())
                except (tf.errors.PermissionDeniedError, tf.errors.NotFoundError):
                    print("denied")
        """

        done = load_jailed(code, tmp_path, jail, (writing, reading))

        assert watched.harmed(done, tmp_path / "job") == set()
        assert done.stdout.count("denied") == 2, done.stderr


# --- ONNX -------------------------------------------------------------------------------------------


def model_of(functions: list[Any], nodes: list[Any], initializers: tuple[Any, ...] = ()) -> Any:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    ends = [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])]
    graph = helper.make_graph(nodes, "g", *ends, initializer=list(initializers))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8)


def doubling(levels: int) -> Any:
    """Each function calls the next one twice: `levels` small functions are 2**levels nodes."""
    from onnx import helper

    node, opsets = helper.make_node, [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    functions = []
    for i in range(levels):
        inner, domain = (f"f{i + 1}", "d") if i + 1 < levels else ("Relu", "")
        body = [node(inner, ["a"], ["b"], domain=domain), node(inner, ["b"], ["c"], domain=domain)]
        functions.append(helper.make_function("d", f"f{i}", ["a"], ["c"], body, opsets))
    return model_of(functions, [node("f0", ["x"], ["y"], domain="d")])


def recursive() -> Any:
    from onnx import helper

    opsets = [helper.make_opsetid("d", 1)]
    body = [helper.make_node("f", ["a"], ["c"], domain="d")]
    function = helper.make_function("d", "f", ["a"], ["c"], body, opsets)
    return model_of([function], [helper.make_node("f", ["x"], ["y"], domain="d")])


def with_external(**entry: str) -> Any:
    from onnx import TensorProto, helper

    tensor = helper.make_tensor("w", TensorProto.FLOAT, [4], [0.0] * 4)
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entry.items():
        tensor.external_data.add(key=key, value=value)
    return model_of([], [helper.make_node("Relu", ["x"], ["y"])], (tensor,))


def declared() -> Any:
    from onnx import TensorProto, helper

    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], b"\0\0\0\0", raw=True)
    tensor.dims[:] = [1 << 20, 1 << 20]
    return model_of([], [helper.make_node("Relu", ["x"], ["y"])], (tensor,))


ONNX = {
    "expansion": (lambda: doubling(26), "expand to 67108864 nodes|expand to 1342"),
    "recursion": (recursive, "calls itself"),
    "traversal": (lambda: with_external(location="../../etc/passwd"), "out of its folder"),
    "absolute": (lambda: with_external(location="/etc/passwd"), "no relative path"),
    "windows": (lambda: with_external(location="..\\secret"), "no relative path"),
    "address": (lambda: with_external(location="http://localhost/x"), "no relative path"),
    "nowhere": (lambda: with_external(location=""), "names no file"),
    "negative offset": (lambda: with_external(location="data", offset="-1"), "offset -1"),
    "beyond the end": (lambda: with_external(location="data", offset="1000"), "beyond the end"),
    "other length": (lambda: with_external(location="data", length="8"), "8 of 16 bytes"),
    "no number": (lambda: with_external(location="data", offset="0x10"), "no number"),
    "declared": (declared, "declares 4398046511104 bytes"),
}


@pytest.mark.parametrize("name", ONNX)
def test_an_onnx_trick_is_refused(name: str, tmp_path: Path) -> None:
    forge, says = ONNX[name]
    (tmp_path / "data").write_bytes(bytes(16))
    (tmp_path / "m.onnx").write_bytes(forge().SerializeToString())

    assert re.search(says, reasons(tmp_path / "m.onnx"))


def test_external_data_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to("/etc/passwd")
    (tmp_path / "m.onnx").write_bytes(with_external(location="data").SerializeToString())

    assert "behind a link" in reasons(tmp_path / "m.onnx")


def test_external_data_beside_the_model_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(16))
    (tmp_path / "m.onnx").write_bytes(with_external(location="data", length="16").SerializeToString())

    assert reasons(tmp_path / "m.onnx") == ""


def test_a_trick_inside_a_branch_is_found(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    inner = with_external(location="/etc/passwd").graph
    inner.name = "then"
    del inner.input[:]
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    (tmp_path / "m.onnx").write_bytes(model_of([], [branch], (condition,)).SerializeToString())

    assert "no relative path" in reasons(tmp_path / "m.onnx")


def endless() -> Any:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["a"], ["b"])],
        "body",
        [
            value("i", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("a", TensorProto.FLOAT, [1]),
        ],
        [value("on", TensorProto.BOOL, []), value("b", TensorProto.FLOAT, [1])],
    )
    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    return model_of([], [helper.make_node("Loop", ["", "c", "x"], ["y"], body=body)], (condition,))


@isolating
@pytest.mark.parametrize("forge", [endless, lambda: doubling(26)], ids=["loop", "functions"])
def test_the_jail_ends_an_onnx_bomb(forge: Any, jail: str, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(forge().SerializeToString())
    code = f"""
        import numpy, onnxruntime
        session = onnxruntime.InferenceSession({str(tmp_path / "m.onnx")!r})
        session.run(None, {{"x": numpy.ones(1, numpy.float32)}})
    """

    done = load_jailed(code, tmp_path, jail, (tmp_path / "m.onnx",), seconds=4.0, memory=1 << 30)

    assert done.exceeded in ("time", "memory")
    assert done.seconds < 30


# --- torch ------------------------------------------------------------------------------------------


def rewritten(source: Path, edit: Callable[[str, bytes], bytes]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, edit(name, old.read(name)))
    source.write_bytes(stream.getvalue())


CALLS = ["torch.from_file('/etc/passwd', False, 9)", "torch.save(x, '/x')", "ops.image.read_file('/x')"]


@pytest.mark.parametrize("call", CALLS)
def test_torchscript_that_touches_files_is_refused(call: str, tmp_path: Path) -> None:
    models.torchscript(tmp_path / "m.pt")
    code = f"  _0 = {call}\n".replace("'", '"').encode()
    rewritten(tmp_path / "m.pt", lambda name, data: data + code if name.endswith(".py") else data)

    assert re.search(r"from_file|save|'image'", reasons(tmp_path / "m.pt"))


@pytest.mark.parametrize(
    "target", ["torch.hub.load", "torch.os.system", "_operator.attrgetter.x", "builtins.eval"]
)
def test_an_exported_program_that_names_more_than_operations_is_refused(target: str, tmp_path: Path) -> None:
    models.named(".pt2", models.pt2)(tmp_path / "m")
    edit = lambda name, data: data.replace(b"torch.ops.aten.relu.default", target.encode())  # noqa: E731
    rewritten(tmp_path / "m", edit)

    assert target in reasons(tmp_path / "m")


def test_a_hugging_face_folder_with_code_is_refused(tmp_path: Path) -> None:
    config = {"model_type": "own", "auto_map": {"AutoModel": "modeling_own.Own"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    models.safetensors(tmp_path / "model.safetensors")

    assert "auto_map" in reasons(tmp_path)


def test_a_hugging_face_folder_with_an_evil_pickle_is_refused(tmp_path: Path) -> None:
    from tests.safety.attacks.forged import torch_pickle

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "pytorch_model.bin").write_bytes(torch_pickle("1 + 1"))

    assert "builtins.eval" in reasons(tmp_path)
