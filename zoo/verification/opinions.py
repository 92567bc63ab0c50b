"""Third opinions: the same graph run in other ways, and whose fault a difference is.

A graph is right only if every way to run it is: optimised or not, on one thread or several, twice in
a row. Where one way differs, the pair that disagrees names the culprit (see `blame`).
"""

from __future__ import annotations

import os
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence

from zoo.errors import ZooError
from zoo.records import record
from zoo.tensors import load_tensors, save_tensors
from zoo.verification.feeds import EMPTY, MANY_ROWS
from zoo.verification.runtime import Session, first_line
from zoo.verification.tolerances import TYPICAL

if TYPE_CHECKING:
    from zoo.jobs import CaseFile
    from zoo.records import TensorSpec
    from zoo.tensors import Tensors

FOLDER = "opinions"
REFUSAL = "refusal.txt"
REFERENCE = "reference"
"""The reference evaluator of the onnx package: plain numpy, slow, with no optimiser and no kernels."""
MAX_REFERENCE_NODES = 2000
MAX_REFERENCE_ELEMENTS = 100_000


@record
class Variant:
    """A way to run a graph. `threads` 0 means all of the machine's, at least two."""

    optimisation: str
    threads: int = 1
    repeat: int = 0

    @property
    def name(self) -> str:
        if self.optimisation == REFERENCE:
            return REFERENCE
        parts = [f"optimisation {self.optimisation}"]
        parts += ["several threads"] if self.threads != 1 else []
        parts += [f"run {self.repeat + 1}"] if self.repeat else []
        return ", ".join(parts)

    @property
    def slug(self) -> str:
        return f"{self.optimisation}-{self.threads}-{self.repeat}"


USUAL = Variant("all")
"""How the verifier runs every case."""
QUICK = (Variant("none"), Variant("all", threads=0), Variant("all", repeat=1))
THOROUGH = (
    Variant("none"),
    Variant("basic"),
    Variant("extended"),
    Variant("none", threads=0),
    Variant("all", threads=0),
    Variant("all", repeat=1),
    Variant(REFERENCE),
)


def chosen(files: Sequence[CaseFile]) -> list[CaseFile]:
    """The cases that are run in other ways too: the typical one of few rows, and of several."""
    answered = [file for file in files if file.refusal is None and file.case.family != EMPTY]
    typical = [file for file in answered if file.case.family in TYPICAL]
    usual = [file for file in typical if file.case.batch != MANY_ROWS] or typical
    picked = [*[file for file in usual if file.case.batch > 1][:1], *usual[-1:]] or answered[:1]
    return list({file.number: file for file in picked}.values())


@record
class Asking:
    """What is run in other ways: the graph in a file, cases of the folder `cases`, answers to `out`.

    `usual` is a session that ran them already: a second run needs no other.
    """

    model: Path
    files: Sequence[CaseFile]
    cases: Path
    out: Path
    usual: Optional[Session] = None
    constants: Mapping[str, Any] = field(default_factory=dict)

    def feeds(self, file: CaseFile, inputs: Sequence[TensorSpec]) -> Tensors:
        """The feeds of a case as the graph with these `inputs` takes them."""
        from zoo.verification.matching import adapted_feeds

        return adapted_feeds(load_tensors(self.cases / "feeds" / file.name), inputs, self.constants)


def write_opinions(asking: Asking, variants: Sequence[Variant] = QUICK) -> None:
    """Run the cases in other ways; answers go to ``out/opinions``.

    A way in which the graph does not run at all leaves a ``refusal.txt`` with the reason.
    """
    for variant in variants:
        folder = asking.out / FOLDER / variant.slug
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for file, answer in _answers(asking, variant):
                save_tensors(folder / file.name, answer)
        except ZooError as error:
            (folder / REFUSAL).write_text(error.message, encoding="utf-8")


def _answers(asking: Asking, variant: Variant) -> Iterator[tuple[CaseFile, Tensors]]:
    if variant.optimisation == REFERENCE:
        yield from _reference_answers(asking)
        return
    session, repeats = _session(asking, variant)
    for file in asking.files:
        feeds = asking.feeds(file, session.inputs)
        for _ in range(repeats):
            session.run(feeds)
        yield file, session.run(feeds)


