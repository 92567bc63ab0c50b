"""MOJOs give in ONNX what H2O's own scoring library gives, run by a Java inside the jail."""

from __future__ import annotations

import struct

import numpy as np
import pytest

import zoo
from converters import h2o_files, h2o_trees, h2o_xgboost
from zoo import sandbox
from zoo.errors import MissingJavaError, UnsupportedFileError, UnsupportedModelError

CLASSES = {"label", "probabilities"}


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("gbm_regression", {"variable"}),
        ("gbm_poisson", {"variable"}),
        ("gbm_two", CLASSES),
        ("gbm_balanced", CLASSES),
        ("gbm_three", CLASSES),
        ("drf_regression", {"variable"}),
        ("drf_two", CLASSES),
        ("drf_double", CLASSES),
        ("drf_three", {"probabilities"}),
        ("glm_gaussian", {"variable"}),
        ("glm_poisson", {"variable"}),
        ("glm_tweedie", {"variable"}),
        ("glm_two", CLASSES),
        ("glm_levels", CLASSES),
        ("glm_three", CLASSES),
        ("glm_ordinal", CLASSES),
        ("xgboost_two", CLASSES),
        ("xgboost_three", CLASSES),
        ("xgboost_sparse", {"variable"}),
        ("xgboost_poisson", {"variable"}),
        ("deep_regression", {"variable"}),
        ("deep_poisson", {"variable"}),
        ("deep_two", CLASSES),
        ("deep_three", CLASSES),
        ("kmeans", {"label"}),
        ("kmeans_raw", {"label"}),
        ("isolation", {"scores", "mean_length"}),
        ("isolation_flag", {"label", "scores", "mean_length"}),
    ],
)
def test_every_kind_of_model_is_verified_against_h2o(name, outputs, mojo, tmp_path):
    verified = zoo.convert(mojo(name), tmp_path / "o.onnx")

    assert verified.report.verdict == "verified"
    assert verified.report.reference == "h2o 3.46.0.11"
    assert {spec.name for spec in verified.model.signature.outputs} == outputs
    found = [output for case in verified.report.cases for output in case.outputs]
    assert all(output.agreement == 1.0 for output in found if output.output == "label")
    largest = 1e-6 if name.startswith("xgboost") else 1e-12
    assert all(output.max_abs < largest for output in found if output.output == "probabilities")


@pytest.mark.network
def test_the_first_of_equally_likely_classes_is_given_where_asked(mojo, tmp_path):
    verified = zoo.convert(mojo("drf_three"), tmp_path / "o.onnx", options={"ties": "first"})

    assert verified.report.passed
    assert {spec.name for spec in verified.model.signature.outputs} == CLASSES
    assert any("the label is the first" in note for note in verified.report.notes)


@pytest.mark.network
def test_columns_of_categories_are_text_and_keep_their_names(mojo, tmp_path):
    signature = zoo.convert(mojo("gbm_two"), tmp_path / "o.onnx").model.signature

    assert [(spec.name, spec.dtype) for spec in signature.inputs] == [
        ("a", "float64"),
        ("b", "float64"),
        ("c", "float64"),
        ("colour", "string"),
        ("town", "string"),
    ]


@pytest.mark.network
def test_what_h2o_predicted_for_rows_of_its_own_is_what_the_graph_predicts(mojo, tmp_path):
    import onnxruntime

    path = zoo.convert(mojo("glm_two"), tmp_path / "o.onnx").path
    session = onnxruntime.InferenceSession(str(path))
    numbers = {name: np.array([[0.5], [np.nan]]) for name in "abc"}
    texts = {
        "colour": np.array([["red"], ["no such colour"]], object),
        "town": np.array([["t1"], [""]], object),
    }

    chances = session.run(["probabilities"], {**numbers, **texts})[0]

    assert chances.shape == (2, 2)
    assert np.allclose(chances.sum(axis=1), 1)
    assert chances[0, 1] > chances[1, 1]


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pca", "H2O's Principal Components Analysis is not converted"),
        ("autoencoder", "as an autoencoder"),
        ("one_hot", "categorical_encoding='OneHotExplicit'"),
        ("xgboost_dart", "XGBoost's booster 'dart'"),
    ],
)
def test_what_is_not_converted_is_refused_with_the_reason(name, reason, mojo, tmp_path):
    with pytest.raises(UnsupportedModelError, match=reason):
        zoo.convert(mojo(name), tmp_path / "o.onnx")


@pytest.mark.network
def test_without_a_java_it_is_said_how_to_get_one(mojo, tmp_path, monkeypatch):
    path = mojo("gbm_two")
    monkeypatch.setattr("zoo.environments.javas._candidates", lambda: iter(()))

    with pytest.raises(MissingJavaError, match="no Java 11 or newer was found") as caught:
        zoo.convert(path, tmp_path / "o.onnx")

    assert "apt install openjdk-11-jre-headless" in caught.value.hint


