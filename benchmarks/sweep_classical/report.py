"""The table of a sweep, and the page that it is written to."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections import Counter, defaultdict
from importlib import import_module
from typing import Any

METHOD = """\
A model is every estimator of `sklearn.utils.all_estimators()` that answers for new rows, with option sets
and data of its own, and pipelines, text models and boosters. Each is judged on the rows it was fitted on,
fresh ones, half way between, one step beside, zero, large and with gaps, where the source answers them.
Wrong: another label, or a number that differs by more than 1e-7 (ours, rows in the fitted dtype; 1e-5
for rows or answers in float32) or 1e-3 (upstream, float32 rows as its documentation shows) of the
larger of itself and the largest answer."""
VERDICTS = ("right", "wrong", "refused", "crashed", "unloadable", "hang")


def table(records: list[dict[str, Any]]) -> str:
    """By family: how many models, and the verdicts on ours and on upstream."""
    lines = [
        "| family | models | "
        + " | ".join(f"ours {v}" for v in VERDICTS)
        + " | upstream right | wrong | other |",
        "|---" * (len(VERDICTS) + 5) + "|",
    ]
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        families[record["family"]].append(record)
    for family in sorted(families):
        lines.append(_line(family, families[family]))
    return "\n".join([*lines, _line("**all**", records)])


def _line(title: str, records: list[dict[str, Any]]) -> str:
    ours = Counter(record["ours"] for record in records)
    other = Counter(record["upstream"] for record in records)
    rest = len(records) - other["right"] - other["wrong"]
    counts = " | ".join(str(ours[verdict]) for verdict in VERDICTS)
    return f"| {title} | {len(records)} | {counts} | {other['right']} | {other['wrong']} | {rest} |"


def page(records: list[dict[str, Any]]) -> str:
    """docs/classical-sweep.md."""
    return "\n".join(
        [
            "# Classical models swept: ours against plain upstream",
            "",
            _setting(),
            "",
            table(records),
            "",
            "## What we refuse, and why",
            "",
            *_reasons(records, ("refused",)),
            "",
            "## What is wrong, crashes or hangs",
            "",
            *(_reasons(records, VERDICTS[1:2] + VERDICTS[3:]) or ["Nothing."]),
            "",
        ]
    )


def _setting() -> str:
    packages = ("sklearn", "skl2onnx", "onnxmltools", "xgboost", "lightgbm", "catboost", "onnxruntime")
    versions = ", ".join(f"{name} {import_module(name).__version__}" for name in packages)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {versions}"
    return f"Written by `make sweep-classical` on {datetime.date.today()} ({machine}).\n\n{METHOD}"


def _reasons(records: list[dict[str, Any]], verdicts: tuple[str, ...]) -> list[str]:
    """One line per reason, with the models it was given for."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record["ours"] in verdicts:
            why = re.sub(r"\s+", " ", str(record.get("why", "")))[:160]
            key = f"{record['ours']}: {why}" if len(verdicts) > 1 else why
            found[key].append(record["name"])
    return [f"- {why} — {len(names)}: {', '.join(names[:4])}" for why, names in sorted(found.items())]
