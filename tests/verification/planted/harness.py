"""A source, its honest conversion, and the judgement of any graph against it: what `zoo verify` does,
in one process."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from zoo import wire
from zoo.appeal import Hearing, decided
from zoo.jobs import NOISE, OPINIONS, RUN, CaseList, Job
from zoo.records import Artifact, ConversionRequest, FeedCase, SourceDescription, VerificationReport
from zoo.tensors import load_tensors
from zoo.verification.asking import ask
from zoo.verification.bisection import Finding, Inside, located, node_taps, noise_of, taps_from
from zoo.verification.evidence import Answers
from zoo.verification.matching import adapted_feeds
from zoo.verification.runtime import Session
from zoo.verification.tolerances import Policy
from zoo.worker import noise_of_loaded, run_model, write_all_opinions


@dataclass
class Subject:
    """A live model of a framework with the answers it gave, kept in `folder`."""

    converter: Any
    model: Any
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Any, ...] = ()
    sample: Path | None = None

    def __post_init__(self) -> None:
        self.request = ConversionRequest(
            Artifact(self.folder / "source", "0" * 64, 0),
            self.converter.framework,
            "live",
            options=self.options,
            inputs=self.inputs,
            sample=self.sample,
        )
        self.description: SourceDescription = self.converter.describe(self.model, self.request)
        self.cases = self._answered()

    def convert(self, model: Any = None) -> onnx.ModelProto:
        return self.converter.convert(self.model if model is None else model, self.request)

    def judge(self, proto: onnx.ModelProto) -> VerificationReport:
        """What `zoo verify` says of a graph: a first look, and where it fails the others."""
        path = self._fresh("runtime") / "model.onnx"
        onnx.save(proto, str(path))
        runtime = self._again(Job(RUN, model=path))
        sides = (Answers(self.cases, self.folder), Answers(_cases(runtime), runtime))
        again = lambda job: self._again(replace(job, model=path))  # noqa: E731
        return decided(Hearing(*sides, self.description, Policy(), again, _cases, apart=False))[0]

    def locate(self, proto: onnx.ModelProto, case: FeedCase) -> Finding:
        """What `zoo bisect` finds in a graph that is wrong in `case`."""
        number = next(file.number for file in self.cases.cases if file.case == case)
        feeds, expected = (
            load_tensors(self.folder / name / f"{number:03d}.npz") for name in ("feeds", "outputs")
        )
        layers = taps_from(self.converter.layers(self.model, feeds))
        noise = noise_of(self.description)
        inside = Inside(layers, node_taps(self.convert(), feeds))
        fed = adapted_feeds(feeds, Session(proto.SerializeToString()).inputs, {})
        return located(proto, fed, inside, expected, noise)

    def _again(self, job: Job) -> Path:
        job = replace(job, request=self.request, cases=self.folder)
        out = self._fresh(f"runtime/{job.action}-{job.optimisation}")
        if job.action == NOISE:
            noise_of_loaded(self.converter, self.model, job, out)
        else:
            (write_all_opinions if job.action == OPINIONS else run_model)(job, out)
        return out

    def _fresh(self, name: str) -> Path:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _answered(self) -> CaseList:
        cases = CaseList(ask(self.converter, self.model, self.description, self.request, self.folder), {})
        (self.folder / "cases.json").write_text(wire.dumps(cases), encoding="utf-8")
        return cases


def _cases(folder: Path) -> CaseList:
    return wire.loads(CaseList, (folder / "cases.json").read_text(encoding="utf-8"))