# --- the machine inside the jail ----------------------------------------------------------------------

ATTACKS = {
    "start a program": "java.lang.Runtime.getRuntime().exec_('/usr/bin/id').waitFor()",
    "start another": "java.lang.ProcessBuilder(['/bin/sh', '-c', 'true']).start().waitFor()",
    "connect": "java.net.Socket('127.0.0.1', {port})",
    "listen": "java.net.ServerSocket(0)",
    "open a unix socket": (
        "java.nio.channels.SocketChannel.open(java.net.UnixDomainSocketAddress.of({secret!r}))"
    ),
    "read a file elsewhere": "java.nio.file.Files.readAllBytes(java.nio.file.Path.of({secret!r}))",
    "write a file elsewhere": "java.nio.file.Files.createFile(java.nio.file.Path.of({secret!r} + '2'))",
    "read its parent's environment": (
        "java.nio.file.Files.readAllBytes(java.nio.file.Path.of('/proc/{parent}/environ'))"
    ),
}


@pytest.mark.network
@pytest.mark.parametrize("what", ATTACKS)
@pytest.mark.skipif(sandbox.level() == "rlimits", reason="this machine has no jail that isolates")
def test_java_in_the_jail_may_not(what, mojo, environment, tmp_path):
    import os
    import socket

    from zoo import plugins
    from zoo.environments.javas import find_java

    mojo("gbm_two")
    java, built = find_java(11), environment("h2o")
    secret, folder, code = tmp_path / "secret", tmp_path / "job", tmp_path / "code"
    secret.write_text("canary")
    folder.mkdir()
    code.mkdir()
    for package in plugins.own_packages():
        (code / package.name).symlink_to(package)
    with socket.create_server(("127.0.0.1", 0)) as server:
        places = {"port": server.getsockname()[1], "secret": str(secret), "parent": os.getpid()}
        attack = ATTACKS[what].format(**places)
        up = "from converters import jvm\njava = jvm.machine([]).java\nprint('up')"
        text = f"{up}\n{attack}\nprint('escaped')"
        done = sandbox.run(
            [str(built.interpreter), "-c", text],
            folder,
            sandbox.Limits(seconds=60, memory=4 << 30),
            (built.folder, java.home, *java.outside, code),
            {"JAVA_HOME": str(java.home), "PYTHONPATH": str(code)},
        )

    assert done.stdout == "up\n", done.stderr
    assert "Exception" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["code", "job", "secret"]


# --- the parser -----------------------------------------------------------------------------------------


def node(kind: int, column: int, direction: int) -> bytes:
    return struct.pack("<BHB", kind, column, direction)


def leaf(value: float) -> bytes:
    return struct.pack("<f", value)


def forest(path):
    return h2o_trees.forest(h2o_files.read(path))


def test_a_split_of_numbers_is_read(written):
    tree = node(0xF0, 0, 2) + leaf(1.5) + leaf(-1.0) + leaf(2.0)

    found = forest(written({"trees/t00_000.bin": tree}))

    only = found.trees[0]
    assert (only.threshold[0], only.feature[0], only.nan_left[0], only.modes[0]) == (1.5, 0, 1, 1)
    assert [found.values[0][list(only.leaves).index(one[0])] for one in (only.left, only.right)] == [
        -1.0,
        2.0,
    ]


def test_a_category_outside_of_a_set_is_missing(written):
    members = struct.pack("<Hi", 1, 1) + b"\x01"
    tree = node(0xFC, 1, 2) + members + leaf(-1.0) + leaf(2.0)

    found = forest(written({"trees/t00_000.bin": tree}))

    assert [split.sides for split in found.splits] == [(0, 1, 0, 0)]


def test_a_subtree_is_skipped_by_its_size(written):
    inner = node(0xF0, 0, 3) + leaf(0.25) + leaf(3.0) + leaf(4.0)
    tree = node(0xC0, 0, 2) + leaf(1.5) + bytes([len(inner)]) + inner + leaf(9.0)

    found = forest(written({"trees/t00_000.bin": tree}))

    assert sorted(found.values[0]) == [3.0, 4.0, 9.0]
    assert found.thresholds == {0: [1.5, 0.25]}


