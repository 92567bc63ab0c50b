"""What a Paddle program says without being run: its inputs, its operations, the tables that it indexes.

Programs are read as PIR, Paddle 3's form; a ProgramDesc of before is translated by Paddle itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

from converters.onnx_checks import short
from converters.trials import BATCH
from zoo.errors import UnsafeFileError, UnsupportedFileError
from zoo.records import Dim, TensorSpec

if TYPE_CHECKING:
    from pathlib import Path

    from converters.paddle_files import PaddleFiles

FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, KeyError, OSError, SystemError, SystemExit)
"""What Paddle raises for files that it cannot read, and for programs that it cannot run."""

_REACHING_OUT = (
    "save",
    "load",
    "py_func",
    "pylayer",
    "run_program",
    "read_file",
    "send",
    "recv",
    "listen_and_serv",
)
_PLUMBING = ("data", "feed", "fetch", "if", "while")
_OLD_NAMES = {
    "add": "elementwise_add",
    "add_n": "sum",
    "all": "reduce_all",
    "any": "reduce_any",
    "arange": "range",
    "argmax": "arg_max",
    "argmin": "arg_min",
    "assign_value_": "assign_value",
    "batch_norm_": "batch_norm",
    "divide": "elementwise_div",
    "expand": "expand_v2",
    "flatten": "flatten_contiguous_range",
    "floor_divide": "elementwise_floordiv",
    "grid_sample": "grid_sampler",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "matmul": "matmul_v2",
    "max": "reduce_max",
    "maximum": "elementwise_max",
    "mean": "reduce_mean",
    "min": "reduce_min",
    "minimum": "elementwise_min",
    "multiply": "elementwise_mul",
    "nonzero": "where_index",
    "numel": "size",
    "prod": "reduce_prod",
    "remainder": "elementwise_mod",
    "repeat_interleave_with_tensor_index": "repeat_interleave",
    "subtract": "elementwise_sub",
    "sum": "reduce_sum",
    "topk": "top_k_v2",
    "unsqueeze": "unsqueeze2",
}
"""Operations of Paddle 3 that paddle2onnx lists under their names of Paddle 2."""
_INPUTS = ("pd_op.data", "pd_op.feed")
_LOGISTIC = ("pd_op.softmax", "pd_op.sigmoid")
_SAME_VALUES = ("pd_op.cast", "pd_op.assign", "pd_op.reshape", "pd_op.unsqueeze", "pd_op.squeeze")


def read(files: PaddleFiles) -> Any:
    """The program as PIR, its parameters not loaded.

    Raises `UnsupportedFileError` where Paddle cannot read it, `UnsafeFileError` where it reads or writes
    files, calls Python or talks to other machines.
    """
    import paddle

    paddle.enable_static()
    try:
        program = _translated(files.program) if files.is_old else _deserialized(files.program)
    except FAILURES as error:
        raise UnsupportedFileError(
            f"Paddle cannot read the program {files.program.name}: {short(str(error))}",
            hint="Is the download complete? Programs of Paddle 1.x may have to be saved again by Paddle 2.",
        ) from error
    _refuse_reaching_out(program, files.program)
    _refuse_without_parameters(program, files)
    return program


def _deserialized(path: Path) -> Any:
    import paddle

    program = paddle.static.Program()
    paddle.base.core.deserialize_pir_program(str(path), program)
    return program


def _translated(path: Path) -> Any:
    import paddle

    with paddle.pir_utils.OldIrGuard():
        old = paddle.static.io.deserialize_program(path.read_bytes())
        for block in old.blocks:
            _refuse_reaching_names(sorted({op.type for op in block.ops}), path)
        return paddle.pir.translate_to_pir(old.desc)


def operations(program: Any) -> Iterator[Any]:
    """Every operation, those of branches and loops too."""
    blocks = [program.global_block()]
    while blocks:
        for operation in blocks.pop().ops:
            yield operation
            blocks.extend(operation.blocks())


def inputs(program: Any) -> tuple[TensorSpec, ...]:
    """The inputs in the program's order; an axis that it leaves open is named."""
    found = [op for op in operations(program) if op.name() in _INPUTS and "name" in op.attrs()]
    found.sort(key=lambda op: op.attrs().get("col", 0))
    return tuple(_spec(op.attrs()["name"], op.results()[0]) for op in found)


