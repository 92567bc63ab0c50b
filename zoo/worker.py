"""The process in which a source framework, or an ONNX file that is not ours, is run.

``python -m zoo.worker FOLDER`` reads ``job.json`` there and writes beside it (see `zoo.jobs`). It
trusts nobody and nobody trusts it: the parent reads back only plain files of bounded size.
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import wire
from zoo.errors import MissingPackageError, ZooError
from zoo.jobs import (
    BISECT,
    CONVERT,
    LAYERS,
    NOISE,
    OPINIONS,
    PREDICT,
    RUN,
    CaseFile,
    CaseList,
    Clock,
    Failure,
    Job,
    LayerList,
    LayerOf,
    one_line,
)
from zoo.records import ConversionRequest, SourceDescription
from zoo.tensors import load_tensors, save_tensors

if TYPE_CHECKING:
    from zoo.interfaces import Converter
    from zoo.tensors import Tensors
    from zoo.verification.bisection import Tap


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
        _write(out / "error.json", Failure(type(error).__name__, one_line(error)))
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
    _ask((converter, model, description, request), path.parent, clock)


def _predict(job: Job, out: Path) -> None:
    converter, request = _converter(job)
    clock = Clock()
    model = converter.load(request.artifact, request)
    description = converter.describe(model, request)
    _write(out / "description.json", description)
    clock.lap("load")
    _ask((converter, model, description, request), out, clock)


def _ask(asked: tuple[Converter, Any, SourceDescription, ConversionRequest], out: Path, clock: Clock) -> None:
    """Feed the source and keep what it says, with its rounding noise."""
    from zoo.verification.asking import ask

    cases = ask(*asked, out)
    clock.lap("predict")
    _write(out / "cases.json", CaseList(cases, clock.seconds))


def _noise(job: Job, out: Path) -> None:
    """Measure the noise of some cases of an earlier job."""
    converter, request = _converter(job)
    noise_of_loaded(converter, converter.load(request.artifact, request), job, out)


def noise_of_loaded(converter: Converter, model: Any, job: Job, out: Path) -> None:
    """The same for a model that is loaded."""
    from zoo.verification.asking import Source, measure

    assert job.request is not None
    assert job.cases is not None
    source = Source(converter, model, converter.describe(model, job.request), out)
    measure(source, _files(job), job.cases)


def _files(job: Job) -> tuple[CaseFile, ...]:
    """The answered cases of an earlier job: those that are asked for, else all but the empty batch.

    Some kernels of ONNX Runtime end the process on an empty batch: it is asked for by itself.
    """
    from zoo.verification.feeds import EMPTY

    assert job.cases is not None
    files = wire.loads(CaseList, (job.cases / "cases.json").read_text(encoding="utf-8")).cases
    answered = [file for file in files if file.refusal is None]
    if job.numbers:
        return tuple(file for file in answered if file.number in job.numbers)
    return tuple(file for file in answered if file.case.family != EMPTY)


def run_model(job: Job, out: Path) -> None:
    """Check an ONNX file, write down its facts, and run it on the feeds of another job."""
    from zoo.verification import inspection

    assert job.model is not None
    clock = Clock()
    if not job.numbers:
        inspection.check(job.model)
        _write(out / "model.json", inspection.inspect(job.model))
        clock.lap("check")
    if job.cases is not None:
        _run_cases(job, out, clock)


def _run_cases(job: Job, out: Path, clock: Clock) -> None:
    from zoo.verification.opinions import Asking, chosen, write_opinions
    from zoo.verification.running import run_cases
    from zoo.verification.runtime import Session

    assert job.model is not None
    assert job.cases is not None
    files = _files(job)
    session = Session(job.model, optimisation=job.optimisation, threads=job.threads)
    cases = run_cases(session, files, job, out)
    clock.lap("run")
    if job.optimisation == "all" and not job.numbers:
        write_opinions(Asking(job.model, chosen(files), job.cases, out, session, job.constants))
        clock.lap("opinions")
    _write(out / "cases.json", CaseList(cases, clock.seconds))


def write_all_opinions(job: Job, out: Path) -> None:
    """Run some cases in every way there is."""
    from zoo.verification.opinions import THOROUGH, Asking, write_opinions

    assert job.model is not None
    assert job.cases is not None
    write_opinions(Asking(job.model, _files(job), job.cases, out, constants=job.constants), THOROUGH)


def _layers(job: Job, out: Path) -> None:
    """What is inside the source for one case, and our own conversion of it: no ONNX Runtime is needed."""
    assert job.cases is not None
    converter, request = _converter(job)
    feeds = load_tensors(job.cases / "feeds" / f"{job.case:03d}.npz")
    model, layers = converter.load(request.artifact, request), getattr(converter, "layers", None)
    found = [] if layers is None else layers(model, feeds)
    save_tensors(out / "layers.npz", {str(i): layer[2] for i, layer in enumerate(found)})
    _write(out / "layers.json", LayerList(tuple(LayerOf(name, kind, at) for name, kind, _, at in found)))
    own = _own_conversion(converter, model, request)
    if own is not None and own.ByteSize() < LARGEST_OWN:
        (out / OWN).write_bytes(own.SerializeToString())


def _bisect(job: Job, out: Path) -> None:
    """Find the first wrong node of an ONNX file, by what is inside its source."""
    import onnx

    from zoo.verification import reproducer
    from zoo.verification.bisection import Inside, located, noise_of
    from zoo.verification.matching import adapted_feeds
    from zoo.verification.runtime import Session

    assert job.model is not None
    assert job.cases is not None
    name = f"{job.case:03d}.npz"
    feeds = load_tensors(job.cases / "feeds" / name)
    graph = onnx.load(str(job.model))
    fed = adapted_feeds(feeds, Session(job.model).inputs, job.constants)
    description = wire.loads(SourceDescription, (job.cases / "description.json").read_text(encoding="utf-8"))
    expected, noise = load_tensors(job.cases / "outputs" / name), noise_of(description)
    inside = Inside(_taps(job), _own_nodes(job, feeds))
    finding = located(graph, fed, inside, expected, noise)
    _write(out / "finding.json", replace(finding, expected=None))
    reproducer.write(reproducer.cut(graph, finding, fed), finding, out / "reproducer", description.versions)


def _taps(job: Job) -> list[Tap]:
    """The arrays that a `LAYERS` job left."""
    from zoo.verification.bisection import Tap

    assert job.layers is not None
    listed = wire.loads(LayerList, (job.layers / "layers.json").read_text(encoding="utf-8")).layers
    arrays = load_tensors(job.layers / "layers.npz").values()
    return [Tap(layer.name, layer.kind, array, layer.where) for layer, array in zip(listed, arrays)]


OWN, LARGEST_OWN = "own.onnx", 1 << 30
"""Where a `LAYERS` job leaves our own conversion, and how many bytes it may have."""


def _own_nodes(job: Job, feeds: Tensors) -> list[Tap]:
    """The values inside our own conversion, where there is one."""
    import onnx

    from zoo.verification.bisection import node_taps

    assert job.layers is not None
    path = job.layers / OWN
    return node_taps(onnx.load(str(path)), feeds) if path.is_file() else []


def _own_conversion(converter: Converter, model: Any, request: ConversionRequest) -> Any:
    """Our own conversion of the source, None where there is none: then its layers alone must do."""
    try:
        return converter.convert(model, request)
    except Exception:  # noqa: BLE001 - whatever a framework raises: the graph to look at is another one
        return None


_ACTIONS = {
    CONVERT: _convert,
    PREDICT: _predict,
    RUN: run_model,
    LAYERS: _layers,
    BISECT: _bisect,
    NOISE: _noise,
    OPINIONS: write_all_opinions,
}


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


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
