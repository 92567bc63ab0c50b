"""``python -m benchmarks.fetch.fault_plan``: run the fault suite and write docs/fault-plan.md from it.

A test belongs to the rows whose ids its name begins with (``test_f10_f11_…``). A row without a test,
or with one that does not pass, is an error.
"""

from __future__ import annotations

import csv
import datetime
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.fetch.measuring import ROOT

PLAN = Path(__file__).with_name("fault_plan.tsv")
PEERS = ("pip", "huggingface_hub", "pooch", "onnx.hub 1.20", "Open Model Zoo")


def outcomes() -> dict[str, dict[str, int]]:
    """Row id → outcome → number of tests, from a run of the fault suite."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "tests/transfer", "-q", f"--junitxml={report}"]
        subprocess.run(command, cwd=ROOT, check=False)
        root = ElementTree.parse(report).getroot()
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        outcome = kinds.pop() if kinds else "passed"
        for row in rows_of(case.get("name", "")):
            found[row][outcome] += 1
    return found


def rows_of(name: str) -> list[str]:
    """The ids that a test's name, or else its parameter, begins with.

    >>> rows_of("test_f10_f11_a_busy_server"), rows_of("test_f10_f11_a_busy_server[f11_502]")
    (['F10', 'F11'], ['F11'])
    """
    parameter = re.search(r"\[(f\d\d)_", name)
    prefix = parameter or re.match(r"test_((?:f\d\d_)*)", name)
    return re.findall(r"F\d\d", prefix[1].upper()) if prefix else []


def table(found: dict[str, dict[str, int]]) -> tuple[str, list[str]]:
    """The page, and the ids of rows that are not proven."""
    lines, unproven = [], []
    with PLAN.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            counts = dict(found.get(row["id"], {}))
            if set(counts) != {"passed"}:
                unproven.append(row["id"])
            cells = [row["id"], row["fault"], row["zoo"], _shown(counts), *(row[peer] for peer in PEERS)]
            lines.append(f"| {' | '.join(cells)} |")
    return _page(lines), unproven


def _shown(counts: dict[str, int]) -> str:
    if set(counts) == {"passed"}:
        return f"y ({counts['passed']})"
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "no test"


def _page(lines: list[str]) -> str:
    return "\n".join(
        [
            "# The fault plan",
            "",
            "What may go wrong between a publisher and the store, and what `zoo` does about it. Each row is",
            "proven by tests against a server that speaks raw sockets; their names begin with the row's id",
            "(`test_f07_…` in `tests/transfer`). Written from a run of them by",
            f"`python -m benchmarks.fetch.fault_plan` on {datetime.date.today()}.",
            "",
            "*tests*: `y` passed, with their number. Peers, measured in November 2026 with the same faults",
            "on Linux and Python 3.11 (pip 26.3, huggingface_hub 2.4, pooch 1.9, onnx.hub of onnx 1.20, the",
            "downloader of Open Model Zoo): `y` right, `n` wrong, `err` an error, `—` not applicable or not",
            "run, `(C)` read in its code.",
            "",
            f"| id | fault | what `zoo` does | tests | {' | '.join(PEERS)} |",
            f"|{'---|' * (4 + len(PEERS))}",
            *lines,
            "",
        ]
    )


def main() -> int:
    """Exit code 1 where a row is not proven; the page says which."""
    text, unproven = table(outcomes())
    (ROOT / "docs" / "fault-plan.md").write_text(text)
    if unproven:
        print(f"not proven: {', '.join(unproven)}", file=sys.stderr)
    return int(bool(unproven))


if __name__ == "__main__":
    sys.exit(main())