def _spec(name: str, value: Any) -> TensorSpec:
    shape = tuple(_dim(name, axis, int(size)) for axis, size in enumerate(value.shape))
    return TensorSpec(name, str(value.dtype).replace("paddle.", ""), shape)


def _dim(name: str, axis: int, size: int) -> Dim:
    if size >= 0:
        return size
    return BATCH if axis == 0 else f"{name}_dim{axis}"


def table_rows(program: Any) -> dict[str, int]:
    """The rows of the embedding table that an input indexes, by the input's name."""
    rows: dict[str, int] = {}
    for operation in operations(program):
        if operation.name() == "pd_op.embedding":
            indices, table = operation.operands_source()
            name = _input_behind(indices)
            if name is not None:
                rows[name] = min(int(table.shape[0]), rows.get(name, 2**31))
    return rows


def roles(program: Any) -> dict[int, str]:
    """``"probabilities"`` for the outputs, by place, that a softmax or sigmoid gives."""
    fetched = [operation for operation in operations(program) if operation.name() == "pd_op.fetch"]
    fetched.sort(key=lambda operation: operation.attrs().get("col", 0))
    made = [_maker(operation.operands_source()[0]) for operation in fetched]
    return {place: "probabilities" for place, name in enumerate(made) if name in _LOGISTIC}


def _maker(value: Any) -> str:
    """The operation that computes `value`; the exporters put a scale by one before an output."""
    operation = value.get_defining_op()
    while operation.name() in (*_SAME_VALUES, "pd_op.scale") and operation.num_operands():
        operation = operation.operands_source()[0].get_defining_op()
    return str(operation.name())


def _input_behind(value: Any) -> Any:
    operation = value.get_defining_op()
    while operation.name() in _SAME_VALUES:
        operation = operation.operands_source()[0].get_defining_op()
    return operation.attrs().get("name") if operation.name() in _INPUTS else None


def unsupported(program: Any) -> list[str]:
    """The operations that paddle2onnx has no ONNX form for, each once."""
    from paddle2onnx.paddle2onnx_cpp2py_export import get_all_supported_operators_pir

    known = {*get_all_supported_operators_pir(), *_PLUMBING}
    prefixed = (operation.name().partition(".") for operation in operations(program))
    names = {name for prefix, _, name in prefixed if prefix in ("pd_op", "custom_op")}
    return sorted(name for name in names if name not in known and _OLD_NAMES.get(name) not in known)


def _refuse_without_parameters(program: Any, files: PaddleFiles) -> None:
    count = sum(operation.name() == "builtin.parameter" for operation in operations(program))
    if count and files.parameters is None:
        beside = files.program.with_suffix(".pdiparams").name
        raise UnsupportedFileError(
            f"{files.program.name} is a program with {count} parameters, which are not beside it",
            hint=f"Put {beside} into the same folder.",
        )


def _refuse_reaching_out(program: Any, path: Path) -> None:
    names = {operation.name().partition(".")[2].rstrip("_") for operation in operations(program)}
    _refuse_reaching_names(sorted(names), path)


def _refuse_reaching_names(names: list[str], path: Path) -> None:
    for name in names:
        if name in _REACHING_OUT or name.startswith(("save_", "load_", "send_", "recv_", "distributed_")):
            raise UnsafeFileError(
                f"{path.name} holds the operation {name!r}, which reaches files, code or other machines",
                hint="A model for inference has no such operation. Do not load it.",
            )
