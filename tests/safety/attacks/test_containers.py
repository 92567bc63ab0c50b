"""Zip and HDF5 tricks, and Keras configurations: refused by the audit, with the reason."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.safety.attacks.canaries import canaries, load_jailed
from tests.sandbox.jails import isolating
from zoo.detect import detect
from zoo.errors import UnsupportedFileError
from zoo.safety import assess

HARMLESS = pickle.dumps({}, 2)


def reasons(path: Path) -> str:
    try:
        return "; ".join(assess(path, detect(path)).reasons)
    except UnsupportedFileError as error:
        return error.message


# --- zips -----------------------------------------------------------------------------------------


def packed(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def honest() -> bytes:
    return packed([("m/data.pkl", HARMLESS), ("m/version", b"3\n")])


def twice() -> bytes:
    return packed([("m/data.pkl", HARMLESS), ("m/data.pkl", HARMLESS), ("m/version", b"3\n")])


def ratio() -> bytes:
    return packed([("m/data.pkl", HARMLESS), ("m/data/0", bytes(200 << 20))], zipfile.ZIP_DEFLATED)


def traversal() -> bytes:
    return packed([("m/data.pkl", HARMLESS), ("m/../../../etc/cron.d/x", b"x")])


def absolute() -> bytes:
    return packed([("m/data.pkl", HARMLESS), ("/etc/cron.d/x", b"x")])


def encrypted() -> bytes:
    data = bytearray(packed([("m/data.pkl", HARMLESS), ("m/secret", b"x")]))
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 8] |= 1
    return bytes(data)


def renamed_locally() -> bytes:
    return honest().replace(b"m/version", b"m/hidden!", 1)


def other_size_locally() -> bytes:
    data = bytearray(honest())
    data[18:22] = struct.pack("<I", 1)
    return bytes(data)


def overlapping() -> bytes:
    """Two entries for one place: each byte is unpacked twice."""
    data = bytearray(packed([("m/data.pkl", HARMLESS), ("m/version", b"3\n")]))
    last = data.rindex(b"PK\x01\x02")
    data[last + 42 : last + 46] = struct.pack("<I", 0)
    return bytes(data)


def misplaced() -> bytes:
    data = bytearray(honest())
    last = data.rindex(b"PK\x01\x02")
    data[last + 42 : last + 46] = struct.pack("<I", 1)
    return bytes(data)


def trailing() -> bytes:
    return honest() + b"hidden"


def symbolic_link() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("m/data.pkl", HARMLESS)
        link = zipfile.ZipInfo("m/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return stream.getvalue()


ZIPS: dict[Callable[[], bytes], str] = {
    twice: "twice",
    ratio: "unpacks from",
    traversal: "outside its folder",
    absolute: "outside its folder",
    encrypted: "encrypted",
    renamed_locally: "in its local header",
    other_size_locally: "other sizes",
    overlapping: "overlap",
    misplaced: "local header|lie outside|Overlapped entries",
    trailing: "after the zip directory",
    symbolic_link: "symbolic link",
}


@pytest.mark.parametrize("forge", ZIPS)
def test_a_zip_trick_is_refused(forge: Callable[[], bytes], tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(forge())

    assert re.search(ZIPS[forge], reasons(tmp_path / "m.pt"))


def test_the_same_zip_without_a_trick_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(honest())

    assert reasons(tmp_path / "m.pt") == ""


# --- HDF5 -------------------------------------------------------------------------------------------

CONFIG = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": []}})


def external_link(file: Any, secret: Path) -> None:
    import h5py

    file["stolen"] = h5py.ExternalLink(str(secret), "/")


def soft_link(file: Any, secret: Path) -> None:
    import h5py

    file["linked"] = h5py.SoftLink("/model_weights")


def virtual(file: Any, secret: Path) -> None:
    import h5py

    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "data", (4,))
    file.create_virtual_dataset("stolen", layout)


def raw_elsewhere(file: Any, secret: Path) -> None:
    file.create_dataset("stolen", (4,), "u1", external=[(str(secret), 0, 4)])


def declared(file: Any, secret: Path) -> None:
    file.create_dataset("bomb", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")


def unallocated(file: Any, secret: Path) -> None:
    file.create_dataset("bomb", (1 << 34,), "f4")


H5 = {
    external_link: "external link",
    soft_link: "soft link",
    virtual: "virtual",
    raw_elsewhere: "external file",
    declared: "declares",
    unallocated: "declares",
}


@pytest.mark.parametrize("forge", H5)
@pytest.mark.parametrize("nested", [False, True])
def test_an_hdf5_trick_is_refused(forge: Callable[[Any, Path], None], nested: bool, tmp_path: Path) -> None:
    import h5py

    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = CONFIG
        forge(file.create_group("model_weights/a") if nested else file, secret)

    assert H5[forge] in reasons(tmp_path / "m.h5")


def test_an_hdf5_trick_inside_a_keras_file_is_refused(tmp_path: Path) -> None:
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        external_link(file, tmp_path / "secret")
    members = [
        ("config.json", CONFIG.encode()),
        ("metadata.json", b"{}"),
        ("model.weights.h5", stream.getvalue()),
    ]
    (tmp_path / "m.keras").write_bytes(packed(members))

    assert "external link" in reasons(tmp_path / "m.keras")


def test_a_cycle_of_groups_ends(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["model_config"] = CONFIG
        file.create_group("a")
        file["a/again"] = file["/"]

    assert reasons(tmp_path / "m.h5") == ""


# --- Keras --------------------------------------------------------------------------------------------


INNER = "keras.src.layers"


def layer(**fields: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "module": "keras", "config": {"name": "m", "layers": [fields]}}


LAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "lambda": (layer(module=INNER, class_name="Lambda", config={}), "Lambda"),
    "lambda without a module": (layer(class_name="Lambda", config={}), "Lambda"),
    "lambda value": (layer(class_name="Dense", config={"a": {"class_name": "__lambda__"}}), "__lambda__"),
    "any module (CVE-2025-1550)": (
        layer(module="os", class_name="system", config="id", registered_name="system"), "system"),
    "a class of another module": (layer(module="os", class_name="Dense", config={}), "'os'"),
    "function (CVE-2025-8747)": (
        layer(module="keras.utils", class_name="get_file", config={"origin": "x"}), "get_file"),
    "function as a value": (
        layer(class_name="Dense", config={"activation": {"module": "builtins", "class_name": "function",
                                                         "config": "get_file"}}), "function"),
    "pickle": (layer(module=INNER, class_name="TorchModuleWrapper", config={}), "TorchModule"),
    "saved model": (layer(module=INNER, class_name="TFSMLayer", config={"filepath": "/x"}), "TFSMLayer"),
    "vocabulary": (
        layer(module=INNER, class_name="StringLookup", config={"vocabulary": "/etc/passwd"}), "/etc/passwd"),
    "custom class": (layer(module="mine", class_name="Net", config={}, registered_name="mine>Net"), "Net"),
    "TF operation": (layer(class_name="TFOpLambda", config={"function": "io.write_file"}), "io.write_file"),
    "module inside a module": (
        layer(module=INNER + ".core.lambda_layer", class_name="Dense", config={}), "lambda_layer"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("form", ["keras", "h5"])
def test_a_keras_configuration_is_refused(name: str, form: str, tmp_path: Path) -> None:
    import h5py

    config, says = LAYERS[name]
    path = tmp_path / f"m.{form}"
    if form == "keras":
        path.write_bytes(packed([("config.json", json.dumps(config).encode()), ("metadata.json", b"{}")]))
    else:
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(config)

    assert says in reasons(path)


def test_a_deep_configuration_does_not_exhaust_the_stack(tmp_path: Path) -> None:
    deep = b'{"class_name":"Sequential","config":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001
    (tmp_path / "m.keras").write_bytes(packed([("config.json", deep), ("metadata.json", b"{}")]))

    assert "cannot be read" in reasons(tmp_path / "m.keras")


def test_members_that_keras_does_not_write_are_refused(tmp_path: Path) -> None:
    members = [("config.json", CONFIG.encode()), ("metadata.json", b"{}"), ("assets/x/run.py", b"print()")]
    (tmp_path / "m.keras").write_bytes(packed(members))

    assert "assets/x/run.py" in reasons(tmp_path / "m.keras")


@isolating
def test_the_jail_contains_a_lambda(jail: str, tmp_path: Path) -> None:
    import keras

    with canaries(tmp_path) as watched:
        run = eval(f"lambda x: ({watched.payload}, x)[1]", {"__builtins__": __builtins__})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are saving a model that has not yet been built")
            keras.Sequential([keras.layers.Lambda(run)]).save(tmp_path / "m.keras")
        code = f"""
            import keras, numpy
            keras.models.load_model({str(tmp_path / "m.keras")!r}, safe_mode=False)(numpy.ones((1, 2)))
        """

        done = load_jailed(code, tmp_path, jail, (tmp_path / "m.keras",))

        assert watched.harmed(done, tmp_path / "job") == set()
        assert "R A N" in done.stdout, done.stderr
    assert "Lambda" in reasons(tmp_path / "m.keras")


def test_arrays_of_objects_in_an_npz_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", allow_pickle=True, a=np.array([{}], dtype=object))

    assert "pickled objects" in reasons(tmp_path / "a.npz")
