"""JAX and its libraries: imported for the CPU, and asked for their versions."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Iterator

from zoo.errors import MissingPackageError


def jax() -> Any:
    """The module jax; on the CPU, unless the caller's program imported it before."""
    if "jax" not in sys.modules:
        os.environ["JAX_PLATFORMS"] = "cpu"
    return import_module("jax")


def library(name: str) -> Any:
    """A library that not every model needs, such as ``flax``."""
    jax()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"this file needs {name}, which is not installed", hint=f"pip install {name.partition('.')[0]}"
        ) from error


def versions() -> dict[str, str]:
    """Versions of what is installed of jax, jax2onnx and flax."""
    found = {}
    for name in ("jax", "jax2onnx", "flax"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Without what onnx_ir logs of values whose shape it leaves out, and other libraries' deprecations."""
    logger = logging.getLogger("onnx_ir")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