BROKEN = {
    "no description": ({"model.ini": None}, "it has no model.ini"),
    "fewer columns": ({"model.ini": ("n_columns = 3", "n_columns = 4")}, "names 3 columns and says 4"),
    "no features": ({"model.ini": ("n_features = 2", "n_features = 9")}, "3 columns and reads 9"),
    "a list elsewhere": ({"model.ini": ("d000.txt", "../../x")}, "categories is called"),
    "a short list": ({"domains/d000.txt": "blue\n"}, "1 categories, 3 are announced"),
    "no tree": ({"trees/t00_000.bin": None}, "it announces|has no trees/"),
    "a million trees": ({"model.ini": ("n_trees = 1\n", "n_trees = 1000000000\n")}, "announces 1 times"),
    "a cut tree": ({"trees/t00_000.bin": node(0xF0, 0, 2) + leaf(1.5)}, "a tree of it"),
    "a column that is not there": ({"trees/t00_000.bin": node(0xF0, 7, 2) + leaf(1.5)}, "on column 7 of 2"),
    "a set of numbers": (
        {"trees/t00_000.bin": node(0xF8, 0, 2) + bytes(4) + leaf(1) + leaf(2)},
        "'size' by a broken set",
    ),
    "a subtree before itself": (
        {"trees/t00_000.bin": node(0xC0, 0, 2) + leaf(1.5) + b"\xff" + leaf(1)},
        "leads out of its bytes",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_damage_is_named(what, written):
    from tests.converters_h2o.conftest import INI

    change, reason = BROKEN[what]
    changed = {name: INI.replace(*new) if isinstance(new, tuple) else new for name, new in change.items()}

    with pytest.raises(UnsupportedFileError, match=reason):
        forest(written(changed))


XGBOOST = """[info]
algo = xgboost
mojo_version = 1.10
supervised = true
n_features = 2
n_classes = 1
n_columns = 3
nums = 1
cats = 1
cat_offsets = [0, 4]
use_all_factor_levels = true

[columns]
colour
size
y

[domains]
0: 3 d000.txt
"""


def booster(
    nodes: list[tuple[int, int, int, float]], groups: tuple[int, ...] = (0,), trees: int = 1
) -> bytes:
    """A booster of one tree; of each node the left and right one, the split and the number."""
    head = struct.pack("<fIiiiI", 0.5, 5, 0, 0, 0, 1).ljust(136, b"\0")
    for text in (b"reg:squarederror", b"gbtree"):
        head += struct.pack("<Q", len(text)) + text
    tree = struct.pack("<2i", 1, len(nodes)).ljust(148, b"\0")
    tree += b"".join(struct.pack("<iiiIf", -1, *node) for node in nodes) + bytes(16 * len(nodes))
    return b"binf" + head + struct.pack("<i", trees).ljust(160, b"\0") + tree + struct.pack("<i", *groups)


WHOLE = [(1, 2, 4 | 1 << 31, 0.25), (-1, -1, 0, -1.0), (-1, -1, 0, 2.0)]


def test_a_booster_in_xgboosts_old_form_is_read(written):
    mojo = h2o_files.read(written({"model.ini": XGBOOST, "boosterBytes": booster(WHOLE)}))

    found = h2o_xgboost.booster(mojo)

    assert (found.objective, found.base, found.groups) == ("reg:squarederror", 0.5, 1)
    assert (found.trees[0].feature[0], found.trees[0].threshold[0], found.trees[0].nan_left[0]) == (
        4,
        0.25,
        1,
    )
    assert found.values[0].tolist() == [-1.0, 2.0]
    assert h2o_xgboost.thresholds(mojo) == {1: [0.25]}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (booster(WHOLE)[:-30], "ends too early"),
        (booster(WHOLE, trees=1 << 30), "announces 1073741824 trees"),
        (booster(WHOLE, groups=(7,)), "adds to a class that is not there"),
        (booster([(1, 1, 0, 0.5), (-1, -1, 0, 1.0)]), "does not hold together"),
        (booster([(0, 1, 0, 0.5), (-1, -1, 0, 1.0)]), "does not hold together"),
        (booster([(1, 2, 9, 0.5), *WHOLE[1:]]), "does not hold together"),
    ],
)
def test_damage_of_a_booster_is_named(data, reason, written):
    mojo = h2o_files.read(written({"model.ini": XGBOOST, "boosterBytes": data}))

    with pytest.raises(UnsupportedFileError, match=reason):
        h2o_xgboost.booster(mojo)


def test_a_member_that_unpacks_to_too_much_is_refused(written, monkeypatch):
    monkeypatch.setattr(h2o_files, "LARGEST", 1 << 16)

    with pytest.raises(UnsupportedFileError, match="has more than 65536 bytes"):
        h2o_files.read(written({"domains/d000.txt": "x\n" * (1 << 16)}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("_genmodel_encoding = AUTO", "_genmodel_encoding = Eigen"), "categorical_encoding='Eigen'"),
        (("init_f = 0.5", "init_f = 0.5\noffset_column = w"), "an offset column, 'w'"),
    ],
)
def test_settings_that_are_not_converted_are_refused(change, reason, written):
    from tests.converters_h2o.conftest import INI

    with pytest.raises(UnsupportedModelError, match=reason):
        h2o_files.read(written({"model.ini": INI.replace(*change)}))
