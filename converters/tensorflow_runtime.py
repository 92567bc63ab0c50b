"""TensorFlow imported the way the converters need it, and tf2onnx kept quiet but heard.

The environment is set before the first import only: where TensorFlow already runs (``zoo.export`` in
a training process) nothing of it changes.

- ``CUDA_VISIBLE_DEVICES=-1``: a reference computed on a GPU would differ from machine to machine.
- ``TF_ENABLE_ONEDNN_OPTS=0``: oneDNN chooses kernels by CPU and sums in another order; without it the
  reference is the same Eigen arithmetic everywhere.
- ``TF_CPP_MIN_LOG_LEVEL=3``: only fatal messages.

Each yields to a value that the user has set.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Iterator, List

from zoo.errors import MissingPackageError

if TYPE_CHECKING:
    import tensorflow as tf

ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
}
DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel")


def tensorflow() -> tf:
    """The TensorFlow module, imported on the CPU with its own kernels.

    Raises:
        MissingPackageError: it is not installed, or its own dependencies are broken.
    """
    if "tensorflow" not in sys.modules:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    with quiet():
        try:
            import tensorflow
        except ImportError as error:
            raise _missing("tensorflow", error) from error
    return tensorflow


def tf2onnx() -> Any:
    """The tf2onnx package with its loader and converter modules."""
    tensorflow()
    with quiet():
        try:
            import tf2onnx
            import tf2onnx.convert
            import tf2onnx.tf_loader
        except ImportError as error:
            raise _missing("tf2onnx", error) from error
    return tf2onnx


def versions() -> dict[str, str]:
    """The versions that decide the numbers: TensorFlow and Keras, and the converter's."""
    found = {name: _version(name) for name in ("keras", "tf2onnx")}
    found["tensorflow"] = next((v for v in map(_version, DISTRIBUTIONS) if v), None)
    if "tf_keras" in sys.modules:
        found["tf_keras"] = _version("tf_keras")
    return {name: value for name, value in sorted(found.items()) if value}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop the warnings that TensorFlow, Keras and tf2onnx raise and log about their own code."""
    with warnings.catch_warnings(), heard("tensorflow"), heard("absl"):
        for module in (
            "tensorflow",
            "keras",
            "tf_keras",
            "tf2onnx",
            "google",
            "h5py",
            "ml_dtypes",
            "numpy",
        ):
            warnings.filterwarnings("ignore", module=rf"{module}(\.|$)")
        # Raised with the caller's frame as its place, which may be ours.
        warnings.filterwarnings("ignore", message=r".*__array__ implementation doesn't accept a copy keyword")
        warnings.filterwarnings("ignore", message=r"The structure of `inputs` doesn't match")
        yield


@contextlib.contextmanager
def heard(name: str = "tf2onnx") -> Iterator[List[str]]:
    """Collect what the logger `name` reports as an error, and let it print nothing."""
    listener = _Listener()
    logger = logging.getLogger(name)
    before = logger.propagate, logger.level
    logger.addHandler(listener)
    logger.propagate, logger.level = False, logging.ERROR
    try:
        yield listener.messages
    finally:
        logger.removeHandler(listener)
        logger.propagate, logger.level = before


def first(error: BaseException, limit: int = 300) -> str:
    """The beginning of another library's message, on one line."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    if lines and lines[0] == "in user code:":
        # AutoGraph puts the whole traceback first and the reason after it.
        lines = [line for line in lines if not line.startswith("File ")][-4:]
    text = " ".join(filter(None, lines)) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        text = record.getMessage()
        self.messages.append(f"{text}: {cause}" if cause else text)


def _missing(package: str, error: ImportError) -> MissingPackageError:
    return MissingPackageError(
        f"{package} cannot be imported: {error}",
        hint="pip install 'onnx-zoo-pipeline[tensorflow]'",
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
