"""A mismatch is looked at again before it is final: is it the source's own noise, and whose fault is it?

The first look asks for no more than an honest conversion needs. Where it fails, the noise of just the cases
that failed is measured; then the graph is run in every way there is, which tells converter, optimiser and
kernel apart; and an int8 graph that only the optimiser changes is verified without it, and said to be so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.jobs import NOISE, OPINIONS, RUN, CaseList, Job
from zoo.records import record

if TYPE_CHECKING:
    from zoo.records import SourceDescription, VerificationReport
    from zoo.verification.evidence import Answers
    from zoo.verification.tolerances import Policy

Again = Callable[[Job], Path]
"""Runs a job over the same source, graph and cases; gives the folder of what it left."""
QUANTISED = "quantised"


@record
class Hearing:
    """Both sides, what is known of them, and who can be asked again."""

    source: Answers
    runtime: Answers
    description: SourceDescription
    policy: Policy
    again: Again
    read_cases: Callable[[Path], CaseList]
    apart: bool = True
    """Whether `again` runs the graph in another process."""

    def report(self) -> VerificationReport:
        """The judgement of what has been heard so far."""
        from zoo.verification.evidence import judge

        return judge(self.source, self.runtime, self.description, self.policy)


def decided(hearing: Hearing) -> tuple[VerificationReport, Hearing]:
    """The final report, and what was heard for it."""
    hearing = _with_empty(hearing)
    report = hearing.report()
    for look in (_with_noise, _with_opinions, _without_optimiser):
        if report.verdict == "mismatch":
            hearing, report = look(hearing, report)
    return report, hearing


def _with_empty(hearing: Hearing) -> Hearing:
    """Feed the graph the empty batch, in a process of its own: kernels have been seen to end it."""
    from zoo.verification.feeds import EMPTY

    files = [file for file in hearing.source.cases.cases if file.case.family == EMPTY]
    if not files or not hearing.apart:
        return hearing
    runtime, more = hearing.runtime, list(hearing.runtime.more)
    try:
        more.append(hearing.again(Job(RUN, numbers=tuple(file.number for file in files))))
        found = hearing.read_cases(more[-1]).cases
    except ZooError as error:
        found = tuple(replace(file, refusal=error.message) for file in files)
    cases = replace(runtime.cases, cases=(*runtime.cases.cases, *found))
    return replace(hearing, runtime=replace(runtime, cases=cases, more=tuple(more)))


Heard = tuple[Hearing, "VerificationReport"]


def _with_noise(hearing: Hearing, report: VerificationReport) -> Heard:
    """Measure the source's noise in the cases that failed."""
    from zoo.verification.evidence import unmeasured

    numbers = unmeasured(hearing.source, report)
    if not numbers:
        return hearing, report
    more = (*hearing.source.more, hearing.again(Job(NOISE, numbers=numbers)))
    hearing = replace(hearing, source=replace(hearing.source, more=more))
    return hearing, hearing.report()


def _with_opinions(hearing: Hearing, report: VerificationReport) -> Heard:
    """Run the smallest case that failed in every way; what cannot be had is said and changes nothing."""
    from zoo.verification.bisection import failing_case

    case = failing_case(report)
    numbers = tuple(file.number for file in hearing.source.cases.cases if file.case == case)
    if not numbers:
        return hearing, report
    try:
        more = (*hearing.runtime.more, hearing.again(Job(OPINIONS, numbers=numbers)))
    except ZooError as error:
        note = f"the graph could not be run in other ways: {error.message}"
        return hearing, replace(report, notes=(*report.notes, note))
    hearing = replace(hearing, runtime=replace(hearing.runtime, more=more))
    return hearing, hearing.report()


def _without_optimiser(hearing: Hearing, report: VerificationReport) -> Heard:
    """Judge an int8 graph as it is written where the optimiser is what makes the difference."""
    from zoo.verification.evidence import Answers

    blamed = [note for note in report.notes if note.startswith("at fault: ONNX Runtime's optimiser")]
    if report.tolerance_class != QUANTISED or not blamed:
        return hearing, report
    folder = hearing.again(Job(RUN, optimisation="none"))
    plain = replace(hearing, runtime=Answers(hearing.read_cases(folder), folder, optimisation="none"))
    found = plain.report()
    return (plain, replace(found, notes=(*found.notes, *blamed))) if found.passed else (hearing, report)
