"""Models saved by Paddle itself, in its own environment, once for all tests here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NEW = ("pictures", "words", "curves", "linear", "same", "decomposed", "random", "flipped")
OLD = ("pictures", "writing")


@pytest.fixture
def saved(
    environment: Callable, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """``saved(name, old=False)``: a folder with a copy of one model's files."""
    built = environment("paddle")
    made = tmp_path_factory.getbasetemp() / "paddle-models"
    if not made.exists():
        _make(built.interpreter, made / "new", NEW, {})
        _make(built.interpreter, made / "old", OLD, {"FLAGS_enable_pir_api": "0"})

    def copy(name: str, old: bool = False) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for path in (made / ("old" if old else "new")).glob(f"{name}.*"):
            shutil.copy(path, folder)
        return folder

    return copy


def _make(interpreter: Path, folder: Path, names: tuple[str, ...], variables: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    script = Path(__file__).with_name("make_models.py")
    argv = [str(interpreter), "-W", "ignore", str(script), str(folder), *names]
    subprocess.run(argv, check=True, env={**os.environ, **variables}, capture_output=True)
