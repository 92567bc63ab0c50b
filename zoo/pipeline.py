"""The story: a reference or a file becomes an ONNX file that was shown to compute what its source does.

Read from the top: `pull` and `convert` are the two ways in, `zoo.proof.proven` is where both meet.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from zoo import artifacts, plugins, pulled, siblings
from zoo.artifacts import workspace
from zoo.detect import detect
from zoo.errors import OutputExistsError, UnknownFormatError, UnsupportedFileError, UsageError
from zoo.jobs import Job
from zoo.proof import Bisection, Proof, bisected, certified, compared, judged_here, proven, stamped
from zoo.records import (
    Artifact,
    ConversionRequest,
    Detection,
    FileSpec,
    RegistryEntry,
    VerificationReport,
    VerifiedModel,
)
from zoo.settings import Settings
from zoo.store import Store

if TYPE_CHECKING:
    from zoo.tensors import Tensors

JAILS = ("rlimits", "landlock+seccomp", "bwrap")
"""The levels of `zoo.sandbox`, the weakest first."""

FOLDER_KINDS = {"saved_model", "hf_folder", "orbax"}
"""Kinds of source that are a folder; of any other, the entry's first file is the model."""


# --- a model of the registry, or a source string -------------------------------------------------


def pull(entry: RegistryEntry, settings: Settings) -> VerifiedModel:
    """Fetch, convert where needed, prove, and keep in the store; from the store when it is there.

    Raises `FetchError`, `DigestMismatchError`, `ConversionError` or `VerificationError`.
    """
    store = Store.open(settings.cache)
    kept = pulled.usable(entry, store, settings)
    if kept is not None:
        return kept
    with store.lock(f"pull-{pulled.key(entry)}"):
        return pulled.usable(entry, store, settings) or _brought(entry, store, settings)


def _brought(entry: RegistryEntry, store: Store, settings: Settings) -> VerifiedModel:
    settings.on_stage("fetch")
    digests = fetch_files(entry, store, settings)
    artifact = _source_artifact(entry, digests, store)
    request, detection = _entry_request(entry, artifact)
    request = _with_samples(request, entry, settings)
    if entry.trust != "pinned":  # the registry's own files were looked at when they were pinned
        refuse_unsafe(artifact.path, detection, settings)
    settings = replace(settings, tolerance=settings.tolerance or entry.tolerance)
    with workspace() as folder:
        if detection.framework == "onnx":
            proof = compared(artifact.path, request, detection, folder, settings)
            digests |= _certificate(proof, request, entry, folder, store)
        else:
            proof = proven(request, detection, f"{entry.name}.onnx", folder, settings)
            proof = replace(proof, model=stamped(proof, request, entry.licence))
            digests = {path.name: store.add(path).digest for path in _written(proof.model_path)}
        verified = VerifiedModel(
            proof.model, proof.report, None, detection, artifact.digest, pulled.revision(detection)
        )
        return pulled.keep(entry, store, verified, digests)


def _certificate(
    proof: Proof, request: ConversionRequest, entry: RegistryEntry, folder: Path, store: Store
) -> dict[str, str]:
    """The certificate of a file whose bytes are pinned: beside it only, {path: digest}."""
    from zoo.verification.certificate import dumps

    if not proof.report.passed:
        return {}
    path = artifacts.certificate_beside(folder / entry.files[0].path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(certified(proof, request, entry.licence)), encoding="utf-8")
    return {path.relative_to(folder).as_posix(): store.add(path).digest}


def _written(model: Path) -> list[Path]:
    """All files of a converted model, the main file last."""
    certificate = artifacts.certificate_beside(model)
    return [*([certificate] if certificate.exists() else []), *artifacts.model_files(model)]


def fetch_files(entry: RegistryEntry, store: Store, settings: Settings) -> dict[str, str]:
    """Bring every file of an entry into the store; {path: digest}."""
    if entry.trust == "source":  # what the user typed may be private, as a --source may
        typed = entry.files[0]
        settings = replace(settings, sources=(*settings.sources, *typed.sources))
        entry = replace(entry, files=(replace(typed, sources=()),))
    return _fetched(entry.files, store, settings)


def samples(entry: RegistryEntry, settings: Settings) -> tuple[Path, ...]:
    """Bring the sample inputs of an entry; readable paths, of a tarball those of the folders inside."""
    from zoo.fetchers.unpacking import unpacked

    store = Store.open(settings.cache)
    digests = _fetched(entry.samples, store, settings)
    folder = store.materialise(digests, f"{entry.name}-samples") if digests else Path()
    found = (unpacked(folder / path, digest, store) for path, digest in digests.items())
    return tuple(path for paths in found for path in paths)


