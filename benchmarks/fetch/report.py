"""The measurements as a table of ratios and as a plot."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks.fetch.measuring import Series
from benchmarks.fetch.scenarios import Bound, Scenario

Results = list[tuple[Scenario, list[Series]]]


@dataclass(frozen=True)
class Verdict:
    """A bound, what was measured, and whether it holds."""

    text: str
    measured: str
    met: bool


def ratio(ours: Series, peer: Series) -> float:
    """How many times as fast as `peer`: the median over rounds, as a round shares its noise.

    Of the medians where one ran fewer rounds.
    """
    if len(ours.runs) != len(peer.runs):
        return peer.median("seconds") / ours.median("seconds")
    pairs = zip(peer.runs, ours.runs, strict=True)
    return statistics.median(other.seconds / mine.seconds for other, mine in pairs)


def verdicts(results: Results) -> list[Verdict]:
    """Every bound of every scenario whose peer was there."""
    found = []
    for scenario, series in results:
        by_name = {item.client: item for item in series}
        found += [
            _verdict(scenario, bound, by_name)
            for bound in scenario.bounds
            if {bound.ours, bound.peer} <= by_name.keys()
        ]
        if scenario.memory_limit is not None:
            peak = max(run.memory for run in by_name["zoo"].runs)
            text = f"{scenario.title}: peak memory below {scenario.memory_limit:.0f} MB"
            found.append(Verdict(text, f"{peak:.0f} MB", peak < scenario.memory_limit))
    return found


def _verdict(scenario: Scenario, bound: Bound, series: dict[str, Series]) -> Verdict:
    got = ratio(series[bound.ours], series[bound.peer])
    text = f"{scenario.title}: {bound.ours} at least {bound.ratio:g}× {bound.peer}"
    return Verdict(text, f"{got:.2f}×", got >= bound.ratio)


def as_markdown(results: Results, rounds: int, *, in_memory: bool) -> str:
    """The page docs/performance-fetch.md."""
    lines = [
        "# Fetching, measured",
        "",
        f"Written by `make bench-fetch` on {datetime.date.today()}:",
        f"{machine()}.",
        f"Median of {rounds} rounds (one of the slow clients), clients taking turns; a ratio is the",
        "median over rounds (of the medians, for the slow ones). Server and client share the machine.",
        "",
        "*Transfer* is what the client itself took: for Python clients without the start of the interpreter",
        "and the imports, for `curl` its `time_total`. *Process* is the whole command, *CPU* its user and",
        "system seconds. *Peak* memory cannot be told below the 20 MB of the process that starts a client.",
        "`zoo` hashes while it receives; where a client does not hash at all, its name says so.",
        f"Files go to {'memory (tmpfs), so that the disk is not what is measured' if in_memory else 'disk'},",
        "but for the scenarios *to disk*, where only `zoo` waits until they are on it (fsync).",
        "*A second time* measures how a client finds out, in a new process, that it has the files: `zoo` and",
        "`pooch` from the disk (`zoo` without hashing a large file again), the others ask the server.",
        "*into the store* adds locks, fsync and the final name. The *raw loop* is the limit of Python:",
        "`http.client`, `readinto` one buffer, sha256 in a second thread, `write`, and none of what makes a",
        "download safe.",
        "",
        "| bound | measured | |",
        "|---|---|---|",
        *(
            f"| {item.text} | {item.measured} | {'met' if item.met else 'missed'} |"
            for item in verdicts(results)
        ),
        "",
        "![throughput by client](performance-fetch.svg)",
    ]
    for scenario, series in results:
        lines += ["", f"## {scenario.title}", "", *_table(scenario, series)]
    return "\n".join(lines) + "\n"


def machine() -> str:
    """What the figures depend on."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.machine(),
    )
    load = f"load {os.getloadavg()[1]:.1f} at the end{_priority()}"
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} × {model}, {system}, Python {platform.python_version()}, {load}"


def _priority() -> str:
    """On a machine that others use, `chrt -r 1 make bench-fetch` measures as on a quiet one."""
    real_time = hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)
    return ", of others: clients and server had real-time priority" if real_time else ""


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _table(scenario: Scenario, series: list[Series]) -> list[str]:
    ours = next((item for item in series if item.client.startswith("zoo")), series[0])
    rows = [
        "| client | transfer s | best s | MB/s | process s | CPU s | peak MB | our speed / its |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for item in series:
        seconds = item.median("seconds")
        speed = scenario.size / seconds / 1e6
        rows.append(
            f"| {item.client} | {seconds:.2f} | {item.best('seconds'):.2f} | {speed:.0f} "
            f"| {item.median('process'):.2f} | {item.median('cpu'):.2f} | {item.median('memory'):.0f} "
            f"| {ratio(ours, item):.2f}× |"
        )
    return rows


def as_svg(results: Results) -> str:
    """Bars of MB/s, a group for each scenario."""
    parts, y = [], 10
    for scenario, series in results:
        parts.append(f'<text x="10" y="{y + 14}" font-weight="bold">{escape(scenario.title)}</text>')
        y += 22
        speeds = [(item.client, scenario.size / item.median("seconds") / 1e6) for item in series]
        top = max(speed for _, speed in speeds)
        for client, speed in speeds:
            parts.append(_bar(client, speed, top, y))
            y += 18
        y += 14
    body = "\n".join(parts)
    style = "text{font:12px sans-serif;fill:#333}.zoo{fill:#2a7}.peer{fill:#9ab}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{y}" role="img">\n'
        f"<title>MB/s by client</title><style>{style}</style>\n"
        f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _bar(client: str, speed: float, top: float, y: int) -> str:
    width = 400 * speed / top
    kind = "zoo" if client.startswith("zoo") else "peer"
    return (
        f'<text x="190" y="{y + 11}" text-anchor="end">{escape(client)}</text>'
        f'<rect class="{kind}" x="200" y="{y}" width="{width:.0f}" height="14"/>'
        f'<text x="{206 + width:.0f}" y="{y + 11}">{speed:.0f} MB/s</text>'
    )
