"""Proof: the same feeds through the source and through ONNX Runtime, each in a process of its own."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import artifacts, dispatch, environments, plugins, reference, siblings, warm
from zoo.errors import UsageError, VerificationError
from zoo.jobs import BISECT, CONVERT, LAYERS, NOISE, OPINIONS, PREDICT, RUN, CaseList, Job
from zoo.provenance import append_metadata, timestamp
from zoo.records import (
    ConversionRequest,
    Detection,
    Licence,
    OnnxModel,
    SourceDescription,
    SourceEnvironment,
    VerificationReport,
    record,
)
from zoo.store import Store
from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.environments import Environment
    from zoo.settings import Settings
    from zoo.verification.bisection import Finding
    from zoo.verification.certificate import Certificate


@record
class Proof:
    """A conversion and its verdict, still in the workspace."""

    model_path: Path
    model: OnnxModel
    description: SourceDescription
    report: VerificationReport
    cases: CaseList
    folder: Path
    """Where the source's worker left ``feeds/NNN.npz`` of `cases`."""
    seconds: dict[str, float]
    more: tuple[Path, ...] = ()
    """Folders with noise that was measured later."""


@warm.workers()
def proven(
    request: ConversionRequest, detection: Detection, name: str, folder: Path, settings: Settings
) -> Proof:
    """Convert in one worker, run the result in another, and compare what both answered.

    `name` is the file name of the ONNX model in `folder`; `detection` decides which environment loads the
    source.
    """
    dispatch.prepare(RUN)
    job = Job(CONVERT, request, plugins.converter_target(request.framework), name=name)
    environment = _environment_for(request, detection, settings)
    settings.on_stage("convert")
    source = _source_job(job, folder / "source", settings, environment)
    ask = _asker(request, settings, environment)
    return _in(environment, lambda: judged(source / name, source, folder, settings, ask))


@warm.workers()
def compared(
    model: Path, request: ConversionRequest, detection: Detection, folder: Path, settings: Settings
) -> Proof:
    """The same for an ONNX file that exists already: the source only predicts.

    What it answered in an earlier proof is taken from the store, unless `settings.refresh`.
    """
    dispatch.prepare(RUN)
    job = Job(PREDICT, request, plugins.converter_target(request.framework))
    environment = _environment_for(request, detection, settings)
    store, key = Store.open(settings.cache), _answers_key(request, environment)
    kept = None if key is None or settings.refresh else reference.recall(key, store, folder / "kept")
    settings.on_stage("predict")
    source = kept or _source_job(job, folder / "source", settings, environment)
    ask = _asker(request, settings, environment)
    proof = _in(environment, lambda: judged(model, source, folder, settings, ask))
    notes = [] if kept is None else ["the source answered in an earlier run: `--refresh` asks it anew"]
    if key is not None and (kept is None or proof.more):
        notes += filter(None, [reference.keep(key, store, (source, *proof.more))])
    return replace(proof, report=replace(proof.report, notes=(*proof.report.notes, *notes)))


def _answers_key(request: ConversionRequest, environment: Environment) -> str | None:
    """None where the answers hang on code of the user's, which may import anything."""
    return None if _code(request) else reference.key_of(request, environment)


Ask = Callable[[Job, Path], Path]
"""Runs a job over a source or a graph in a folder; gives the folder of what it left."""


def _asker(request: ConversionRequest, settings: Settings, environment: Environment) -> Ask:
    def ask(job: Job, folder: Path) -> Path:
        target = plugins.converter_target(request.framework)
        return _source_job(replace(job, request=request, converter=target), folder, settings, environment)

    return ask


def _environment_for(request: ConversionRequest, detection: Detection, settings: Settings) -> Environment:
    own_code = "builder" in request.options
    wish = environments.Wish(settings.isolated, settings.offline, own_code, settings.cache, settings.on_stage)
    return environments.choose(request.framework, detection, wish)


def _in(environment: Environment, judge: Callable[[], Proof]) -> Proof:
    """What `judge` finds, with the environment that ran the source, in the report of an error, too."""
    ran = SourceEnvironment(environment.name, environment.python, environment.lock)
    try:
        proof = judge()
    except VerificationError as error:
        if error.report is not None:
            error.report = replace(error.report, environment=ran)
        raise
    return replace(proof, report=replace(proof.report, environment=ran))


