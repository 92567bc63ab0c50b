"""The main job on real models: ``make demo``, and with ``--all`` ``make demo-all``.

Everything is fetched from the package index that pip is configured with. The store is ``cache/`` of this
checkout, so a second run shows what a warm store saves.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zoo
from examples import classical, deep, files, speech

CHECKOUT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run every part and print what was proven; 1 when any part failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="also PyTorch and TensorFlow")
    parser.add_argument("--cache", type=Path, default=CHECKOUT / "cache")
    asked = parser.parse_args()
    parts = [files.run, speech.run, classical.run, *([deep.photo, deep.chord] if asked.all else [])]
    with tempfile.TemporaryDirectory() as folder:
        proven = [_timed(part, asked.cache, Path(folder)) for part in parts]
    _print_table(proven)
    return 0 if all(model.report is not None and model.report.passed for model, _ in proven) else 1


def _timed(part: Callable[[Path, Path], zoo.VerifiedModel], cache: Path, folder: Path) -> tuple[Any, float]:
    start = time.perf_counter()
    model = part(cache, folder)
    print()
    return model, time.perf_counter() - start


def _print_table(proven: list[tuple[zoo.VerifiedModel, float]]) -> None:
    from zoo.cli.show import size, table

    rows = [
        (
            model.path.name,
            model.report.reference if model.report else "",
            model.report.verdict if model.report else "",
            str(len(model.report.cases) if model.report else 0),
            size(model.model.size),
            model.model.digest[:12],
            f"{seconds:.1f} s",
        )
        for model, seconds in proven
    ]
    print("What was proven")
    print(table(rows, ("MODEL", "AGAINST", "VERDICT", "CASES", "SIZE", "SHA256", "TIME")))


if __name__ == "__main__":
    sys.exit(main())