def _fetched(files: tuple[FileSpec, ...], store: Store, settings: Settings) -> dict[str, str]:
    from zoo.fetchers import FetchOptions, fetch, fetch_many

    options = FetchOptions(
        offline=settings.offline,
        progress=settings.progress,
        extra_sources=settings.sources,
        allow_private=settings.allow_private,
        max_rate=settings.max_rate,
        deadline=settings.deadline,
    )
    blobs = fetch_many(files, store, options) if len(files) > 1 else [fetch(f, store, options) for f in files]
    return {file.path: blob.digest for file, blob in zip(files, blobs, strict=True)}


def _source_artifact(entry: RegistryEntry, digests: dict[str, str], store: Store) -> Artifact:
    folder = store.materialise(digests, entry.name)
    kind = entry.conversion.kind if entry.conversion else None
    path = folder if kind in FOLDER_KINDS else folder / entry.files[0].path
    digest = next(iter(digests.values())) if len(digests) == 1 else artifacts.folder_digest(digests)
    size = sum((folder / name).stat().st_size for name in digests)
    return Artifact(path, digest, size, digests if len(digests) > 1 else {})


def _entry_request(entry: RegistryEntry, artifact: Artifact) -> tuple[ConversionRequest, Detection]:
    """How the registry says to convert; what it does not say is read from the content."""
    detection = detect(artifact.path)
    asked = entry.conversion
    if entry.kind == "zoo" and detection.kind == "onnx":  # its bytes are kept, whoever wrote them
        detection = replace(detection, framework="onnx", kind="model")
    if asked is None:
        options = dict(entry.verification)
        return ConversionRequest(artifact, detection.framework, detection.kind, options=options), detection
    options = {**asked.options, **entry.verification}
    kind = asked.kind or detection.kind
    request = ConversionRequest(artifact, asked.framework, kind, asked.opset, options, asked.inputs)
    return request, replace(detection, framework=asked.framework, kind=kind)


def _with_samples(request: ConversionRequest, entry: RegistryEntry, settings: Settings) -> ConversionRequest:
    """With the samples of the entry that are rows, or test data sets; others are for people."""
    rows = tuple(file for file in entry.samples if file.path.endswith((".npz", ".npy", ".csv")))
    sets = tuple(file for file in entry.samples if file.path.endswith((".tar", ".tar.gz", ".tgz")))
    paths = samples(replace(entry, samples=(*rows[:1], *sets)), settings)
    sample = paths[0] if rows else None
    return replace(request, sample=sample, data_sets=paths[1:] if rows else paths)


def write_out(verified: VerifiedModel, output: Path, force: bool) -> VerifiedModel:
    """Copy a pulled model out of the store, its external data beside it."""
    output = output / verified.path.name if output.is_dir() else output
    artifacts.refuse_existing(output, force)
    folder, certificate = verified.path.parent, artifacts.certificate_beside(verified.path)
    beside = [path for path in folder.rglob("*") if path.is_file() and path != verified.path]
    targets = {path: output.parent / path.relative_to(folder) for path in beside}
    if certificate in targets:
        targets[certificate] = artifacts.certificate_beside(output)
    artifacts.publish({**targets, verified.path: output}, force)
    return replace(verified, model=replace(verified.model, path=output.absolute()))


# --- a file of the user's --------------------------------------------------------------------------


def convert(
    request: ConversionRequest, detection: Detection, output: Path, settings: Settings
) -> VerifiedModel:
    """Convert a source, prove the result, and only then give it its name.

    Raises `VerificationError` and leaves nothing at `output` when the outputs differ, unless
    `settings.keep_unverified`; then the file's metadata says ``zoo.verification = mismatch``.
    """
    refuse_outputs(output, settings.force)
    refuse_unsafe(request.artifact.path, detection, settings)
    with workspace() as folder:
        proof = proven(request, detection, output.name, folder, settings)
        return _published(proof, request, output, settings, detection)


def refuse_outputs(output: Path, force: bool) -> None:
    """Raise `OutputExistsError` unless the model and its certificate may be written."""
    artifacts.refuse_existing(output, force)
    artifacts.refuse_existing(artifacts.certificate_beside(output), force)


def request_for(
    artifact: Artifact, framework: str | None = None, **asked: Any
) -> tuple[ConversionRequest, Detection]:
    """The request for a file: framework and kind are read from its content unless given."""
    detection = _detected(artifact.path)
    if framework is not None:
        detection = replace(detection, framework=framework)
    artifact = siblings.completed(artifact, detection, asked.get("options", {}))
    return ConversionRequest(artifact, detection.framework, detection.kind, **asked), detection


def _detected(path: Path) -> Detection:
    """What wrote a file; third parties are asked about what is of no known format."""
    try:
        return detect(path)
    except UnknownFormatError:
        found = plugins.recognised(path)
        if found is None:
            raise
        return Detection(*found, f"{found[0]} {found[1]}")