def judged(model_path: Path, source: Path, folder: Path, settings: Settings, ask: Ask) -> Proof:
    """Run `model_path` in a worker on the feeds in `source`, and compare with the answers there.

    `ask` is for more of the source. Raises `VerificationError`, with the report as its ``report``, when
    they differ.
    """

    def run(job: Job, place: Path) -> Path:
        readable = (model_path.parent, model_path.resolve(), source)
        return dispatch.run_job(job, place, settings.bounds, readable)

    return _verdict(_Bench(model_path, source, folder, ask, run, settings.constants), settings)


def judged_here(model_path: Path, folder: Path, settings: Settings, ask: Ask) -> Proof:
    """The same in this process, for a model that is the caller's own; the feeds lie beside it."""
    from zoo.worker import run_model, write_all_opinions

    def run(job: Job, place: Path) -> Path:
        place.mkdir()
        (write_all_opinions if job.action == OPINIONS else run_model)(job, place)
        return place

    return _verdict(_Bench(model_path, model_path.parent, folder, ask, run, {}, apart=False), settings)


@dataclass
class _Bench:
    """A graph, the folder of its source's answers, and how both are asked, each time in a new folder."""

    model: Path
    source: Path
    folder: Path
    ask: Ask
    run: Ask
    constants: Mapping[str, Any]
    apart: bool = True
    asked: int = 0

    def again(self, job: Job) -> Path:
        self.asked += 1
        place = self.folder / f"{job.action}-{self.asked}"
        return (self.ask if job.action == NOISE else self.run)(
            replace(job, model=self.model, cases=self.source, constants=dict(self.constants)), place
        )


def _verdict(bench: _Bench, settings: Settings) -> Proof:
    from zoo.appeal import Hearing, decided
    from zoo.verification.evidence import Answers
    from zoo.verification.tolerances import Policy

    settings.on_stage("verify")
    runtime = bench.again(Job(RUN))
    description = dispatch.read_record(SourceDescription, bench.source, "description.json")
    asked, ran = _cases(bench.source), _cases(runtime)
    sides = (Answers(asked, bench.source), Answers(ran, runtime))
    policy = Policy(settings.tolerance)
    hearing = Hearing(*sides, description, policy, bench.again, _cases, bench.apart)
    report, hearing = decided(hearing)
    if not report.passed and not settings.keep_unverified:
        raise mismatch(report)
    model = dispatch.read_record(OnnxModel, runtime, "model.json")
    seconds = {**asked.seconds, **ran.seconds}
    return Proof(bench.model, model, description, report, asked, bench.source, seconds, hearing.source.more)


def _cases(folder: Path) -> CaseList:
    return dispatch.read_record(CaseList, folder, "cases.json")


@warm.workers()
def bisected(
    model: Path, request: ConversionRequest, detection: Detection, folder: Path, settings: Settings
) -> Bisection:
    """Compare, and where the answers differ find the first wrong node; its reproducer lies in `folder`.

    The source writes down its layers in its own environment, ONNX Runtime runs the graph in this one.
    Raises `UsageError` when every case passes: there is nothing to bisect.
    """
    from zoo.verification.bisection import Finding, failing_case

    proof = compared(model, request, detection, folder, replace(settings, keep_unverified=True))
    case = failing_case(proof.report)
    if case is None:
        raise UsageError(f"{model.name} computes what its source computes: there is nothing to bisect")
    settings.on_stage("bisect")
    number = next(file.number for file in proof.cases.cases if file.case == case)
    ask = _asker(request, settings, _environment_for(request, detection, settings))
    layers = ask(Job(LAYERS, cases=proof.folder, case=number), folder / "layers")
    job = Job(
        BISECT,
        model=model,
        cases=proof.folder,
        case=number,
        layers=layers,
        constants=dict(settings.constants),
    )
    readable = (model, model.parent, proof.folder, layers)
    out = dispatch.run_job(job, folder / "bisect", settings.bounds, readable)
    return Bisection(dispatch.read_record(Finding, out, "finding.json"), proof.report, out / "reproducer")


@record
class Bisection:
    """Where a graph goes wrong, the report that shows that it does, and a folder with a reproducer."""

    finding: Finding
    report: VerificationReport
    reproducer: Path


def mismatch(report: VerificationReport) -> VerificationError:
    """The error for a failed report: it names the worst output, and carries the report."""
    from zoo.verification.report import worst

    error = VerificationError(
        f"the ONNX model does not compute what its source computes: {worst(report)}",
        hint="`--json` gives the whole report; `--keep-unverified` writes the file all the same, marked so.",
    )
    error.report = report
    return error


