"""``python -m benchmarks.fetch``: measure, print the table of ratios, write docs/performance-fetch.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.fetch.measuring import ROOT
from benchmarks.fetch.report import as_markdown, as_svg, verdicts
from benchmarks.fetch.scenarios import run, scenarios


def main() -> int:
    """Exit code 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="smaller files, for a look")
    parser.add_argument("--only", help="a part of a scenario's title")
    parser.add_argument(
        "--folder", type=Path, help="where files go (default: memory, where the machine has it)"
    )
    parser.add_argument("--no-docs", action="store_true", help="print only")
    options = parser.parse_args()
    parent = options.folder or next((p for p in [Path("/dev/shm")] if p.is_dir()), None)
    with (
        tempfile.TemporaryDirectory(dir=parent, prefix="zoo-bench-") as folder,
        tempfile.TemporaryDirectory(prefix="zoo-bench-") as disk,
    ):
        served = Path(folder, "served")
        served.mkdir()
        results = []
        for scenario in scenarios(served, quick=options.quick):
            if options.only is None or options.only in scenario.title:
                print(f"{scenario.title} …", file=sys.stderr)
                target = Path(disk if scenario.on_disk else folder, "got")
                results.append((scenario, run(scenario, served, target, options.rounds)))
    text = as_markdown(results, options.rounds, in_memory=options.folder is None and parent is not None)
    print(text)
    if not options.no_docs:
        (ROOT / "docs" / "performance-fetch.md").write_text(text)
        (ROOT / "docs" / "performance-fetch.svg").write_text(as_svg(results))
    return int(not all(verdict.met for verdict in verdicts(results)))


if __name__ == "__main__":
    sys.exit(main())
