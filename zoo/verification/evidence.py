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
from zoo.verification.datasets import DATA_SET
from zoo.verification.feeds import EMPTY
from zoo.verification.noise import ARITHMETIC_FILE, METHOD_FILE
from zoo.verification.opinions import REFERENCE, REFUSAL, USUAL, Variant, blame, read_opinions
from zoo.verification.stored import StoredTensors
from zoo.verification.tolerances import (
    NOISE_FACTOR,
    PRECISIONS,
    TYPICAL,
    Noise,
    Policy,
    class_of,
    noise_level,
)
from zoo.verification.verdict import Evidence, verdict

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

    import numpy as np

    from zoo.jobs import CaseFile, CaseList
    from zoo.records import FeedCase, SourceDescription, Tolerance, VerificationReport


@record
class Answers:
    """What one worker did: its cases and the folder with their files.

    `more` are folders with noise, outputs or opinions that were asked for later.
    """

    cases: CaseList
    folder: Path
    more: tuple[Path, ...] = ()
    optimisation: str = "all"

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.folder, *self.more)


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
    policy = replace(
        policy,
        tolerance_class=policy.tolerance_class or class_of(description),
        precision=policy.precision or description.arithmetic or _said(source, ARITHMETIC_FILE, PRECISIONS),
    )
    criteria = Criteria(description.roles, policy, noise_levels(source, scales), scales)
    asked = [file for file in source.cases.cases if not _refused_empty(file, ran)]
    cases = [_compared(file, ran.get(file.number), (source, runtime), criteria) for file in asked]
    opinions, culprit = _opinions(source, runtime, criteria, cases)
    cases += opinions
    seconds = sum(source.cases.seconds.values()) + sum(runtime.cases.seconds.values())
    notes = [*description.notes, *_data_sets(source), *_empty(source, ran), *_refusals(runtime)]
    notes += [] if culprit is None else [f"at fault: {culprit}"]
    evidence = Evidence(policy, description.versions, tuple(notes), seconds, runtime.optimisation)
    return verdict(cases, evidence)


def unmeasured(source: Answers, report: VerificationReport) -> tuple[int, ...]:
    """Numbers of the failed cases whose noise was not measured, though it can be."""
    if _method(source) is None:
        return ()
    failed = {case.case for case in report.cases if case.error is None and not case.passed}
    return tuple(
        file.number for file in source.cases.cases if file.case in failed and not _noise_of(source, file)
    )


def _refused_empty(file: CaseFile, ran: Mapping[int, CaseFile]) -> bool:
    """Many honest graphs refuse an empty batch; that is told, and no mismatch."""
    answer = ran.get(file.number)
    return file.case.family == EMPTY and (answer is None or answer.refusal is not None)


def _empty(source: Answers, ran: Mapping[int, CaseFile]) -> list[str]:
    answers = [ran.get(file.number) for file in source.cases.cases if file.case.family == EMPTY]
    refused = [answer.refusal for answer in answers if answer is not None and answer.refusal is not None]
    return [f"the source answers an empty batch, ONNX Runtime does not: {reason}" for reason in refused]


def _data_sets(source: Answers) -> list[str]:
    names = [file.case.name for file in source.cases.cases if file.case.family == DATA_SET]
    return [f"the outputs that came with {', '.join(names)} are the reference there"] if names else []


def _opinions(
    source: Answers, runtime: Answers, criteria: Criteria, usual: list[CaseResult]
) -> tuple[list[CaseResult], str | None]:
    """Some cases as other ways to run the graph answer them, and whose fault a difference is."""
    cases: list[CaseResult] = []
    right: dict[Variant, bool] = {}
    asked: set[FeedCase] = set()
    witnesses: list[CaseResult] = []
    for variant, folders in _opinion_folders(runtime).items():
        found = [
            (file, _opinion(file, variant, (source, folder), criteria))
            for file in source.cases.cases
            for folder in folders
            if (folder / file.name).is_file()
        ]
        if found:
            right[variant] = all(case.passed for _, case in found)
            asked |= {file.case for file, _ in found}
            # The reference evaluator is a witness, not a way in which the graph will be run.
            cases += [case for _, case in found] if variant.optimisation != REFERENCE else []
            witnesses += [] if variant.optimisation != REFERENCE else [case for _, case in found]
    if right:
        judged = [case for case in usual if case.case in asked]
        right[USUAL] = all(case.passed for case in judged)
        if witnesses:
            right[Variant(REFERENCE)] = _clearly_right(witnesses, [*judged, *cases])
    return list({case.case: case for case in cases}.values()), blame(right)


