"""A source, its honest conversion, and the judgement of any graph against it: what `zoo verify` does,
in one process."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import onnx

from zoo.errors import VerificationError
from zoo.jobs import CaseFile, CaseList
from zoo.records import Artifact, ConversionRequest, SourceDescription, VerificationReport
from zoo.tensors import load_tensors, save_tensors
from zoo.verification.evidence import Answers, judge
from zoo.verification.feeds import FeedMaker, make_feeds
from zoo.verification.matching import adapted_feeds
from zoo.verification.noise import NoiseMeter
from zoo.verification.opinions import QUICK, write_opinions
from zoo.verification.runtime import Session
from zoo.verification.search import decision_feeds
from zoo.verification.tolerances import Policy


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

    def judge(self, proto: onnx.ModelProto, variants=QUICK) -> VerificationReport:
        runtime = self.folder / "runtime"
        shutil.rmtree(runtime, ignore_errors=True)
        (runtime / "outputs").mkdir(parents=True)
        onnx.save(proto, str(runtime / "model.onnx"))
        session = Session(runtime / "model.onnx")
        files = tuple(self._run(session, file) for file in self.cases.cases if file.refusal is None)
        write_opinions(runtime / "model.onnx", self.cases.cases, self.folder, runtime, variants)
        source, ran = Answers(self.cases, self.folder), Answers(CaseList(files, {}), runtime)
        return judge(source, ran, self.description, Policy())

    def _answered(self) -> CaseList:
        for name in ("feeds", "outputs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        meter = NoiseMeter(self.converter, self.model, self.description)
        files = []

        def predict(feeds):
            return self.converter.predict(self.model, feeds)

        maker = FeedMaker(self.description, 0, None)
        searched = decision_feeds(maker, predict, self.description)
        for number, (case, feeds) in enumerate(chain(make_feeds(self.description), searched)):
            file = CaseFile(case, number)
            try:
                answer = predict(feeds)
            except Exception as error:  # noqa: BLE001 - whatever the source refuses is a skipped case
                files.append(CaseFile(case, number, refusal=str(error)[:200]))
                continue
            save_tensors(self.folder / "feeds" / file.name, feeds)
            save_tensors(self.folder / "outputs" / file.name, answer)
            meter.write(self.folder, file.name, feeds, answer)
            files.append(file)
        return CaseList(tuple(files), {})

    def _run(self, session: Session, file: CaseFile) -> CaseFile:
        feeds = adapted_feeds(load_tensors(self.folder / "feeds" / file.name), session.inputs)
        try:
            outputs = session.run(feeds)
        except VerificationError as error:
            return CaseFile(file.case, file.number, refusal=error.message)
        save_tensors(self.folder / "runtime" / "outputs" / file.name, outputs)
        return file
