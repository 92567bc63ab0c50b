"""JAX's files are known by their content, and nothing else is taken for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.detect import detect
from zoo.errors import UnsupportedFileError

ARRAY = (
    b"\xc7\x14\x01" + b"\x93\x91\x02\xa7float32\xc4\x08" + b"\0" * 8
)  # Flax's extension 1: shape, dtype, bytes


def written(folder: Path, data: bytes) -> Path:
    path = folder / "file.bin"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\xa6params\x81\xa5dense\x81\xa4bias" + ARRAY,
        b"\x82\xa4step\x07\xa6params\x81\xa1w" + ARRAY,
        b"\xde\x00\x01\xd9\x06params\x80" + b"\xa1w" + ARRAY,
    ],
)
def test_maps_that_end_in_flax_arrays_are_parameters(data, tmp_path):
    found = detect(written(tmp_path, data))

    assert (found.framework, found.kind) == ("jax", "msgpack")


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\xa4name\xa5value",
        b"\x81\xa6params\x81\xa5dense",
        b"\x81\x01" + ARRAY,
        b"\x81\xa6params\xd4\x05\x00",
        b"\xdf\xff\xff\xff\xff" + b"\xa1a\x80" * 300,
    ],
)
def test_other_maps_and_damaged_ones_are_not(data, tmp_path):
    with pytest.raises(UnsupportedFileError):
        detect(written(tmp_path, data))


@pytest.mark.parametrize("item", ["", "default", "state"])
def test_orbax_folders_are_known_with_the_item_that_holds_them(item, tmp_path):
    folder = tmp_path / "step" / item
    folder.mkdir(parents=True)
    (folder / "_METADATA").write_text("{}")
    (folder / "manifest.ocdbt").write_bytes(b"\x0c\xdb\x3d\x2a")

    found = detect(tmp_path / "step")

    assert (found.framework, found.kind) == ("jax", "orbax")
    assert found.details == ({"item": item} if item else {})


def test_a_stablehlo_program_is_an_export(tmp_path):
    found = detect(
        written(tmp_path, b"\x3c\0\0\0" + b"\0" * 60 + b"ML\xefR\x0dStableHLO_v1.15.0" + b"\0" * 40)
    )

    assert (found.framework, found.kind) == ("jax", "export")
