"""A lock file can be made again, also of a package whose ``setup.py`` wants an old setuptools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from zoo.environments.locking import relock
from zoo.environments.locks import PINS, lock_folders, parse_pins

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_the_lock_of_a_package_that_is_built_is_made_again(tmp_path: Path) -> None:
    kept = next(folder / "chainer.toml" for folder in lock_folders() if (folder / "chainer.toml").is_file())
    made = relock(Path(shutil.copy(kept, tmp_path)))
    pins = {pin.name: pin.version for pin in parse_pins(made.read_text(encoding="utf-8"))}
    assert made.suffix == PINS
    assert (pins["chainer"], pins["numpy"], pins["onnx"]) == ("7.8.1", "1.23.5", "1.16.2")
    assert int(pins["setuptools"].split(".")[0]) < 81
