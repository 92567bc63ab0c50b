"""The graph is run: every case that the source answered, and some of them in other ways.

Runs in a worker that never saw the source, and writes ``outputs/NNN.npz`` and ``opinions/…``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence, Tuple

from zoo.errors import VerificationError
from zoo.jobs import CaseFile, Job
from zoo.tensors import load_tensors, save_tensors
from zoo.verification.matching import matched, with_constants
from zoo.verification.runtime import Session

if TYPE_CHECKING:
    from pathlib import Path


def run_cases(session: Session, files: Sequence[CaseFile], job: Job, out: Path) -> Tuple[CaseFile, ...]:
    """Run the graph on the feeds in the folder ``job.cases``; what it refuses is a finding, kept as one."""
    (out / "outputs").mkdir(exist_ok=True)
    return tuple(_run(session, file, job, out) for file in files if file.refusal is None)


def _run(session: Session, file: CaseFile, job: Job, out: Path) -> CaseFile:
    assert job.cases is not None
    feeds = load_tensors(job.cases / "feeds" / file.name)
    feeds = with_constants(feeds, session.inputs, job.constants)
    matching = matched(feeds, session.inputs)
    try:
        save_tensors(out / "outputs" / file.name, session.run(matching.apply(feeds)))
    except VerificationError as error:
        return CaseFile(file.case, file.number, refusal=error.message)
    return file
