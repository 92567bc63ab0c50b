from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from converters.from_tensorflow import TensorFlowConverter
from converters.tensorflow_runtime import quiet, tensorflow


@pytest.fixture
def converter() -> TensorFlowConverter:
    return TensorFlowConverter()


@pytest.fixture(scope="session")
def tf() -> Any:
    return tensorflow()


@pytest.fixture(scope="session")
def keras(tf: Any) -> Any:
    import keras

    keras.utils.set_random_seed(7)
    return keras


@pytest.fixture
def saved(tmp_path: Path):
    """Save a Keras model under tmp_path without the warnings that Keras raises about itself."""

    def save(model: Any, name: str) -> Path:
        with quiet():
            model.save(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def exported(tmp_path: Path):
    """Export a Keras model as a SavedModel under tmp_path."""

    def export(model: Any, name: str = "saved") -> Path:
        with quiet():
            model.export(tmp_path / name, verbose=False)
        return tmp_path / name

    return export
