"""A third party's converter with lock files of its own, and a folder of wheels instead of an index."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environments.wheels import make_wheel, write_lock
from zoo import plugins

PLUGIN = Path(__file__).parent / "plugin" / "tinyfw"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installs `tinyfw` as a distribution; its package folder, for more locks."""
    site = tmp_path / "site"
    metadata = site / "tinyfw-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tinyfw\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[zoo.converters]\ntinyfw = tinyfw.converter:TinyConverter\n")
    shutil.copytree(PLUGIN, site / "tinyfw", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    plugins._table.cache_clear()
    yield site / "tinyfw"
    for name in [name for name in sys.modules if name.partition(".")[0] == "tinyfw"]:
        del sys.modules[name]
    plugins._table.cache_clear()


@pytest.fixture
def small(plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a lock that is built in seconds, from a folder of hollow wheels, with pip and no index."""
    wheels = tmp_path / "wheels"
    pins = {name: make_wheel(wheels, name) for name in ("numpy", "onnx", "small_framework")}
    write_lock(plugin / "locks", "small", pins)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return "small"
