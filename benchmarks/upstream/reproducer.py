"""One page of ``docs/upstream/``: its script is run as it stands, and what it leaves is judged.

A script leaves `expected` (the source's answer) and `got` (upstream's, or the text of its error), and,
where there is a model to convert, `model` and `rows`. `zoo.export` converts the same model, and its answer
to the same rows is held against the same `expected`.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

UPSTREAM = 1e-3
"""Largest difference of upstream, relative to the larger of the number and the largest answer."""
OURS = {"float64": 1e-9, "float32": 1e-5}
"""The same of ours, by the dtype of the source's answer."""


@dataclass(frozen=True)
class Outcome:
    """What a page's script printed, and the wrong rows before and after, as text (``"12 of 200"``)."""

    printed: str
    before: str
    after: str

    @property
    def upstream_is_wrong(self) -> bool:
        return not self.before.startswith("0 ")

    @property
    def ours_is_right(self) -> bool:
        return self.after.startswith(("0 ", "no model"))


def script(page: Path) -> str:
    """The python block of a page."""
    found = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if found is None:
        raise ValueError(f"{page.name} has no python block")
    return found.group(1)


def answer(page: Path) -> str:
    """The name of our output that the script's `expected` is."""
    found = re.search(r"<!-- answer: (\w+) -->", page.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{page.name} does not say which answer it is about")
    return found.group(1)


def run(page: Path) -> Outcome:
    """Run the script of a page, convert its model with `zoo.export`, count wrong rows of both."""
    space: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore")  # the packages' own, about their options
        exec(compile(script(page), str(page), "exec"), space)
        before = _counted(space["expected"], space["got"], UPSTREAM)
        after = _ours(space, answer(page)) if "model" in space else "no model, nothing to convert"
    said = "\n".join(line for line in printed.getvalue().splitlines() if not line.startswith("[LightGBM]"))
    return Outcome(said, before, after)


def _ours(space: dict[str, Any], name: str) -> str:
    import zoo
    from zoo.errors import ZooError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.onnx"
        try:
            zoo.export(space["model"], space["rows"], path, input=_inputs(space["rows"]))
        except ZooError as error:
            return f"refused: {error}".splitlines()[0]
        got = _answer(path, space["rows"], name)
    expected = np.asarray(space["expected"])
    return _counted(expected, got, OURS.get(str(expected.dtype), OURS["float64"]))


def _inputs(rows: Any) -> tuple[str, ...]:
    """What `--input` says of a float32 matrix: then the source is asked in float32, as upstream is."""
    if getattr(rows, "dtype", None) != np.float32:
        return ()
    return (f"X:float32[batch,{rows.shape[1]}]",)


def _answer(path: Path, rows: Any, name: str) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if hasattr(rows, "columns"):
        feeds = {item.name: _typed(rows[[item.name]].to_numpy(), item.type) for item in inputs}
    else:
        feeds = {inputs[0].name: _typed(np.asarray(rows), inputs[0].type)}
    return session.run([name], feeds)[0]


def _typed(array: np.ndarray, kind: str) -> np.ndarray:
    dtypes = {"tensor(string)": object, "tensor(float)": np.float32, "tensor(double)": np.float64}
    return array.astype(dtypes.get(kind, np.int64))


def _counted(expected: Any, got: Any, bound: float) -> str:
    expected = np.asarray(expected)
    if isinstance(got, str):
        return f"none of {len(expected)} answered: {' '.join(got.split())}"
    got = np.asarray(got)
    if got.shape != expected.shape:
        return f"all of {len(expected)}: shape {got.shape} for {expected.shape}"
    return f"{int(_wrong(expected, got, bound).sum())} of {len(expected)}"


def _wrong(expected: np.ndarray, got: np.ndarray, bound: float) -> np.ndarray:
    """[N] True where a row differs."""
    if expected.dtype.kind == "f":
        scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0))
        same = np.isclose(got.astype(np.float64), expected, rtol=bound, atol=bound * scale, equal_nan=True)
    else:
        same = got == expected if expected.dtype.kind != "U" else got.astype(np.str_) == expected
    return np.asarray(~same.reshape(len(expected), -1).all(axis=1))
