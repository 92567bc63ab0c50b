"""The verdict over all cases, and which output is the worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from zoo.records import CaseResult, OutputComparison, Tolerance, VerificationReport, record
from zoo.verification.tolerances import CLASSES, LOGISTIC, PRECISIONS, Policy

VERIFIED = "verified"
MISMATCH = "mismatch"
UNPROVEN = "unproven"


OPTIMISER_OFF = (
    "verified with ONNX Runtime's graph optimisations off, for they change what it computes: run it with"
    " ORT_DISABLE_ALL, or with ORT_ENABLE_BASIC where that agrees"
)


@record
class Evidence:
    """What stands beside the cases in a report; `versions` are those of the source's framework."""

    policy: Policy = Policy()
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    optimisation: str = "all"


DEFAULT = Evidence()


def verdict(cases: Sequence[CaseResult], evidence: Evidence = DEFAULT) -> VerificationReport:
    """``"verified"`` when every compared case passed and at least one was compared.

    ``"mismatch"`` when any failed; ``"unproven"`` when the source refused every feed.
    """
    compared = [case for case in cases if case.skipped is None]
    if any(not case.passed for case in compared):
        word = MISMATCH
    else:
        word = VERIFIED if any(_says_something(case) for case in compared) else UNPROVEN
    return VerificationReport(
        word,
        ", ".join(f"{name} {version}" for name, version in evidence.versions.items()) or "the source",
        evidence.policy.tolerance or _default_tolerance(),
        tuple(cases),
        seed=cases[0].case.seed if cases else 0,
        versions=evidence.versions,
        seconds=evidence.seconds,
        notes=(*evidence.notes, *_notes(cases, evidence)),
        tolerance_class=evidence.policy.tolerance_class,
        optimisation=evidence.optimisation,
    )


def _skipped(cases: Sequence[CaseResult]) -> Iterator[str]:
    """One note for each reason why cases were not compared."""
    reasons = dict.fromkeys(case.skipped for case in cases if case.skipped is not None)
    for reason in reasons:
        names = [case.case.name for case in cases if case.skipped == reason]
        yield f"{len(names)} of {len(cases)} cases were skipped ({', '.join(names)}): {reason[:200]}"


def _default_tolerance() -> Tolerance:
    """For orientation; the bound of each output is in its details."""
    return Tolerance(PRECISIONS["float32"].rtol, PRECISIONS["float32"].floor)


def _says_something(case: CaseResult) -> bool:
    return any(0 not in output.shape for output in case.outputs)


def _notes(cases: Sequence[CaseResult], evidence: Evidence) -> Iterator[str]:
    yield from _skipped(cases)
    flips = sum(output.details.get("near_ties", 0) for case in cases for output in case.outputs)
    if flips:
        yield f"{flips} labels differ inside the rounding noise of the scores they were decided by"
    yield from _constant_outputs(cases)
    if evidence.policy.tolerance is None:
        yield from _bases(cases)
    if evidence.optimisation != "all":
        yield OPTIMISER_OFF
    yield from dict.fromkeys(n for c in cases for o in c.outputs for n in o.details.get("notes", ()))


def _bases(cases: Sequence[CaseResult]) -> Iterator[str]:
    """What the errors were judged by."""
    bases = {output.details.get("bound", {}).get("basis") for case in cases for output in case.outputs}
    if bases & {"noise", "dtype"}:
        measured = "in units of the source's measured rounding noise" if "noise" in bases else None
        default = "by dtype, for want of a measured noise" if "dtype" in bases else None
        yield f"errors are judged {' and '.join(filter(None, (measured, default)))}"
    yield from _logistic(cases)
    for coarse in (CLASSES[basis] for basis in CLASSES if basis in bases):
        yield (
            f"tolerance class {coarse.name}: {coarse.why}; an element may be off by {coarse.most:g} steps of"
            f" 128, all of them by {coarse.rms:g} in the root mean square"
            + (f"; of large inputs {coarse.stray:.0%} by more" if coarse.stray else "")
        )


def _logistic(cases: Sequence[CaseResult]) -> Iterator[str]:
    """Probabilities all so small that what logistic kernels round is more than a hundredth of them."""
    for case, output in [(c, output) for c in cases for output in c.outputs]:
        bound, (_, largest) = output.details.get("bound", {}), output.details.get("range", (0.0, 0.0))
        if bound.get("basis") == LOGISTIC and 0 < largest < 100 * bound["atol"]:
            yield (
                f"{output.output!r} is at most {largest:.2g} in case {case.case.name}, where kernels of"
                f" logistic functions are up to {bound['atol']:.2g} off: relative errors of so small"
                " probabilities are not seen"
            )
            return


def _constant_outputs(cases: Sequence[CaseResult]) -> Iterator[str]:
    """An output that never changes proves nothing of the weights before it."""
    ranges: dict[str, tuple[float, float]] = {}
    for case in cases:
        for output in case.outputs:
            low, high = output.details.get("range", (None, None))
            if low is not None:
                before = ranges.get(output.output, (low, high))
                ranges[output.output] = (min(low, before[0]), max(high, before[1]))
    for name, (low, high) in ranges.items():
        if low == high:
            yield f"the output {name!r} was {low:g} for every feed: this proves little of what computes it"


def worst_output(report: VerificationReport) -> tuple[CaseResult, OutputComparison] | None:
    """The failed output furthest beyond its bound, else the one that used most of it."""
    pairs = [(case, output) for case in report.cases for output in case.outputs]
    return max(pairs, key=_badness, default=None)


def _badness(pair: tuple[CaseResult, OutputComparison]) -> tuple[bool, bool, float]:
    output = pair[1]
    used = float(output.details.get("used", 0.0))
    odd = not output.passed and used <= 1
    return (not output.passed, odd, used if used == used else float("inf"))
