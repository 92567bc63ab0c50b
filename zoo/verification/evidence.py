"""What two workers wrote, compared: the source's answers in one folder, the graph's in another.

::

    source/outputs/NNN.npz   the source's answers
    source/noise/NNN.npz     its rounding noise, where measured, and ``source/noise/method``
    runtime/outputs/NNN.npz  the graph's answers
    runtime/opinions/…       some of them again, from other ways to run it
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zoo.records import CaseResult, record
from zoo.verification.comparison import Criteria, compare, magnitude
from zoo.verification.noise import METHOD_FILE
from zoo.verification.opinions import REFERENCE, REFUSAL, USUAL, Variant, blame, chosen, read_opinions
from zoo.verification.stored import StoredTensors
from zoo.verification.tolerances import NOISE_FACTOR, QUIET, Noise, Policy, noise_level
from zoo.verification.verdict import Evidence, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from zoo.jobs import CaseFile, CaseList
    from zoo.records import SourceDescription, Tolerance, VerificationReport

TYPICAL = ("typical", "sample")


@record
class Answers:
    """What one worker did: its cases and the folder with their files."""

    cases: CaseList
    folder: Path


def compare_cases(
    asked: CaseList,
    ran: CaseList,
    source: Path,
    runtime: Path,
    description: SourceDescription,
    tolerance: Tolerance | None,
) -> VerificationReport:
    """`judge` for callers that have folders and a tolerance."""
    return judge(Answers(asked, source), Answers(ran, runtime), description, Policy(tolerance))


def judge(
    source: Answers, runtime: Answers, description: SourceDescription, policy: Policy
) -> VerificationReport:
    """Compare all cases. One that the source refused is skipped; one that only the graph refused failed."""
    ran = {file.number: file for file in runtime.cases.cases}
    scales = typical_scales(source)
    criteria = Criteria(description.roles, policy, noise_levels(source, scales), scales)
    cases = [
        _compared(file, ran.get(file.number), (source.folder, runtime.folder), criteria)
        for file in source.cases.cases
    ]
    opinions, culprit = _opinions(source, runtime, criteria, cases)
    cases += opinions
    seconds = sum(source.cases.seconds.values()) + sum(runtime.cases.seconds.values())
    notes = [*description.notes, *_refusals(runtime), *([] if culprit is None else [f"at fault: {culprit}"])]
    return verdict(cases, Evidence(policy, description.versions, tuple(notes), seconds))


def _opinions(
    source: Answers, runtime: Answers, criteria: Criteria, usual: list[CaseResult]
) -> tuple[list[CaseResult], str | None]:
    """The chosen cases as other ways to run the graph answer them, and whose fault a difference is."""
    cases: list[CaseResult] = []
    right: dict[Variant, bool] = {}
    for variant, folder in read_opinions(runtime.folder).items():
        answered = [file for file in source.cases.cases if (folder / file.name).is_file()]
        found = [_opinion(file, variant, (source.folder, folder), criteria) for file in answered]
        if found:
            right[variant] = all(case.passed for case in found)
            # The reference evaluator is a witness, not a way in which the graph will be run.
            cases += found if variant.optimisation != REFERENCE else []
    if right:
        numbers = {file.case for file in chosen(source.cases.cases)}
        right[USUAL] = all(case.passed for case in usual if case.case in numbers)
    return cases, blame(right)


def _refusals(runtime: Answers) -> list[str]:
    """Ways in which the graph does not run; it is not wrong for that."""
    reasons = []
    for variant, folder in read_opinions(runtime.folder).items():
        if (folder / REFUSAL).is_file():
            reasons.append(f"{variant.name}: {(folder / REFUSAL).read_text(encoding='utf-8')}")
    return reasons


def _opinion(file: CaseFile, variant: Variant, folders: tuple[Path, Path], criteria: Criteria) -> CaseResult:
    expected, actual = (
        StoredTensors(folders[0] / "outputs" / file.name),
        StoredTensors(folders[1] / file.name),
    )
    case = replace(file.case, name=f"{file.case.name}, {variant.name}")
    return compare(case, expected, actual, _with_noise(criteria, folders[0], file))


def _with_noise(criteria: Criteria, folder: Path, file: CaseFile) -> Criteria:
    measured = _noise_of(folder, file)
    noise = {name: replace(usual, values=measured.get(name)) for name, usual in criteria.noise.items()}
    return replace(criteria, noise=noise)


def typical_scales(source: Answers) -> dict[str, float]:
    """The largest finite magnitude of each numeric output in the source's answers to typical feeds."""
    scales: dict[str, float] = {}
    for file in source.cases.cases:
        if file.refusal is None and file.case.family in TYPICAL:
            for name, array in StoredTensors(source.folder / "outputs" / file.name).items():
                if array.dtype.kind in "fiub":
                    scales[name] = max(scales.get(name, 0.0), magnitude(array))
    return scales


def noise_levels(source: Answers, scales: dict[str, float]) -> dict[str, Noise]:
    """The usual noise of each output, relative to its largest element: the most over the typical cases."""
    method = _method(source.folder)
    if method is None:
        return {}
    levels: dict[str, Noise] = {}
    for file in source.cases.cases:
        if file.case.family in TYPICAL:
            answers = StoredTensors(source.folder / "outputs" / file.name)
            for name, values in _noise_of(source.folder, file).items():
                if answers[name].dtype.kind != "f":
                    levels[name] = Noise(method, 0.0)
                    continue
                own = max(magnitude(answers[name]), QUIET * scales.get(name, 0.0))
                level = noise_level(values, own)
                levels[name] = Noise(method, max(level, levels[name].level if name in levels else 0.0))
    return levels


def _method(folder: Path) -> str | None:
    path = folder / "noise" / METHOD_FILE
    method = path.read_text(encoding="utf-8").strip() if path.is_file() else None
    return method if method in NOISE_FACTOR else None


def _noise_of(folder: Path, file: CaseFile) -> Mapping[str, np.ndarray]:
    path = folder / "noise" / file.name
    return StoredTensors(path) if path.is_file() else {}


def _compared(
    asked: CaseFile, ran: CaseFile | None, folders: tuple[Path, Path], criteria: Criteria
) -> CaseResult:
    if asked.refusal is not None:
        return CaseResult(asked.case, skipped=asked.refusal)
    if ran is None or ran.refusal is not None:
        reason = "nothing" if ran is None else ran.refusal
        return CaseResult(asked.case, error=f"the source answers, the graph does not: {reason}")
    expected = StoredTensors(folders[0] / "outputs" / asked.name)
    actual = StoredTensors(folders[1] / "outputs" / asked.name)
    return compare(asked.case, expected, actual, _with_noise(criteria, folders[0], asked))
