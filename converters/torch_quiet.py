"""torch's exporters talk: silence what they say and filter what they warn of, exactly."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import warnings
from typing import Iterator

_LOGGERS = (
    "torch.onnx",
    "torch.export",
    "torch._export",
    "torch._dynamo",
    "torch.fx",
    "onnxscript",
    "onnx_ir",
)

_EXPORT_WARNINGS = (
    (DeprecationWarning, r"You are using the legacy TorchScript-based ONNX export"),
    (DeprecationWarning, r"The feature will be removed\. Please remove usage of this function"),
    (DeprecationWarning, r"`?torch\.jit\.\w+`? is deprecated"),
    (DeprecationWarning, r"`?torch\.jit\.\w+`? is not supported in Python 3\.14"),
    (FutureWarning, r"`isinstance\(treespec, LeafSpec\)` is deprecated"),
    (FutureWarning, r"_check_is_size will be removed in a future PyTorch release"),
    # True of weights that flatten their copies; they are exported as parameters all the same.
    (UserWarning, r"The tensor attributes? .* assigned during export"),
    # Of a fixed initial state; the probe at another batch size decides whether it is so.
    (UserWarning, r"Exporting a model to ONNX with a batch_size other than 1"),
    (UserWarning, r"no signature found for <torch\.ScriptMethod object"),
    (UserWarning, r"# 'dynamic_axes' is not recommended when dynamo=True"),
    (UserWarning, r"Exporting aten::\w+ operator of advanced indexing in opset"),
    (UserWarning, r"Constant folding - Only steps=1 can be constant folded"),
    (UserWarning, r"Provided key \w+ for dynamic axes is not a valid input/output name"),
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing on stdout, stderr or the exporters' loggers; their known warnings filtered."""
    with warnings.catch_warnings(), _muted_loggers():
        for category, message in _EXPORT_WARNINGS:
            warnings.filterwarnings("ignore", message=message, category=category)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield


@contextlib.contextmanager
def without_native_output() -> Iterator[None]:
    """Nothing on the process's stdout, to which the TorchScript exporter prints a failing graph from C++."""
    libc = ctypes.CDLL(None)
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        libc.fflush(None)
        os.dup2(nowhere, 1)
        yield
    finally:
        libc.fflush(None)  # what is in C's buffer must not come out later
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _muted_loggers() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
