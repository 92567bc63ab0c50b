"""Run the reproducers of ``docs/upstream/`` and write their results: ``python -m benchmarks.upstream``.

The result block of each page and the table of ``docs/upstream/README.md`` are
written from what came out; `--check` writes nothing and ends with 1 where upstream is right or ours is wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.upstream.reproducer import Outcome, run

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "upstream"
SHOWN = {
    "skl2onnx": ("skl2onnx", "scikit-learn", "onnx", "onnxruntime"),
    "onnxmltools": ("onnxmltools", "skl2onnx", "xgboost", "lightgbm", "scikit-learn", "onnxruntime"),
    "catboost": ("catboost", "onnxruntime"),
    "onnxruntime": ("onnxruntime", "onnx"),
}
INTRODUCTION = """# Faults found upstream

Each page is an issue for the repository in its name: the shortest script, what it prints, the cause where it
is known. `python -m benchmarks.upstream` runs every script, converts the same model with `zoo.export`, and
writes the tables; a slow test (`tests/upstream`) runs them again, so that a page that no longer holds is
noticed. A row is wrong where its label differs, or a number by more than 1e-3 (upstream, float32) or 1e-9
(ours; 1e-5 where the source answers in float32) of the larger of itself and the largest answer.

"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="pages whose name contains this")
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args()
    held = True
    for page in pages():
        if asked.only not in page.name:
            continue
        found = run(page)
        print(f"{page.stem}: before {found.before}; after {found.after}", flush=True)
        held = held and found.upstream_is_wrong and found.ours_is_right
        if not asked.check:
            _write(page, found)
    if not asked.check:
        (PAGES / "README.md").write_text(INTRODUCTION + table(), encoding="utf-8")
    return 0 if held else 1


def pages() -> list[Path]:
    """Every reproducer, by name."""
    return sorted(page for page in PAGES.glob("*.md") if page.name != "README.md")


def _write(page: Path, found: Outcome) -> None:
    text = page.read_text(encoding="utf-8")
    repository = page.name.split("-")[0]
    said = ", ".join(f"{name} {_version(name)}" for name in SHOWN[repository])
    result = (
        f"## Result\n\n{said}; Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}. It prints\n\n"
        f"```text\n{found.printed}\n```\n\n| | wrong rows |\n|---|---|\n"
        f"| before: {repository} | {found.before} |\n| after: `zoo.export` | {found.after} |\n"
    )
    begin, end = "<!-- result: begin -->\n", "<!-- result: end -->"
    head, rest = text.split(begin)
    page.write_text(head + begin + result + end + rest.split(end)[1], encoding="utf-8")


def _version(package: str) -> str:
    for name in (package, f"{package}-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "?"


def table() -> str:
    """Repository, fault, before, after: read back from the pages."""
    lines = ["| repository | fault | wrong rows before | after, `zoo.export` |", "|---|---|---|---|"]
    for page in pages():
        text = page.read_text(encoding="utf-8")
        repository, _, title = text.splitlines()[0].removeprefix("# ").partition(": ")
        before, after = (re.search(rf"\| {side}: [^|]* \| (.*?) \|\n", text) for side in ("before", "after"))
        counts = [_short(found.group(1)) if found else "not run" for found in (before, after)]
        lines.append(f"| {repository} | [{title}]({page.name}) | {counts[0]} | {counts[1]} |")
    return "\n".join(lines) + "\n"


def _short(said: str) -> str:
    return said.partition(":")[0]


if __name__ == "__main__":
    sys.exit(main())