def _session(asking: Asking, variant: Variant) -> tuple[Session, int]:
    """A session for a way of running, and how often a case is run in it before the answer counts."""
    if asking.usual is not None and variant == Variant("all", repeat=1):
        return asking.usual, 0
    threads = variant.threads or max(2, os.cpu_count() or 2)
    return Session(asking.model, threads=threads, optimisation=variant.optimisation), variant.repeat


def _reference_answers(asking: Asking) -> Iterator[tuple[CaseFile, Tensors]]:
    from zoo.verification.inspection import signature

    evaluator = reference_evaluator(asking.model)
    if evaluator is None:
        return
    inputs = signature(evaluator.proto_.graph).inputs
    for file in asking.files[:1]:
        feeds = asking.feeds(file, inputs)
        if sum(array.size for array in feeds.values()) <= MAX_REFERENCE_ELEMENTS:
            yield file, reference_run(evaluator, feeds)


def reference_evaluator(model: Path) -> Optional[Any]:
    """onnx's evaluator for the file; None where it is too large, or an operator has no reference."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    proto = onnx.load(str(model))
    if len(proto.graph.node) > MAX_REFERENCE_NODES:
        return None
    try:
        return ReferenceEvaluator(proto)
    except (NotImplementedError, RuntimeError, KeyError, ValueError, TypeError):
        # The package raises whatever its lookup tables raise for an operator it does not know.
        return None


def reference_run(evaluator: Any, feeds: Tensors) -> Tensors:
    """Every output by name. Raises `VerificationError` where the evaluator fails."""
    import numpy as np

    from zoo.errors import VerificationError
    from zoo.verification.runtime import flattened

    text = {name: a.astype(object) if a.dtype.kind == "U" else a for name, a in feeds.items()}
    try:
        with np.errstate(all="ignore"):
            answers = evaluator.run(None, text)
    except Exception as error:  # numpy code of every operator: anything may come
        raise VerificationError(f"onnx's reference evaluator fails: {first_line(error)}") from error
    return flattened(evaluator.output_names, answers)


def read_opinions(runtime: Path, variants: Sequence[Variant] = THOROUGH) -> Mapping[Variant, Path]:
    """The folders of the opinions that were written beside the runtime's answers."""
    folders = {variant: runtime / FOLDER / variant.slug for variant in variants}
    return {variant: folder for variant, folder in folders.items() if folder.is_dir()}


def blame(right: Mapping[Variant, bool]) -> Optional[str]:
    """Whose fault it is, from which ways of running agree with the source; None when all do.

    All of ONNX Runtime wrong, and the reference evaluator too: the converter. The reference right:
    a kernel. Unoptimised right and optimised wrong: the optimiser. One thread right and several
    wrong, or the second run another than the first: that.
    """
    if all(right.values()):
        return None
    runs = {variant: good for variant, good in right.items() if variant.optimisation != REFERENCE}
    reference = right.get(Variant(REFERENCE))
    if right.get(USUAL, True) and not right.get(Variant("all", repeat=1), True):
        return "the graph is not repeatable: a second run on the same inputs answers differently"
    if right.get(USUAL, True) and not right.get(Variant("all", threads=0), True):
        return "ONNX Runtime: the answer depends on the number of threads"
    if not any(runs.values()):
        return _all_wrong(reference)
    if right.get(Variant("none"), False) and not right.get(USUAL, True):
        level = next(name for name in ("basic", "extended", "all") if not right.get(Variant(name), True))
        return f"ONNX Runtime's optimiser at level {level!r}: without it the graph is right"
    if right.get(USUAL, False) and not right.get(Variant("none"), True):
        return "the graph: it is only right once ONNX Runtime's optimiser has changed it"
    return "ONNX Runtime: the ways to run the graph disagree"


def _all_wrong(reference: Optional[bool]) -> str:
    if reference is None:
        return "the converter, most likely: ONNX Runtime answers the same in every way"
    if reference:
        return "a kernel of ONNX Runtime: onnx's reference evaluator agrees with the source"
    return "the converter: ONNX Runtime and onnx's reference evaluator both differ from the source"
