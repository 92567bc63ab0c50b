"""What becomes of every file of a folder of model files, and of every packaged model of the registry.

``python -m benchmarks.corpus FOLDER`` runs the `zoo` command on each, as a user would, and writes
``docs/corpus.md``: detected as, environment, converted and verified, or refused and why. A run that shows a
traceback, is ended by a signal or takes longer than its time counts as a defect, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 600.0
"""Seconds for one file."""
DESCRIPTIONS = {"INDEX.tsv", "README.md"}
DEFECT = "**defect**"


@dataclass(frozen=True)
class Row:
    """One file: what it was taken for, where it ran, and how it ended."""

    group: str
    name: str
    detected: str
    environment: str
    result: str
    why: str
    seconds: float


def main() -> int:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folders of model files, one for each format")
    parser.add_argument("--only", help="a part of the path")
    parser.add_argument("--no-docs", action="store_true", help="print only")
    asked = parser.parse_args()
    rows = [
        _converted(path, asked.folder) for path in models(asked.folder) if (asked.only or "") in str(path)
    ]
    if asked.only is None:
        rows += [_pulled(ref) for ref in _packaged()]
    page = _page(rows)
    print(page)
    if not asked.no_docs:
        (ROOT / "docs" / "corpus.md").write_text(page, encoding="utf-8")
    return int(any(row.result == DEFECT for row in rows))


def models(folder: Path) -> Iterator[Path]:
    """Every file, and every folder that is a model as a whole."""
    from zoo.detect import detect
    from zoo.errors import ZooError

    for path in sorted(folder.iterdir()):
        if path.is_file():
            if path.name not in DESCRIPTIONS:
                yield path
            continue
        try:
            detect(path)
        except ZooError:
            yield from models(path)
        else:
            yield path


def _packaged() -> list[str]:
    """Entries of the registry that come out of a package, so that any machine with an index has them."""
    from zoo import api

    return [
        str(entry.ref)
        for entry in api.list()
        if entry.files[0].sources and entry.files[0].sources[0].startswith(("pypi:", "npm:"))
    ]


def _converted(path: Path, folder: Path) -> Row:
    with tempfile.TemporaryDirectory() as out:
        output = Path(out, "model.onnx")
        return _run(["convert", str(path), "-o", str(output)], path.relative_to(folder).as_posix())


def _pulled(ref: str) -> Row:
    return _run(["pull", ref, "--refresh"], f"packaged/{ref}")


def _run(arguments: Sequence[str], name: str) -> Row:
    group, _, rest = name.partition("/")
    began = time.monotonic()
    command = [sys.executable, "-m", "zoo", *arguments, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Row(group, rest, "", "", DEFECT, f"no end within {LIMIT:.0f} s", LIMIT)
    seconds = time.monotonic() - began
    print(f"{seconds:6.1f} s  {done.returncode:3}  {name}", file=sys.stderr, flush=True)
    try:
        answer: Any = json.loads(done.stdout)
    except json.JSONDecodeError:
        answer = {}
    if not answer or done.returncode in (1, 130) or done.returncode < 0 or "Traceback" in done.stderr:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Row(group, rest, "", "", DEFECT, f"exit code {done.returncode}: {last}", seconds)
    detected, environment, result, why = _told(answer)
    return Row(group, rest, detected or _detected(arguments), environment, result, why, seconds)


def _told(answer: dict[str, Any]) -> tuple[str, str, str, str]:
    """Detected as, environment, result and reason, from what ``--json`` printed."""
    error = answer.get("error")
    if error is not None:
        return "", "", f"refused ({error['exit_code']})", _without_folders(error["message"])
    report = answer["report"]
    proof = f"{report['verdict']}, {len(report['cases'])} cases"
    environment = report.get("environment") or {}
    where = " ".join(filter(None, (environment.get("name"), environment.get("python"))))
    return answer["detection"]["description"], where, proof, ""


def _without_folders(message: str) -> str:
    """A message without where this run kept its files."""
    return re.sub(r"(?<![\w:/])(?:/[\w.-]+)+/(?=[\w.-])", "", message)


def _detected(arguments: Sequence[str]) -> str:
    from zoo.detect import detect
    from zoo.errors import ZooError

    if arguments[0] != "convert":
        return ""
    try:
        return detect(Path(arguments[1])).description
    except ZooError:
        return "nothing that it knows"


def _page(rows: list[Row]) -> str:
    counts = Counter(row.result.split(",")[0].split(" (")[0] for row in rows)
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# Every format, tried",
        "",
        f"Written by `python -m benchmarks.corpus` on {time.strftime('%Y-%m-%d')}: {machine}.",
        "Each file was given to `zoo convert` with no option but the output, each packaged model to",
        "`zoo pull --refresh`. The files are test models of others; a number in parentheses is the exit",
        "code (docs/cli.md).",
        "",
        ", ".join(f"{count} {result}" for result, count in counts.most_common()) + ".",
    ]
    for group in dict.fromkeys(row.group for row in rows):
        lines += ["", f"## {group}", "", "| file | detected as | environment | result | why | s |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_line(row) for row in rows if row.group == group]
    return "\n".join([*lines, ""])


def _line(row: Row) -> str:
    why = " ".join(row.why.replace("|", "/").split())
    why = why if len(why) < 240 else why[:239] + "…"
    cells = (row.name, row.detected, row.environment, row.result, why, f"{row.seconds:.1f}")
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
