"""The process in which a source framework, or an ONNX file that is not ours, is run.

``python -m zoo.worker FOLDER`` reads ``job.json`` there and writes beside it (see `zoo.jobs`). It
trusts nobody and nobody trusts it: the parent reads back only plain files of bounded size.
"""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from zoo import wire
from zoo.errors import MissingPackageError, ZooError
from zoo.jobs import BISECT, CONVERT, PREDICT, RUN, CaseFile, CaseList, Failure, Job
from zoo.records import ConversionRequest, SourceDescription
from zoo.tensors import load_tensors, read_sample, save_tensors

if TYPE_CHECKING:
    import numpy as np

    from zoo.interfaces import Converter
    from zoo.tensors import Tensors
    from zoo.verification.noise import NoiseMeter


def main(folder: Path) -> int:
    """Carry out the job in `folder`; 0 when it was done, 1 when ``error.json`` says why not."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    job = wire.loads(Job, (folder / "job.json").read_text(encoding="utf-8"))
    # Behind everything installed: a file of the user's shadows no module.
    sys.path += [str(folder) for folder in job.code]
    try:
        _ACTIONS[job.action](job, out)
    except ZooError as error:
        _write(out / "error.json", Failure(type(error).__name__, error.message, error.hint))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever a framework raises becomes a readable failure
        traceback.print_exc()
        _write(out / "error.json", Failure(type(error).__name__, _one_line(error)))
        return 1
    return 0


def _convert(job: Job, out: Path) -> None:
    """Load once; then describe, convert and let the source answer."""
    converter, request = _converter(job)
    clock = Clock()
    model = converter.load(request.artifact, request)
    clock.lap("load")
    convert_loaded(converter, model, request, out / job.name, clock)


def convert_loaded(
    converter: Converter, model: Any, request: ConversionRequest, path: Path, clock: Clock
) -> None:
    """Write `model` as ONNX to `path`, and beside it its description, feeds and answers."""
    description = converter.describe(model, request)
    _write(path.parent / "description.json", description)
    _save_model(converter.convert(model, request), path)
    clock.lap("convert")
    _answer(converter, model, description, request, path.parent, clock)


def _predict(job: Job, out: Path) -> None:
    converter, request = _converter(job)
    clock = Clock()
    model = converter.load(request.artifact, request)
    description = converter.describe(model, request)
    _write(out / "description.json", description)
    clock.lap("load")
    _answer(converter, model, description, request, out, clock)


def _answer(
    converter: Converter,
    model: Any,
    description: SourceDescription,
    request: ConversionRequest,
    out: Path,
    clock: Clock,
) -> None:
    """Feed the source and keep what it says, with its rounding noise."""
    from zoo.verification.feeds import FeedMaker, make_feeds
    from zoo.verification.noise import NoiseMeter
    from zoo.verification.search import decision_feeds

    sample = _sample(converter, model, request)
    (out / "feeds").mkdir()
    (out / "outputs").mkdir()
    source = Source(converter, model, NoiseMeter(converter, model, description), out)
    maker = FeedMaker(description, request.seed, sample)
    made = make_feeds(description, seed=request.seed, sample=sample)
    searched = decision_feeds(maker, source.predict, description)
    skip = request.options.get("skip", {})
    cases = []
    for number, (case, feeds) in enumerate(chain(made, searched)):
        reason = skip.get(case.family)
        file = CaseFile(case, number, None if reason is None else f"not fed: {reason}")
        cases.append(file if reason else source.case(file, feeds))
    clock.lap("predict")
    _write(out / "cases.json", CaseList(tuple(cases), clock.seconds))


def _sample(converter: Converter, model: Any, request: ConversionRequest) -> Tensors | None:
    """The user's rows; else those that the source came with, if its converter knows any."""
    if request.sample is not None:
        return read_sample(request.sample)
    own = getattr(converter, "sample", None)
    found: Tensors | None = None if own is None else own(model, request)
    return found


