"""How records look on a terminal: plain text, no colours, one fact a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from zoo import wire
from zoo.records import RegistryEntry, Signature, VerificationReport, VerifiedModel


def print_json(value: Any) -> None:
    """Records, tuples and mappings as one JSON document."""
    click.echo(json.dumps(wire.to_json(value), indent=2, ensure_ascii=False))


def fields(record: Any) -> dict[str, Any]:
    """A record as a mapping."""
    found: dict[str, Any] = wire.to_json(record)
    return found


def table(rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Columns aligned to the left, two blanks between them."""
    lines = [list(header), *map(list, rows)] if header else [*map(list, rows)]
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def size(number: int | None) -> str:
    """Bytes for people: ``3.0 MiB``."""
    if number is None:
        return "?"
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def signature(signature: Signature) -> list[tuple[str, str]]:
    """One row for each input and output."""
    inputs = [("input", str(spec)) for spec in signature.inputs]
    return inputs + [("output", str(spec)) for spec in signature.outputs]


def verdict(report: VerificationReport | None) -> str:
    """One line: what was proven, against what."""
    if report is None:
        return "not verified"
    from zoo.verification.report import summary

    return summary(report)


def verified(model: VerifiedModel) -> str:
    """What a pull or a conversion gave."""
    onnx = model.model
    rows = [
        ("path", str(onnx.path)),
        ("sha256", onnx.digest),
        ("size", size(onnx.size)),
        ("opset", f"{onnx.opset} (IR {onnx.ir_version})"),
        *signature(onnx.signature),
    ]
    if model.entry is not None:
        rows.append(("licence", licence(model.entry)))
    if model.report is not None and model.report.environment is not None:
        rows.append(("environment", str(model.report.environment)))
    rows.append(("proof", verdict(model.report)))
    return table(rows)


def licence(entry: RegistryEntry) -> str:
    """The licences that differ, each with what it is of."""
    parts = {"code": entry.licence.code, "weights": entry.licence.weights, "data": entry.licence.data}
    known = {what: name for what, name in parts.items() if name}
    if len(set(known.values())) == 1:
        return next(iter(known.values()))
    return ", ".join(f"{name} ({what})" for what, name in known.items()) or "unknown"


def entries(found: Iterable[RegistryEntry]) -> str:
    """The registry as a table."""
    rows = [
        (
            str(entry.ref),
            entry.kind,
            entry.task,
            size(sum(file.size or 0 for file in entry.files)),
            licence(entry),
        )
        for entry in found
    ]
    return table(rows, ("MODEL", "KIND", "TASK", "SIZE", "LICENCE"))


def _long_work(stage: str) -> None:
    if stage.startswith("environment "):
        click.echo(stage, err=True)


def stages(quiet: bool, as_json: bool) -> Callable[[str], None] | None:
    """A line on the terminal that names the stage at work; None where nobody would see it.

    That an environment is built is also said where there is no terminal.
    """
    if quiet or as_json:
        return None
    if not sys.stderr.isatty():
        return _long_work
    from zoo.cli.progress import StageLine

    return StageLine()