def _published(
    proof: Proof,
    request: ConversionRequest,
    output: Path,
    settings: Settings,
    detection: Detection | None = None,
) -> VerifiedModel:
    settings.on_stage("write")
    model = stamped(proof, request)
    if settings.force and not proof.report.passed:
        artifacts.certificate_beside(output).unlink(missing_ok=True)  # it was for the file that is replaced
    artifacts.publish(
        {path: output.parent / path.name for path in _written(proof.model_path)}, settings.force
    )
    model = replace(model, path=output.absolute())
    return VerifiedModel(model, proof.report, None, detection, request.artifact.digest)


# --- an ONNX file that exists already -----------------------------------------------------------------


def verify(
    model: Path, request: ConversionRequest, detection: Detection, settings: Settings
) -> VerificationReport:
    """Compare an ONNX file with its source; a report that says ``mismatch`` is not an error here."""
    found = detect(model)
    if "onnx" not in (found.framework, found.kind):
        raise UnsupportedFileError(
            f"{model} is not an ONNX file: {found.description}",
            hint="The first argument is the ONNX file, the second its source.",
        )
    refuse_unsafe(request.artifact.path, detection, settings)
    if not request.data_sets:
        from zoo.verification.datasets import beside

        request = replace(request, data_sets=beside(model.absolute()))
    with workspace() as folder:
        keep = replace(settings, keep_unverified=True)
        return compared(model.absolute(), request, detection, folder, keep).report


def bisect(
    model: Path, request: ConversionRequest, detection: Detection, output: Path, settings: Settings
) -> Bisection:
    """Find the first wrong node of an ONNX file; a minimal reproducer goes to the folder `output`."""
    if output.exists() and not settings.force:
        raise OutputExistsError(f"{output} exists", hint="`--force` writes into it; `-o FOLDER` elsewhere.")
    refuse_unsafe(request.artifact.path, detection, settings)
    with workspace() as folder:
        found = bisected(model.absolute(), request, detection, folder, settings)
        files = {path: output / path.name for path in sorted(found.reproducer.iterdir())}
        artifacts.publish(files, force=True)
    return replace(found, reproducer=output.absolute())


def refuse_unsafe(path: Path, detection: Detection, settings: Settings) -> None:
    """Raise `UnsafeFileError` for a file that may run its author's code, where the jail is too weak."""
    from zoo import safety, sandbox

    if settings.sandbox not in JAILS:
        raise UsageError(f"no sandbox level {settings.sandbox!r}", hint=f"Levels: {', '.join(JAILS)}.")
    found = sandbox.level()
    if settings.trust or JAILS.index(found) >= JAILS.index(settings.sandbox):
        return
    safety.require_allowed(path, safety.assess(path, detection), found, settings.sandbox)


# --- a live model, in process --------------------------------------------------------------------------


def export(
    model: object, sample: Tensors, output: Path, request: ConversionRequest, settings: Settings
) -> VerifiedModel:
    """Convert a live model in this process, prove it, and write it.

    `sample` goes to the converter as ``request.sample``.
    """
    from zoo.jobs import Clock
    from zoo.tensors import save_tensors
    from zoo.worker import convert_loaded, noise_of_loaded

    refuse_outputs(output, settings.force)
    converter = plugins.converter(request.framework)
    with workspace() as folder:
        save_tensors(folder / "sample.npz", sample)
        request = replace(request, sample=folder / "sample.npz")
        path = folder / "source" / output.name
        path.parent.mkdir()
        convert_loaded(converter, model, request, path, Clock())

        def ask(job: Job, place: Path) -> Path:
            place.mkdir()
            noise_of_loaded(converter, model, replace(job, request=request), place)
            return place

        proof = judged_here(path, folder, settings, ask)
        return _published(proof, replace(request, sample=None), output, settings)


def framework_of(model: object) -> str:
    """The converter for a live model, from the modules of its classes; nothing is imported."""
    table = {
        "sklearn": "sklearn",
        "torch": "torch",
        "keras": "tensorflow",
        "tf_keras": "tensorflow",
        "tensorflow": "tensorflow",
        "xgboost": "xgboost",
        "lightgbm": "lightgbm",
        "catboost": "catboost",
        "jax": "jax",
        "jaxlib": "jax",
        "flax": "jax",
        "equinox": "jax",
        "function": "jax",  # of these frameworks JAX alone has models that are plain functions
    }
    packages = [cls.__module__.partition(".")[0] for cls in type(model).__mro__]
    packages += ["function"] if isinstance(model, FunctionType) else []
    # A booster's scikit-learn wrapper is a booster first: its own package comes before sklearn's.
    for package in packages:
        if package in table:
            return table[package]
    raise UsageError(
        f"no converter for a {type(model).__module__}.{type(model).__qualname__}",
        hint="It takes scikit-learn estimators, boosters, torch modules, Keras models, JAX functions.",
    )