def _clearly_right(witnesses: list[CaseResult], runs: list[CaseResult]) -> bool:
    """Whether the witness agrees with the source, and is not off by about as much as the runs that do not."""
    failed = [_used(case) for case in runs if not case.passed]
    near = min((used for used in failed if used > 1), default=float("inf"))
    return all(case.passed and _used(case) < near / 2 for case in witnesses)


def _used(case: CaseResult) -> float:
    """The largest share of its bound that an output uses."""
    return max((float(output.details.get("used", 0.0)) for output in case.outputs), default=0.0)


def _opinion_folders(runtime: Answers) -> dict[Variant, list[Path]]:
    folders: dict[Variant, list[Path]] = {}
    for place in runtime.folders:
        for variant, folder in read_opinions(place).items():
            folders.setdefault(variant, []).append(folder)
    return folders


def _refusals(runtime: Answers) -> list[str]:
    """Ways in which the graph does not run; it is not wrong for that."""
    reasons = []
    for variant, folders in _opinion_folders(runtime).items():
        for refusal in [folder / REFUSAL for folder in folders if (folder / REFUSAL).is_file()][:1]:
            reasons.append(f"{variant.name}: {refusal.read_text(encoding='utf-8')}")
    return reasons


def _opinion(file: CaseFile, variant: Variant, sides: tuple[Answers, Path], criteria: Criteria) -> CaseResult:
    expected = StoredTensors(sides[0].folder / "outputs" / file.name)
    case = replace(file.case, name=f"{file.case.name}, {variant.name}")
    return compare(case, expected, StoredTensors(sides[1] / file.name), _with_noise(criteria, sides[0], file))


def _with_noise(criteria: Criteria, source: Answers, file: CaseFile) -> Criteria:
    measured = _noise_of(source, file)
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
    """The usual noise of each output over all elements of the typical cases, relative to its largest.

    Over all, and not the most of any: a case of one row may by chance have an answer near zero.
    """
    method = _method(source)
    if method is None:
        return {}
    squares: dict[str, list[tuple[int, float]]] = {}
    for file in source.cases.cases:
        if file.refusal is None and file.case.family in TYPICAL:
            answers = StoredTensors(source.folder / "outputs" / file.name)
            for name, values in _noise_of(source, file).items():
                scale = scales.get(name, 0.0) if answers[name].dtype.kind == "f" else 0.0
                squares.setdefault(name, []).append((values.size, noise_level(values, scale)))
    return {name: Noise(method, _pooled(found)) for name, found in squares.items()}


def _pooled(found: list[tuple[int, float]]) -> float:
    """The root mean square of all elements, from the number and the root mean square of each part's."""
    count = sum(size for size, _ in found)
    return float((sum(size * level**2 for size, level in found) / count) ** 0.5) if count else 0.0


def _method(source: Answers) -> str | None:
    return _said(source, METHOD_FILE, NOISE_FACTOR)


def _said(source: Answers, name: str, known: Container[str]) -> str | None:
    """One word that the noise meter left in a file; a worker that nobody trusts wrote it."""
    path = source.folder / "noise" / name
    word = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    return word if word in known else None


def _noise_of(source: Answers, file: CaseFile) -> Mapping[str, np.ndarray]:
    paths = [folder / "noise" / file.name for folder in source.folders]
    return next((StoredTensors(path) for path in paths if path.is_file()), {})


def _compared(
    asked: CaseFile, ran: CaseFile | None, sides: tuple[Answers, Answers], criteria: Criteria
) -> CaseResult:
    if asked.refusal is not None:
        return CaseResult(asked.case, skipped=asked.refusal)
    if ran is None or ran.refusal is not None:
        reason = "nothing" if ran is None else ran.refusal
        return CaseResult(asked.case, error=f"the source answers, the graph does not: {reason}")
    expected = StoredTensors(sides[0].folder / "outputs" / asked.name)
    places = [folder / "outputs" / asked.name for folder in sides[1].folders]
    actual = StoredTensors(next((path for path in places if path.is_file()), places[0]))
    return compare(asked.case, expected, actual, _with_noise(criteria, sides[0], asked))
