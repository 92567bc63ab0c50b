"""`convert_all`: many files in one go, on workers that stay warm, and no failure stops the rest."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from zoo import api, warm
from zoo.errors import UsageError, ZooError
from zoo.records import VerifiedModel
from zoo.settings import AnyPath, as_path


@dataclass(frozen=True)
class Conversion:
    """What became of one file: a `model`, or the `error` that says why there is none."""

    path: Path
    model: Optional[VerifiedModel] = None
    error: Optional[ZooError] = None


def convert_all(
    paths: Iterable[AnyPath],
    folder: AnyPath | None = None,
    *,
    jobs: int | None = None,
    on_result: Callable[[Conversion], None] | None = None,
    **options: Any,
) -> tuple[Conversion, ...]:
    """Convert and prove each file as `zoo.convert` does, into ``folder/<stem>.onnx``.

    Args:
        paths: files or model folders; those of one framework share a worker process that has it imported.
        folder: where the ONNX files go, by default the current folder. It must exist.
        jobs: how many files are worked on at a time, by default two where there are two processors.
        on_result: called with each `Conversion` as it ends.
        options: those of `zoo.convert`; they hold for every file.

    Returns one `Conversion` for each path, in their order; errors are in there, not raised.

    Raises:
        UsageError: two files would have the same output, or `folder` is none. Nothing is done then.
    """
    jobs = min(2, os.cpu_count() or 1) if jobs is None else jobs
    if jobs < 1:
        raise UsageError(f"{jobs} jobs cannot do anything", hint="`--jobs 1` converts one file at a time.")
    targets = _targets([Path(path) for path in paths], as_path(folder) or Path())
    with warm.workers(), ThreadPoolExecutor(jobs) as pool:
        running = {}
        for path, output in targets.items():
            # Each thread sees the workers of this call.
            context = contextvars.copy_context()
            running[pool.submit(context.run, _converted, path, output, options)] = path
        return tuple(_gathered(running, on_result))


def _targets(paths: list[Path], folder: Path) -> dict[Path, Path]:
    if not folder.is_dir():
        raise UsageError(
            f"{folder} is no folder", hint="Several files need a folder for their output: make it first."
        )
    targets: dict[Path, Path] = {}
    for path in paths:
        output = folder / f"{path.resolve().stem}.onnx"
        same = next((other for other, taken in targets.items() if taken == output), None)
        if same is not None:
            raise UsageError(
                f"{same} and {path} would both be written to {output}",
                hint="Convert them one at a time, each with its own `--output`.",
            )
        targets[path] = output
    return targets


def _converted(path: Path, output: Path, options: dict[str, Any]) -> Conversion:
    try:
        return Conversion(path, model=api.convert(path, output, **options))
    except ZooError as error:
        return Conversion(path, error=error)


def _gathered(
    running: dict[Future[Conversion], Path], on_result: Callable[[Conversion], None] | None
) -> Iterator[Conversion]:
    try:
        for future in as_completed(running):
            if on_result is not None:
                on_result(future.result())
    except BaseException:  # an interrupt: what has not begun does not begin
        for future in running:
            future.cancel()
        raise
    yield from (future.result() for future in running)
