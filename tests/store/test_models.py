"""Readable names for blobs, in the form that onnx and ONNX Runtime accept."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.store.test_store import damage, put
from zoo.errors import CorruptBlobError, StoreError
from zoo.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def onnx_with_external_data(folder: Path) -> dict[str, Path]:
    """``Y = X + W`` with W in a file of its own."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(1024, dtype=np.float32), "W")
    graph = helper.make_graph(
        [helper.make_node("Add", ["X", "W"], ["Y"])],
        "add",
        [helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, [1024])],
        [helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, [1024])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    (folder / "weights").mkdir(parents=True)
    onnx.save_model(
        model, folder / "m.onnx", save_as_external_data=True, location="weights/m.data", size_threshold=0
    )
    return {"m.onnx": folder / "m.onnx", "weights/m.data": folder / "weights/m.data"}


def test_a_model_of_one_file_is_a_relative_link_to_its_blob(store: Store) -> None:
    digest = put(store, b"model")
    folder = store.materialise({"model.onnx": digest}, "resnet50:int8")

    assert folder.parent == store.root / "models" / "resnet50-int8"
    assert not (folder / "model.onnx").readlink().is_absolute()
    assert (folder / "model.onnx").resolve() == store.need(digest)


def test_a_moved_store_keeps_its_models(store: Store, tmp_path: Path) -> None:
    folder = store.materialise({"m.onnx": put(store, b"model")}, "m")
    store.root.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / folder.relative_to(store.root) / "m.onnx").read_bytes() == b"model"


def test_onnx_and_onnxruntime_load_a_model_with_external_data(store: Store, tmp_path: Path) -> None:
    import numpy as np
    import onnx
    import onnxruntime

    made = onnx_with_external_data(tmp_path / "made")
    files = {path: store.add(file).digest for path, file in made.items()}
    folder = store.materialise(files, "add")

    onnx.checker.check_model(str(folder / "m.onnx"))
    onnx.load(folder / "m.onnx")
    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"X": np.ones(1024, dtype=np.float32)})
    np.testing.assert_array_equal(y, np.arange(1024) + 1)


def test_onnxruntime_and_onnx_load_a_linked_model(store: Store, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    made = onnx_with_external_data(tmp_path / "made")
    inline = tmp_path / "inline.onnx"
    onnx.save_model(onnx.load(made["m.onnx"]), inline)
    folder = store.materialise({"m.onnx": store.add(inline).digest}, "add")

    onnx.checker.check_model(str(folder / "m.onnx"))
    session = onnxruntime.InferenceSession(folder / "m.onnx", providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["X"]


def test_several_files_are_real_read_only_files(store: Store) -> None:
    files = {"m.onnx": put(store, b"graph"), "data/w.bin": put(store, b"weights")}
    folder = store.materialise(files, "m")
    for path, digest in files.items():
        target = folder / path
        assert not target.is_symlink()
        assert target.stat().st_nlink == 1
        assert target.stat().st_mode & 0o777 == 0o444
        assert target.read_bytes() == store.need(digest).read_bytes()


def test_the_same_files_give_the_same_folder_and_others_another(store: Store) -> None:
    one, two = put(store, b"1"), put(store, b"2")
    first = store.materialise({"a": one, "b": two}, "m")
    assert store.materialise({"b": two, "a": one}, "m") == first
    assert store.materialise({"a": two, "b": one}, "m") != first


def test_a_changed_file_of_a_model_is_rebuilt(store: Store) -> None:
    files = {"m.onnx": put(store, b"graph"), "w.bin": put(store, b"weights")}
    folder = store.materialise(files, "m")
    damage(folder / "w.bin")
    assert store.materialise(files, "m") == folder
    assert (folder / "w.bin").read_bytes() == b"weights"
    assert len(list((store.root / "quarantine").iterdir())) == 1


def test_a_missing_blob_is_an_error_and_leaves_no_folder(store: Store) -> None:
    with pytest.raises(StoreError, match="is not in"):
        store.materialise({"m.onnx": "0" * 64}, "m")
    assert not [p for p in store.root.rglob("*") if p.suffix in (".onnx", ".tmp")]


def test_a_blob_that_changed_after_it_was_found_is_not_copied(store: Store, tmp_path: Path) -> None:
    from zoo.store import models
    from zoo.store.layout import Layout
    from zoo.store.memo import Memo

    files = {"a": put(store, b"one"), "b": put(store, b"two")}
    blobs = {digest: store.need(digest) for digest in files.values()}
    damage(blobs[files["b"]])
    folder = tmp_path / "models" / "m" / "x"
    with pytest.raises(CorruptBlobError):
        models.build(Layout(tmp_path), folder, files, blobs.__getitem__, Memo(tmp_path / "memo"))
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "a//b", ".", "", "a\\b", "C:/x", "a\0b"])
def test_a_name_that_leaves_the_folder_is_refused(store: Store, path: str) -> None:
    digest = put(store, b"model")
    with pytest.raises(StoreError, match="does not stay inside"):
        store.materialise({path: digest}, "m")


@pytest.mark.parametrize("name", ["../../x", "/etc", "", "..", "a/b", "hf:org/repo@main/m.onnx"])
def test_a_model_name_cannot_lead_out_of_the_store(store: Store, name: str) -> None:
    folder = store.materialise({"m.onnx": put(store, b"model")}, name)
    assert folder.parent.parent == store.root / "models"


def test_threads_that_materialise_one_model_agree(store: Store) -> None:
    files = {"m.onnx": put(store, b"graph"), "w.bin": put(store, bytes(1 << 20))}
    folders: list[Path] = []
    threads = [
        threading.Thread(target=lambda: folders.append(Store(store.root).materialise(files, "m")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 8
    assert len(set(folders)) == 1
    assert [p.name for p in folders[0].parent.iterdir()] == [folders[0].name]
    assert not (store.root / "quarantine").exists()
