"""What is no model says what it is and what to do; damage never escapes as another error."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import pickle
import random
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.detection import models
from zoo.detect import detect
from zoo.errors import UnsupportedFileError
from zoo.records import Detection

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 26143\n"
XET = b"# xet version 0\nfilesize = 26143\nhash = '5c'\n"
DENIED = b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>'

LOOKALIKES = {
    "model.onnx": [
        (LFS, "a Git LFS pointer", "git lfs pull"),
        (LFS, "26143 bytes", "github-lfs:"),
        (XET, "a Xet pointer", "hf:"),
        (b"/annex/objects/SHA256E-s1--aa\n", "git-annex pointer", "git annex get"),
        (b"outs:\n- md5: aa\n  path: model.onnx\n", "DVC pointer", "dvc pull"),
        (b"<!DOCTYPE html><html><head><title>Sign in</title>", "HTML page titled 'Sign in'", "raw"),
        (DENIED, "AccessDenied", "get the file again"),
        (b'{"error": "Repository not found"}', "Repository not found", "get the file again"),
        (b"", "is empty", "get it again"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "7-Zip archive", "Unpack"),
        (b"%PDF-1.7", "a PDF document", ""),
        (b"\x7fELF\x02", "an ELF program", ""),
        (b"\x80\x04\x95\x00\x00", "no known model format", "formats"),
        (gzip.compress(b"hello", mtime=0), "compressed with gzip", "Unpack"),
        (bz2.compress(b"hello"), "compressed with bz2", "Unpack"),
        (b"\x04\x22\x4d\x18" + bytes(20), "compressed with lz4", "lz4 -d"),
        (b"just some words", "no known model format", "formats"),
    ],
}


@pytest.mark.parametrize(("content", "says", "hint"), LOOKALIKES["model.onnx"])
def test_no_model_says_what_it_is(content: bytes, says: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(UnsupportedFileError) as raised:
        detect(path)

    assert says in raised.value.message
    assert hint in (raised.value.hint or "")


def test_a_pickle_of_no_framework_names_its_class(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Path("/x")))

    with pytest.raises(UnsupportedFileError, match=r"pathlib\.PosixPath"):
        detect(path)


def test_a_pickle_cut_off_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(models.logistic())[:-40])

    with pytest.raises(UnsupportedFileError, match="damaged pickle"):
        detect(path)


def test_an_onnx_download_that_broke_off_is_called_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    models.onnx_file(path)
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(UnsupportedFileError, match="incomplete ONNX model"):
        detect(path)


def test_a_tensor_beside_a_model_is_no_model(tmp_path: Path) -> None:
    models.onnx_tensor(tmp_path / "input_0.pb")

    with pytest.raises(UnsupportedFileError, match="one tensor"):
        detect(tmp_path / "input_0.pb")


def test_the_graph_of_a_saved_model_points_to_its_folder(tmp_path: Path) -> None:
    models.saved_model(tmp_path / "saved")

    with pytest.raises(UnsupportedFileError, match="SavedModel") as raised:
        detect(tmp_path / "saved" / "saved_model.pb")

    assert "folder" in (raised.value.hint or "")


def test_the_checkpoint_index_of_a_saved_model_is_no_model(tmp_path: Path) -> None:
    models.saved_model(tmp_path / "saved")

    with pytest.raises(UnsupportedFileError, match="TensorFlow checkpoint"):
        detect(tmp_path / "saved" / "variables" / "variables.index")


def test_archives_list_what_is_inside(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "a.txt", "inner/a.txt")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inner/saved_model.pb", b"x")

    for name, says in (("a.tar", "inner/a.txt"), ("a.zip", "a TensorFlow SavedModel")):
        with pytest.raises(UnsupportedFileError, match=says):
            detect(tmp_path / name)


def test_a_folder_without_a_model_lists_what_is_inside(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")

    with pytest.raises(UnsupportedFileError, match=r"notes\.txt"):
        detect(tmp_path)


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UnsupportedFileError, match="pipe"):
        detect(tmp_path / "pipe")


def test_a_zip_bomb_is_told_without_unpacking_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(200 << 20))

    with pytest.raises(UnsupportedFileError, match="damaged"):
        detect(tmp_path / "bomb")


# --- weights beside their network, details ----------------------------------------------------------


def test_weights_point_to_their_network(tmp_path: Path) -> None:
    (tmp_path / "net.xml").write_text('<net name="n" version="10"><layers><layer id="0"/></layers></net>')
    (tmp_path / "net.bin").write_bytes(np.random.default_rng(0).bytes(64))

    with pytest.raises(UnsupportedFileError) as raised:
        detect(tmp_path / "net.bin")

    assert "net.xml" in (raised.value.hint or "")


def test_the_version_of_scikit_learn_is_read_from_the_opcodes(tmp_path: Path) -> None:
    import sklearn

    models.pickled(models.logistic)(tmp_path / "m")

    details = detect(tmp_path / "m").details

    assert details["versions"] == {"scikit-learn": sklearn.__version__}
    assert details["class"] == "sklearn.linear_model._logistic.LogisticRegression"


def test_the_version_of_xgboost_is_read_from_pickle_json_and_ubj(tmp_path: Path) -> None:
    import xgboost

    models.pickled(models.xgboost_classifier)(tmp_path / "a.pkl")
    models.xgboost_classifier().save_model(tmp_path / "b.json")
    models.xgboost_classifier().save_model(tmp_path / "c.ubj")

    found = [detect(path).details["versions"]["xgboost"] for path in sorted(tmp_path.iterdir())]

    assert found == [xgboost.__version__] * 3


def test_modules_of_an_old_layout_betray_an_old_version(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(
        b"ccopy_reg\n_reconstructor\n(csklearn.tree.tree\nDecisionTreeClassifier\nc__builtin__\nobject\nNtR."
    )

    found = detect(tmp_path / "m")

    assert found.details["versions"] == {"scikit-learn": "<0.22"}
    assert found.details["python2_names"] is True


def test_objects_in_an_npy_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"w": 1}], dtype=object), allow_pickle=True)

    assert detect(tmp_path / "a.npy").details == {"objects": True}


def test_the_keys_of_a_checkpoint_are_told(tmp_path: Path) -> None:
    models.torch_saved(lambda: {"epoch": 1, "model": models.net().state_dict()})(tmp_path / "a.pt")

    assert detect(tmp_path / "a.pt").details["keys"] == ["epoch", "model"]


def test_a_hugging_face_folder_is_told_by_config_and_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    models.safetensors(tmp_path / "model.safetensors")

    found = detect(tmp_path)

    assert (found.framework, found.kind) == ("torch", "hf_folder")
    assert found.details["architectures"] == ["BertModel"]


# --- damage -------------------------------------------------------------------------------------------


WRITERS = {
    "pickle": models.pickled(models.forest),
    "joblib": models.joblibbed(models.forest),
    "joblib zlib": models.joblibbed(models.forest, 3),
    "torch": models.torch_saved(models.net),
    "torch old": models.torch_saved(models.net, _use_new_zipfile_serialization=False),
    "keras h5": models.named(".h5", models.keras_saved),
    "frozen graph": models.frozen_graph,
    "onnx": models.onnx_file,
    "tflite": models.tflite,
    "safetensors": models.safetensors,
    "npz": models.named(".npz", lambda path: np.savez(path, a=models.X)),
    "cbm": lambda path: models.catboost_classifier().save_model(path),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_damage_gives_an_answer_or_our_own_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    WRITERS[name](path)
    whole = path.read_bytes()
    rng = random.Random(name)
    answers = []

    for _ in range(150):
        path.write_bytes(damaged(whole, rng))
        try:
            answers.append(detect(path))
        except UnsupportedFileError as error:
            answers.append(error)

    assert all(isinstance(answer, (Detection, UnsupportedFileError)) for answer in answers)


def damaged(whole: bytes, rng: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(rng.randint(1, 8)):
        place = int(rng.random() ** 2 * len(data))
        data[place] = rng.choice((0, 0xFF, 0x80, rng.randrange(256)))
    return bytes(data[: rng.randint(1, len(data))] if rng.random() < 0.4 else data)
