"""A verdict as people and machines read it: a plain table, JSON, JUnit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from zoo import wire
from zoo.verification.verdict import VERIFIED, worst_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.records import CaseResult, OutputComparison, VerificationReport

WIDTH = 100
_HEADINGS = ("case", "output", "max abs", "p99.9", "max rel", "ulp", "of bound", "verdict")
_WIDTHS = (18, 20, 9, 9, 9, 9, 9, 8)


def text(report: VerificationReport) -> str:
    """A table of at most 100 columns: one line for each output of each case, then what to know."""
    lines = [_row(_HEADINGS), "-" * WIDTH]
    before: list[str] = []
    for case in report.cases:
        reason = _wrapped(f"{case.skipped or case.error}")
        lines += _case_lines(case, ["  the same"] if reason == before else reason)
        before = reason if case.skipped is not None or case.error is not None else []
    lines.append("-" * WIDTH)
    lines += [line for note in report.notes for line in _wrapped(f"note: {note}")]
    lines.append(summary(report))
    if not report.passed:
        lines += _wrapped(f"worst: {worst(report)}")
    return "\n".join(lines)


def summary(report: VerificationReport) -> str:
    """The verdict in one line."""
    compared = [case for case in report.cases if case.skipped is None]
    failed = sum(not case.passed for case in compared)
    count = f"{len(compared)} cases" if not failed else f"{failed} of {len(compared)} cases differ"
    named = [] if report.tolerance_class is None else [f"tolerance class {report.tolerance_class}"]
    named += [] if report.optimisation == "all" else [f"graph optimisations {report.optimisation}"]
    known = [f"against {report.reference}", f"seed {report.seed}", *named]
    return f"{report.verdict}: {count}, {', '.join(known)}"


def worst(report: VerificationReport) -> str:
    """The worst output and what is wrong with it, in one sentence."""
    errors = [case for case in report.cases if case.error is not None]
    pair = worst_output(report)
    if pair is not None and not pair[1].passed:
        return f"output {pair[1].output!r} in case {pair[0].case.name}: {pair[1].reason}"
    if errors:
        return f"case {errors[0].case.name}: {errors[0].error}"
    if report.verdict != VERIFIED:
        return "the source refused every feed, so nothing was compared"
    if pair is None or "used" not in pair[1].details:
        return "no output has an error"
    used = pair[1].details["used"]
    return f"output {pair[1].output!r} in case {pair[0].case.name} uses {used:.2g} of its bound"


def as_json(report: VerificationReport) -> str:
    """The whole report; `zoo.wire.loads` reads it back."""
    return wire.dumps(report)


def junit(reports: Mapping[str, VerificationReport]) -> str:
    """JUnit XML: a suite for each model by name, a test case for each case."""
    root = ElementTree.Element("testsuites")
    for name, report in reports.items():
        _suite(root, name, report)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, name: str, report: VerificationReport) -> None:
    failed = sum(not case.passed for case in report.cases)
    skipped = sum(case.skipped is not None for case in report.cases)
    counts = {"tests": len(report.cases), "failures": failed, "errors": 0, "skipped": skipped}
    attributes = {"name": printable(name), **{key: str(count) for key, count in counts.items()}}
    suite = ElementTree.SubElement(root, "testsuite", {**attributes, "time": f"{report.seconds:.3f}"})
    for case in report.cases:
        element = ElementTree.SubElement(
            suite, "testcase", classname=printable(name), name=printable(case.case.name)
        )
        if case.skipped is not None:
            ElementTree.SubElement(element, "skipped", message=printable(case.skipped))
        elif not case.passed:
            reasons = _reasons(case)
            ElementTree.SubElement(element, "failure", message=printable(reasons[0])).text = printable(
                "\n".join(reasons)
            )


def _reasons(case: CaseResult) -> Sequence[str]:
    if case.error is not None:
        return [case.error]
    return [f"{output.output}: {output.reason}" for output in case.outputs if not output.passed]


def printable(value: str) -> str:
    """Without the control characters that XML cannot hold; names of outputs come from files."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in value)


def _case_lines(case: CaseResult, reason: list[str]) -> list[str]:
    """The lines of a case; a name that is too long for its column has one of its own."""
    name, above = case.case.name, []
    if len(name) > _WIDTHS[0]:
        name, above = "", [printable(name)[:WIDTH]]
    if case.skipped is not None or case.error is not None:
        word = "skipped" if case.skipped is not None else "FAILED"
        return [*above, _row((name, *[""] * 6, word)), *reason]
    return [*above, *[line for output in case.outputs for line in _output_lines(name, output)]]


def _output_lines(case_name: str, output: OutputComparison) -> list[str]:
    details = output.details
    if output.agreement is not None and output.max_abs is None:
        numbers = [f"{output.agreement:.2%}", "", "", "", ""]
    else:
        values = (output.max_abs, details.get("p999_abs"), output.max_rel)
        numbers = [_short(value) for value in (*values, details.get("ulp_max"), details.get("used"))]
    word = "ok" if output.passed else "FAILED"
    row = _row((case_name, output.output, *numbers, word))
    return [row] if output.passed else [row, *_wrapped(output.reason or "")]


def _short(value: float | None) -> str:
    return "" if value is None else "0" if value == 0 else f"{value:.2g}" if value < 1e5 else f"{value:.1e}"


def _row(cells: Sequence[str]) -> str:
    texts = [
        _cut(printable(cell).replace("\n", " "), width) for cell, width in zip(cells, _WIDTHS, strict=True)
    ]
    left = [cell.ljust(width) for cell, width in zip(texts[:2], _WIDTHS, strict=False)]
    right = [cell.rjust(width) for cell, width in zip(texts[2:], _WIDTHS[2:], strict=True)]
    return " ".join([*left, *right]).rstrip()


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


def _wrapped(line: str) -> list[str]:
    import textwrap

    return textwrap.wrap(printable(line), WIDTH, initial_indent="  ", subsequent_indent="    ")
