"""Checkpoints that the environment's own JAX writes, and the code that belongs to them beside them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.converters_jax.nets import NETS, WRITER


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files, which are written by the first test that asks."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture
def checkpoint(environment, written: Path) -> Callable[[str], Path]:
    """``checkpoint("cnn.msgpack")`` is one of the files of `nets.WRITER`, with ``nets.py`` beside it."""
    interpreter = environment("jax").interpreter
    if not (written / "nets.py").exists():
        (written / "nets.py").write_text(NETS, encoding="utf-8")
        (written / "writer.py").write_text(WRITER, encoding="utf-8")
        command = [str(interpreter), "writer.py"]
        done = subprocess.run(command, cwd=written, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return written.joinpath
