"""One HTML page for a report: self-contained, no scripts, plots as inline SVG, readable in print and in
the dark."""

from __future__ import annotations

import html as markup
from typing import TYPE_CHECKING, Any

from zoo.verification.report import printable, summary, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zoo.records import CaseResult, OutputComparison, VerificationReport

_STYLE = """
:root { color-scheme: light dark; --bar: #4a78c2; --bad: #c23b3b; --good: #2c8a4b; --faint: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .15rem .5rem; border-bottom: 1px solid var(--faint) }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left }
.ok { color: var(--good) } .failed { color: var(--bad); font-weight: 600 }
.verdict { font-size: 1.2rem } .reason { text-align: left; color: var(--bad) }
figure { margin: 1rem 0; display: inline-block } figcaption { font-size: .85rem }
svg text { font: 10px system-ui, sans-serif; fill: currentColor }
"""
_WIDTH, _HEIGHT, _FOOT = 460, 130, 24


def escape(text: str) -> str:
    """Text from a file as HTML: escaped, and without control characters."""
    return markup.escape(printable(text))


def page(report: VerificationReport, title: str) -> str:
    """The page. Everything that comes from a file (names, reasons) is escaped."""
    body = "\n".join(
        [
            f"<h1>{escape(title)}</h1>",
            f'<p class="verdict {_class(report.passed)}">{escape(summary(report))}</p>',
            f"<p>Worst: {escape(worst(report))}</p>",
            *[f"<p>Note: {escape(note)}</p>" for note in report.notes],
            *[_output_section(name, outputs) for name, outputs in _by_output(report).items()],
            "<h2>All cases</h2>",
            _table(report),
        ]
    )
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _by_output(report: VerificationReport) -> dict[str, list[Any]]:
    outputs: dict[str, list[Any]] = {}
    for case in report.cases:
        for output in case.outputs:
            outputs.setdefault(output.output, []).append((case, output))
    return outputs


def _output_section(name: str, pairs: Sequence[Any]) -> str:
    figures = []
    used = [(case.case.name, o.details["used"]) for case, o in pairs if "used" in o.details]
    if used:
        figures.append(_figure("share of the bound that each case used", _bars(used)))
        figures.append(_figure("errors by power of ten", _bars(_decades(pairs))))
        figures.append(_figure("errors in units in the last place", _bars(_ulps(pairs))))
    labels = [(case.case.name, 1 - o.agreement) for case, o in pairs if o.agreement is not None]
    if labels and not used:
        figures.append(_figure("share of labels that differ", _bars(labels)))
    return f"<h2>{escape(name)}</h2>\n" + "\n".join(figures)


def _decades(pairs: Sequence[Any]) -> list[tuple[str, float]]:
    counts: dict[int, int] = {}
    none = 0
    for _, output in pairs:
        for exponent, count in output.details.get("errors_by_decade", ()):
            if exponent is None:
                none += count
            else:
                counts[exponent] = counts.get(exponent, 0) + count
    span = range(min(counts), max(counts) + 1) if counts else ()
    return [("0", float(none)), *[(f"1e{exponent}", float(counts.get(exponent, 0))) for exponent in span]]


def _ulps(pairs: Sequence[Any]) -> list[tuple[str, float]]:
    totals: list[int] = []
    for _, output in pairs:
        ulps = output.details.get("ulps", [])
        totals += [0] * (len(ulps) - len(totals))
        for index, count in enumerate(ulps):
            totals[index] += count
    return [("0" if i == 0 else f"{2 ** (i - 1)}", float(count)) for i, count in enumerate(totals)]


def _figure(caption: str, svg: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _bars(values: Sequence[tuple[str, float]]) -> str:
    """A bar chart; counts and shares beyond two decades are drawn on a logarithmic scale."""
    heights = _heights([value for _, value in values])
    step = _WIDTH / max(1, len(values))
    parts = []
    for i, (label, value) in enumerate(values):
        height = heights[i] * (_HEIGHT - _FOOT - 14)
        x, y = i * step, _HEIGHT - _FOOT - height
        tip = f"<title>{escape(label)}: {value:.3g}</title>"
        box = f'x="{x + 1:.1f}" y="{y:.1f}" width="{max(1.0, step - 2):.1f}" height="{height:.1f}"'
        parts.append(f'<rect {box} style="fill:var(--bar)">{tip}</rect>')
        if len(values) <= 24:
            place = f'x="{x + step / 2:.1f}" y="{_HEIGHT - 10}" text-anchor="middle"'
            parts.append(f"<text {place}>{escape(label[: max(3, int(step / 6))])}</text>")
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img">{"".join(parts)}</svg>'


def _heights(values: Sequence[float]) -> list[float]:
    from math import log10

    positive = [value for value in values if value > 0]
    if not positive:
        return [0.0] * len(values)
    low, high = min(positive), max(positive)
    if high / low < 100:
        return [value / high for value in values]
    floor = log10(low) - 0.3
    return [(log10(value) - floor) / (log10(high) - floor) if value > 0 else 0.0 for value in values]


def _table(report: VerificationReport) -> str:
    numbers = ("max abs", "p99.9", "max rel", "ulp", "cosine", "SQNR dB", "agreement", "of bound")
    head = "".join(f"<th>{text}</th>" for text in ("case", "output", *numbers, "verdict"))
    rows = "\n".join(row for case in report.cases for row in _rows(case))
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"


def _rows(case: CaseResult) -> Iterator[str]:
    if case.skipped is not None or case.error is not None:
        word = "skipped" if case.skipped is not None else "failed"
        text = escape(case.skipped or case.error or "")
        name = f"<td>{escape(case.case.name)}</td>"
        yield f'<tr>{name}<td colspan="9">{text}</td><td class="{word}">{word}</td></tr>'
        return
    for output in case.outputs:
        yield _row(case, output)


def _row(case: CaseResult, output: OutputComparison) -> str:
    details = output.details
    numbers = (output.max_abs, details.get("p999_abs"), output.max_rel, details.get("ulp_max"), output.cosine)
    more = (details.get("sqnr_db"), output.agreement, details.get("used"))
    cells = "".join(f"<td>{'' if value is None else f'{value:.4g}'}</td>" for value in (*numbers, *more))
    word = "ok" if output.passed else "failed"
    names = f"<td>{escape(case.case.name)}</td><td>{escape(output.output)}</td>"
    row = f'{names}{cells}<td class="{word}">{word}</td>'
    reason = f'<tr><td class="reason" colspan="11">{escape(output.reason or "")}</td></tr>'
    return f"<tr>{row}</tr>" + ("" if output.passed else reason)


def _class(passed: bool) -> str:
    return "ok" if passed else "failed"
