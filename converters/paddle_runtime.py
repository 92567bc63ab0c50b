"""Paddle as it answers, and as paddle2onnx: kept quiet, on one CPU, without its optimiser."""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping
from unittest import mock

from converters.onnx_checks import short
from converters.paddle_files import PaddleFiles
from converters.paddle_programs import FAILURES
from converters.paddle_repairs import join_scalars, readable
from zoo.errors import UnsupportedFileError, UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.tensors import Tensors


def prepare() -> None:
    """Import Paddle: without its warning about ccache, and without its handlers of fatal signals.

    Its import asks shell commands for the versions of the C library and of compilers. A jail lets no process
    start, and Paddle takes no answer for one; so it gets none, here as there.
    """
    with warnings.catch_warnings(), mock.patch("subprocess.Popen", _NoProcess):
        warnings.simplefilter("ignore", UserWarning)
        import paddle
    paddle.disable_signal_handler()


class _NoProcess:
    """Stands for a command that failed at once."""

    returncode = 1

    def __init__(self, *args: object, **options: object) -> None:
        self.args, self.stdout = args, io.StringIO()

    def __enter__(self) -> _NoProcess:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def communicate(self, *_: object, **__: object) -> tuple[bytes, bytes]:
        return b"", b"no process may be started"

    def poll(self) -> int:
        return self.returncode

    wait = poll


def predictor(files: PaddleFiles) -> Any:
    """Paddle's inference engine over the files as they are, nothing fused or rewritten.

    Raises `UnsupportedFileError` where it cannot load them: cut off, or of two different models.
    """
    from paddle import inference

    config = inference.Config(str(files.program), str(files.parameters or ""))
    config.disable_gpu()
    config.disable_onednn()
    config.switch_ir_optim(False)
    config.disable_glog_info()
    try:
        return inference.create_predictor(config)
    except FAILURES as error:
        raise UnsupportedFileError(
            f"Paddle saved {files.program.name} but cannot load it with its parameters: {_reason(error)}",
            hint="Are both files of one model and complete? Save them again with paddle.jit.save.",
        ) from error


def run(engine: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
    """The engine's answer, one array for each output in the program's order."""
    import numpy as np

    for name in engine.get_input_names():
        handle = engine.get_input_handle(name)
        handle.reshape(feeds[name].shape)
        handle.copy_from_cpu(np.ascontiguousarray(feeds[name]))
    engine.run()
    return {name: engine.get_output_handle(name).copy_to_cpu() for name in engine.get_output_names()}


def exported(files: PaddleFiles, opset: int) -> onnx.ModelProto:
    """What paddle2onnx makes of the files, at `opset` or the next one that can say them.

    `paddle2onnx.export` swallows errors and rewrites the graph by whichever tool is installed; what it
    wraps is called instead. That ends the process where it gives up: call `unsupported` before.
    """
    import onnx
    from paddle2onnx import paddle2onnx_cpp2py_export as engine

    with tempfile.TemporaryDirectory(prefix="zoo-paddle-") as folder, _last_words(Path(folder)):
        try:
            modern = readable(_modern(files, Path(folder)) if files.is_old else files, Path(folder))
            content = engine.export(
                str(modern.program), str(modern.parameters or ""), opset,
                True, False, True, True, True, {}, "onnxruntime", "", "", False,
            )  # fmt: skip
        except FAILURES as error:
            raise UnsupportedModelError(f"paddle2onnx cannot convert it: {_reason(error)}") from error
    model = onnx.load_model_from_string(content)
    join_scalars(model)
    return model


def _modern(files: PaddleFiles, folder: Path) -> PaddleFiles:
    """The program of before Paddle 3 written anew as PIR, by the steps of `paddle2onnx.export`."""
    import paddle
    from paddle2onnx.convert import load_parameter, save_program

    names = {"model_filename": files.program.name}
    if files.parameters is not None:
        names["params_filename"] = files.parameters.name
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.pir_utils.OldIrGuard():
        old = paddle.static.load_inference_model(str(files.program.parent), executor, **names)[0]
    program = paddle.pir.translate_to_pir(old.desc)
    load_parameter(program)
    save_program(program, str(folder / "model"))
    parameters = folder / "model.pdiparams"
    return PaddleFiles(folder / "model.json", parameters if parameters.is_file() else None)


@contextmanager
def _last_words(folder: Path) -> Iterator[None]:
    """paddle2onnx prints its reason, then aborts: the reason is made the process's last line on stderr."""
    import ctypes

    said = folder / "said.txt"
    sys.stdout.flush()
    kept = os.dup(1)
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: os.write(2, _complaint(said)))
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    previous = libc.signal(signal.SIGABRT, handler)
    try:
        yield
    finally:
        libc.signal(signal.SIGABRT, ctypes.c_void_p(previous))
        os.dup2(kept, 1)
        os.close(kept)


def _complaint(said: Path) -> Any:
    lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
    reasons = [line.rpartition("[Paddle2ONNX]")[2].strip() for line in lines if "[ERROR]" in line]
    return f"\npaddle2onnx gave up: {' '.join(reasons) or 'without a reason'}\n".encode()


def _reason(error: BaseException) -> str:
    """Paddle's messages begin with a C++ stack; the reason follows its frame."""
    text = str(error)
    return short(text.rpartition("Error Message Summary:")[2].lstrip("-\n ") or type(error).__name__)