def _source_job(job: Job, folder: Path, settings: Settings, environment: Environment) -> Path:
    assert job.request is not None
    code = _code(job.request)
    own = () if job.cases is None else (job.cases,)
    readable = (*own, *_readable(job.request), *code, *plugins.package_of(job.request.framework))
    return dispatch.run_job(replace(job, code=code), folder, settings.bounds, readable, environment)


def _readable(request: ConversionRequest) -> tuple[Path, ...]:
    """The source, what belongs beside it, and the sample: nothing else of the user's."""
    path = request.artifact.path
    found = [path, path.resolve()]
    if _has_siblings(request):
        found += [path.parent, *(file.resolve() for file in path.parent.iterdir() if file.is_symlink())]
    if path.is_dir():
        found += [file.resolve() for file in path.rglob("*") if file.is_symlink()]
    for given in (*([] if request.sample is None else [request.sample]), *request.data_sets):
        found += [given, given.resolve()]
    return tuple(found)


def _has_siblings(request: ConversionRequest) -> bool:
    """Whether files beside the source belong to it."""
    return (request.framework, request.kind) in _WITH_SIBLINGS or "steps" in request.options


_WITH_SIBLINGS = {
    ("onnx", "model"),
    ("matlab", "onnx"),
    ("torch", "safetensors"),
    ("paddle", "json"),
    ("paddle", "pdmodel"),
    ("paddle", "pdiparams"),
    ("mxnet", "symbol"),
    ("mxnet", "params"),
    ("caffe", "prototxt"),
    ("caffe", "caffemodel"),
}
"""Files that others belong to: external data, ``config.json``, MATLAB's answers, a program's parameters."""


def _code(request: ConversionRequest) -> tuple[Path, ...]:
    """Where the builder or classes that the user named are: beside the file, here, on ``PYTHONPATH``."""
    named = [str(request.options.get(name, "converters.")) for name in ("builder", "classes")]
    if all(name.startswith("converters.") for name in named):
        return ()
    listed = [Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return (request.artifact.path.parent, Path.cwd(), *listed)


def stamped(proof: Proof, request: ConversionRequest, licence: Licence | None = None) -> OnnxModel:
    """The file with its ``zoo.*`` metadata appended, its certificate in and beside it; its facts then.

    A model that did not pass gets no certificate.
    """
    from zoo.verification import certificate

    ran = proof.report.environment
    metadata = {
        "zoo.version": __version__,
        "zoo.source.sha256": request.artifact.digest,
        "zoo.source.framework": request.framework,
        "zoo.source.kind": request.kind,
        "zoo.converter": plugins.converter_target(request.framework),
        "zoo.converter.versions": ", ".join(
            f"{name} {v}" for name, v in sorted(proof.description.versions.items())
        ),
        **({"zoo.environment": str(ran)} if ran is not None and ran.lock else {}),
        "zoo.opset": str(proof.model.opset),
        "zoo.time": timestamp(),
        "zoo.verification": proof.report.verdict,
    }
    append_metadata(proof.model_path, metadata)
    if proof.report.passed:
        certificate.write(certified(proof, request, licence), proof.model_path)
    return replace(
        proof.model,
        digest=artifacts.file_digest(proof.model_path),
        size=proof.model_path.stat().st_size,
        metadata={**proof.model.metadata, **metadata},
    )


def certified(proof: Proof, request: ConversionRequest, licence: Licence | None = None) -> Certificate:
    """The certificate of a proof that passed, for the file as the worker left it."""
    from zoo.verification.certificate import CertifiedSource, Feeds, certify

    source = CertifiedSource(
        framework=request.framework,
        kind=request.kind,
        sha256=request.artifact.digest,
        files=request.artifact.files,
        converter=plugins.converter_target(request.framework),
        versions=proof.description.versions,
        options=request.options,
    )
    stated = certify(proof.model, source, proof.report, Feeds(proof.cases, proof.folder))
    folder, data = proof.model_path.parent, siblings.external_data(proof.model_path)
    files = {name: artifacts.file_digest(folder / name) for name in data}
    return replace(
        stated,
        model=replace(stated.model, files=files),
        licence=licence or Licence(),
        environment={**_environment(), **_source_environment(proof.report.environment)},
        time=timestamp(),
    )


def _environment() -> dict[str, str]:
    """What ran the graph."""
    packages = {name: version(name) for name in ("numpy", "onnx", "onnxruntime")}
    return {**packages, "python": platform.python_version(), "machine": platform.machine()}


def _source_environment(ran: SourceEnvironment | None) -> dict[str, str]:
    """What ran the source, where it was an environment of a lock file."""
    if ran is None or ran.lock is None:
        return {}
    return {"source": ran.name, "source_python": ran.python, "lock": ran.lock}
