"""The public verbs. Each takes plain values, and each option has the command line's name.

Paths may be `str` or `pathlib.Path`. All raise `zoo.errors.ZooError` subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.records import (
    Artifact,
    ConversionRequest,
    RegistryEntry,
    VerificationReport,
    VerifiedModel,
)
from zoo.settings import AnyPath, as_path, settings_from

if TYPE_CHECKING:
    from zoo.proof import Bisection
    from zoo.runtime import LoadedModel


def pull(
    ref: str,
    *,
    output: AnyPath | None = None,
    sha256: str | None = None,
    sources: Sequence[str] = (),
    locked: AnyPath | None = None,
    registry: AnyPath | None = None,
    cache: AnyPath | None = None,
    offline: bool | None = None,
    allow_private: bool = False,
    max_rate: float | None = None,
    deadline: float | None = None,
    force: bool = False,
    refresh: bool = False,
    keep_unverified: bool = False,
    trust: bool = False,
    sandbox: str | None = None,
    isolated: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    progress: bool = False,
    on_stage: Callable[[str], None] | None = None,
) -> VerifiedModel:
    """Bring a model of the registry, or a source string, as an ONNX file that was verified.

    Args:
        ref: ``name[:variant]``, or a source such as ``hf:org/repo@revision/model.onnx``.
        output: copy the model to this file or folder; without it the path lies in the store.
        sha256: the digest that a source string must have. Without it the digest is recorded at the
            first pull and must be the same at every later one.
        sources: source strings to try before the registry's own.
        locked: a lock file (`zoo.lock`); anything that is not what it says is refused.
        offline: answer from the store and open no socket (default: ``ZOO_OFFLINE``).
        allow_private: fetch from private addresses that the registry names.
        max_rate: bytes per second; `deadline`: seconds for one file over all its sources.
        force: overwrite `output`.
        refresh: verify anew what the store already holds.
        keep_unverified: keep a model whose outputs differ; its metadata says so.
        trust: load what a source string brought even if it could run its author's code.
        sandbox: the weakest jail for such a file: ``"rlimits"``, ``"landlock+seccomp"`` or ``"bwrap"``.
        isolated: load the source in the environment of its lock file, even if the current one would do.
        timeout, memory: bounds of a worker process, in seconds and GiB.

    Raises:
        UnknownModelError, FetchError, DigestMismatchError, ConversionError, VerificationError.
    """
    from zoo import pipeline, projects, selection

    settings = settings_from(
        registry=registry, cache=cache, offline=offline, sources=tuple(sources), allow_private=allow_private,
        max_rate=max_rate, deadline=deadline, force=force, refresh=refresh,
        keep_unverified=keep_unverified, trust=trust, sandbox=sandbox, isolated=isolated, rtol=rtol,
        atol=atol, timeout=timeout, memory=memory, progress=progress, on_stage=on_stage,
    )  # fmt: skip
    entry = selection.entry_for(ref, settings, sha256)
    if locked is not None:
        verified = projects.pull_locked(entry, Path(locked), settings)
    else:
        verified = pipeline.pull(entry, settings)
    selection.trust_on_first_use(entry, verified, settings)
    return verified if output is None else pipeline.write_out(verified, Path(output), force)


def convert(
    path: AnyPath,
    output: AnyPath | None = None,
    *,
    framework: str | None = None,
    opset: int | None = None,
    input: Sequence[str] = (),
    sample: AnyPath | None = None,
    builder: str | None = None,
    builder_kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    float32: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    force: bool = False,
    keep_unverified: bool = False,
    trust: bool = False,
    sandbox: str | None = None,
    isolated: bool = False,
    cache: AnyPath | None = None,
    offline: bool | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> VerifiedModel:
    """Convert a model file or folder to ONNX and prove that it computes the same.

    Args:
        path: a file that scikit-learn, XGBoost, LightGBM, CatBoost, PyTorch, TensorFlow, Keras or TFLite
            wrote; which one is read from its content.
        output: the file to write, by default ``<stem>.onnx`` in the current folder.
        input: ``name:dtype[dim,…]`` for each input that the file does not describe; a name as a
            dimension makes it dynamic: ``"x:float32[batch,3,224,224]"``.
        sample: an ``.npz``, ``.npy`` or ``.csv`` file with typical rows.
        builder: ``module:callable`` that makes the torch module whose weights `path` holds.
        float32: compute in float32 where the source uses float64 (smaller, and measured).
        seed: of the random feeds.
        trust: load a file that could run its author's code, whatever the sandbox.
        sandbox: the weakest jail for such a file: ``"rlimits"``, ``"landlock+seccomp"`` or ``"bwrap"``.
        isolated: load the source in the environment of its lock file, even if the current one would do.

    Raises:
        OutputExistsError, UnsupportedFileError, ConversionError, VerificationError, UnsafeFileError.
    """
    from zoo import pipeline
    from zoo.artifacts import open_artifact

    source = Path(path)
    settings = settings_from(
        force=force, keep_unverified=keep_unverified, trust=trust, sandbox=sandbox, isolated=isolated,
        cache=cache, offline=offline, rtol=rtol, atol=atol, timeout=timeout, memory=memory, on_stage=on_stage,
    )  # fmt: skip
    request, detection = pipeline.request_for(
        open_artifact(source),
        framework,
        **_asked(opset, input, sample, seed, _options(options, builder, builder_kwargs, float32)),
    )
    target = Path(output) if output is not None else Path(f"{source.resolve().stem}.onnx")
    return pipeline.convert(request, detection, target, settings)


def verify(
    model: AnyPath,
    source: AnyPath | None = None,
    *,
    framework: str | None = None,
    input: Sequence[str] = (),
    sample: AnyPath | None = None,
    data_sets: AnyPath | None = None,
    constants: Mapping[str, Any] | None = None,
    builder: str | None = None,
    builder_kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    trust: bool = False,
    sandbox: str | None = None,
    isolated: bool = False,
    registry: AnyPath | None = None,
    cache: AnyPath | None = None,
    offline: bool | None = None,
    refresh: bool = False,
    allow_private: bool = False,
    timeout: float | None = None,
    memory: float | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> VerificationReport:
    """Compare an ONNX file with the source it was made from, whoever made it.

    `model` may also be the name of a registry entry, which is then proven anew. Without `source` an
    ONNX file is compared with itself run without graph optimisations. Returns the report, also when its
    `verdict` is ``"mismatch"``.

    Args:
        data_sets: test data sets in the ONNX Model Zoo's form, a folder or a tar archive: their inputs are
            fed too, and their outputs are the reference there. Default: ``test_data_set_*`` beside the model.
        constants: values of inputs that the ONNX file has and its source has not: ``{"sr": 16000}``.
        refresh: ask the source anew, though its answers were kept from an earlier run.
    """
    from zoo import pipeline, selection
    from zoo.artifacts import open_artifact

    settings = settings_from(
        refresh=refresh, trust=trust, sandbox=sandbox, isolated=isolated, rtol=rtol, atol=atol,
        registry=registry, cache=cache, offline=offline, allow_private=allow_private, timeout=timeout,
        memory=memory, constants=dict(constants or {}), on_stage=on_stage,
    )  # fmt: skip
    if source is None and not Path(model).exists():
        if data_sets is not None:
            raise UsageError(
                f"{model} is not a file: data sets go with one", hint="An entry's own are its samples."
            )
        return selection.reproven(str(model), settings)
    request, detection = pipeline.request_for(
        open_artifact(Path(model if source is None else source)),
        framework,
        **_asked(None, input, sample, seed, _options(options, builder, builder_kwargs, False)),
    )
    if data_sets is not None:
        request = replace(request, data_sets=(_given(data_sets),))
    return pipeline.verify(Path(model), request, detection, settings)


def bisect(
    model: AnyPath,
    source: AnyPath,
    output: AnyPath = "reproducer",
    *,
    framework: str | None = None,
    input: Sequence[str] = (),
    sample: AnyPath | None = None,
    builder: str | None = None,
    builder_kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    force: bool = False,
    trust: bool = False,
    sandbox: str | None = None,
    isolated: bool = False,
    cache: AnyPath | None = None,
    offline: bool | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Bisection:
    """Find the first node of an ONNX file that computes something else than its source.

    What is inside the source (torch modules, Keras layers, steps of a pipeline) is recognised in the graph by
    its values. A minimal model with its inputs and the draft of an issue go to the folder `output`.

    Raises `UsageError` for a file that computes what its source computes.
    """
    from zoo import pipeline
    from zoo.artifacts import open_artifact

    settings = settings_from(
        force=force, trust=trust, sandbox=sandbox, isolated=isolated, cache=cache, offline=offline,
        timeout=timeout, memory=memory, on_stage=on_stage,
    )  # fmt: skip
    request, detection = pipeline.request_for(
        open_artifact(Path(source)),
        framework,
        **_asked(None, input, sample, seed, _options(options, builder, builder_kwargs, False)),
    )
    return pipeline.bisect(Path(model), request, detection, Path(output), settings)


def export(
    model: object,
    sample: object,
    path: AnyPath,
    *,
    opset: int | None = None,
    input: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    float32: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    force: bool = False,
    keep_unverified: bool = False,
) -> VerifiedModel:
    """Convert a live model in this process, from training code, and prove it.

    Args:
        model: a fitted scikit-learn estimator or booster, a torch module, or a Keras model.
        sample: typical inputs: an array, a tensor, a tuple of them, a mapping by input name, or a frame.
        path: the ONNX file to write.

    Raises:
        ConversionError, VerificationError, OutputExistsError.
    """
    from zoo import pipeline
    from zoo.sampling import named_tensors

    settings = settings_from(force=force, keep_unverified=keep_unverified, rtol=rtol, atol=atol)
    request = ConversionRequest(
        Artifact(Path("live"), "", 0),
        pipeline.framework_of(model),
        "live",
        **_asked(opset, input, None, seed, _options(options, None, None, float32)),
    )
    return pipeline.export(model, named_tensors(sample), Path(path), request, settings)


def load(ref: AnyPath, **options: Any) -> LoadedModel:
    """A ready ONNX Runtime session for a registry entry (pulled if need be) or an ONNX file.

    `options` are those of `pull`. Example::

        model = zoo.load("magika")
        outputs = model({"bytes": array})
    """
    from zoo.runtime import LoadedModel

    path = Path(ref)
    if path.suffix == ".onnx" and path.exists():
        return LoadedModel(path)
    return LoadedModel(pull(str(ref), **options).path)


def list(*, registry: AnyPath | None = None) -> tuple[RegistryEntry, ...]:
    """Every entry of the registry, in its order."""
    from zoo.registry import load as load_registry

    return tuple(load_registry(as_path(registry)).entries())


def search(text: str, *, registry: AnyPath | None = None) -> tuple[RegistryEntry, ...]:
    """Entries whose name, alias, task or description holds every word of `text`; best first."""
    from zoo.registry import load as load_registry

    return tuple(load_registry(as_path(registry)).search(text))


def info(
    ref: str, *, registry: AnyPath | None = None, cache: AnyPath | None = None
) -> tuple[RegistryEntry, VerifiedModel | None]:
    """An entry, and what the store holds of it (None before the first pull)."""
    from zoo import pulled, selection
    from zoo.store import Store

    settings = settings_from(registry=registry, cache=cache)
    entry = selection.entry_for(ref, settings)
    return entry, pulled.recalled(entry, Store.open(settings.cache))


def samples(
    ref: str,
    *,
    registry: AnyPath | None = None,
    cache: AnyPath | None = None,
    offline: bool | None = None,
    allow_private: bool = False,
    progress: bool = False,
) -> tuple[Path, ...]:
    """Fetch the sample inputs of an entry, such as a recording for a speech model; their paths."""
    from zoo import pipeline, selection

    settings = settings_from(
        registry=registry, cache=cache, offline=offline, allow_private=allow_private, progress=progress
    )
    return pipeline.samples(selection.entry_for(ref, settings), settings)


def _given(path: AnyPath) -> Path:
    if not Path(path).exists():
        raise UsageError(f"{path} does not exist")
    return Path(path).absolute()


def parse_input(text: str) -> Any:
    """A `TensorSpec` from ``name:dtype[dim,…]``; raises `UsageError` that shows the form."""
    import re

    from zoo.records import TensorSpec

    match = re.fullmatch(r"(?P<name>.+?):(?P<dtype>[a-z]+\d*)\[(?P<dims>[^\]]*)\]", text.strip())
    if match is None:
        raise UsageError(
            f"--input {text!r} is not name:dtype[dim,…]",
            hint="For example: --input 'x:float32[batch,3,224,224]'; a name as a dimension is dynamic.",
        )
    dims = [dim.strip() for dim in match["dims"].split(",") if dim.strip()]
    shape = tuple(int(dim) if dim.lstrip("-").isdigit() else dim for dim in dims)
    return TensorSpec(match["name"], match["dtype"], shape)


def _asked(
    opset: int | None, input: Sequence[str], sample: AnyPath | None, seed: int, options: dict[str, Any]
) -> dict[str, Any]:
    return {
        "opset": opset,
        "inputs": tuple(parse_input(text) for text in input),
        "sample": None if sample is None else Path(sample).absolute(),
        "seed": seed,
        "options": options,
    }


def _options(
    options: Mapping[str, Any] | None,
    builder: str | None,
    builder_kwargs: Mapping[str, Any] | None,
    float32: bool,
) -> dict[str, Any]:
    given = dict(options or {})
    if builder is not None:
        given["builder"] = builder
    if builder_kwargs:
        given["builder_kwargs"] = dict(builder_kwargs)
    if float32:
        given["float32"] = True
    return given