class Source:
    """A loaded model that is asked case by case; `out` is where its answers go."""

    def __init__(self, converter: Converter, model: Any, meter: NoiseMeter, out: Path) -> None:
        self._converter, self._model, self._meter, self._out = converter, model, meter, out

    def predict(self, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """The source's own answer."""
        return self._converter.predict(self._model, feeds)

    def case(self, file: CaseFile, feeds: Tensors) -> CaseFile:
        """Answer one case. A feed that the source itself refuses proves nothing, and is recorded so."""
        try:
            answer = self.predict(feeds)
            self._meter.write(self._out, file.name, feeds, answer)
        except Exception as error:  # noqa: BLE001 - any refusal of the source is recorded
            return CaseFile(file.case, file.number, f"the source refuses it: {_one_line(error)}")
        save_tensors(self._out / "feeds" / file.name, feeds)
        save_tensors(self._out / "outputs" / file.name, answer)
        return file


def run_model(job: Job, out: Path) -> None:
    """Check an ONNX file, write down its facts, and run it on the feeds of another job."""
    from zoo.verification import inspection

    assert job.model is not None
    clock = Clock()
    inspection.check(job.model)
    _write(out / "model.json", inspection.inspect(job.model))
    clock.lap("check")
    if job.cases is not None:
        _run_cases(job, out, clock)


def _run_cases(job: Job, out: Path, clock: Clock) -> None:
    from zoo.verification.matching import adapted_feeds
    from zoo.verification.opinions import write_opinions
    from zoo.verification.runtime import Session

    assert job.model is not None
    assert job.cases is not None
    asked = wire.loads(CaseList, (job.cases / "cases.json").read_text(encoding="utf-8"))
    (out / "outputs").mkdir()
    session = Session(job.model, optimisation=job.optimisation, threads=job.threads)
    cases = []
    for file in asked.cases:
        if file.refusal is not None:
            continue
        feeds = adapted_feeds(load_tensors(job.cases / "feeds" / file.name), session.inputs)
        cases.append(_run_case(session, file, feeds, out))
    clock.lap("run")
    write_opinions(job.model, asked.cases, job.cases, out)
    clock.lap("opinions")
    _write(out / "cases.json", CaseList(tuple(cases), clock.seconds))


def _run_case(session: Any, file: CaseFile, feeds: Tensors, out: Path) -> CaseFile:
    try:
        outputs = session.run(feeds)
    except Exception as error:  # noqa: BLE001 - the runtime's refusal is a finding, and is kept as one
        return CaseFile(file.case, file.number, refusal=_one_line(error))
    save_tensors(out / "outputs" / file.name, outputs)
    return file


def _bisect(job: Job, out: Path) -> None:
    """Find the first wrong node of an ONNX file, by what is inside its source."""
    import onnx

    from zoo.verification import reproducer
    from zoo.verification.bisection import bisect, taps_from
    from zoo.verification.matching import adapted_feeds
    from zoo.verification.runtime import Session

    assert job.model is not None
    assert job.cases is not None
    converter, request = _converter(job)
    name = f"{job.case:03d}.npz"
    feeds = load_tensors(job.cases / "feeds" / name)
    model = converter.load(request.artifact, request)
    description = converter.describe(model, request)
    layers = getattr(converter, "layers", None)
    taps = [] if layers is None else taps_from(layers(model, feeds))
    graph = onnx.load(str(job.model))
    fed = adapted_feeds(feeds, Session(job.model).inputs)
    finding = bisect(graph, fed, taps, load_tensors(job.cases / "outputs" / name))
    _write(out / "finding.json", replace(finding, expected=None))
    reproducer.write(reproducer.cut(graph, finding, fed), finding, out / "reproducer", description.versions)


_ACTIONS = {CONVERT: _convert, PREDICT: _predict, RUN: run_model, BISECT: _bisect}


class Clock:
    """Seconds of each step, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = round(now - self._last, 4)
        self._last = now


def _converter(job: Job) -> tuple[Converter, ConversionRequest]:
    assert job.converter is not None
    assert job.request is not None
    module, _, name = job.converter.partition(":")
    converter: Converter = getattr(import_module(module), name)()
    _require(converter)
    return converter, job.request


def _require(converter: Converter) -> None:
    """Fail early and readably where a distribution is missing; ``a|b`` means either will do."""
    missing = [need for need in converter.requirements if not any(map(_installed, need.split("|")))]
    if missing:
        names = ", ".join(need.split("|")[0] for need in missing)
        raise MissingPackageError(
            f"{converter.title} models need {names}, which is not installed in {sys.prefix}",
            hint=f"pip install 'onnx-zoo-pipeline[{converter.extra}]'",
        )


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _save_model(model: Any, path: Path) -> None:
    """Write a ModelProto; above protobuf's 2 GB its tensors go to a file beside it."""
    import onnx

    if model.ByteSize() < 2**31 - 2**20:
        path.write_bytes(model.SerializeToString(deterministic=True))
    else:
        onnx.save_model(model, str(path), save_as_external_data=True, location=path.name + ".data")


def _write(path: Path, record: Any) -> None:
    path.write_text(wire.dumps(record), encoding="utf-8")


def _one_line(error: BaseException, limit: int = 500) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
