"""The frozen records that flow between the stages.

Stages hand over these and nothing looser. Records also cross into the worker process as JSON
(see `zoo.wire`), where Python may be as old as 3.9: annotations here are evaluated there, hence
`Optional` and `Union` instead of `|`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

T = TypeVar("T")

if TYPE_CHECKING:
    from typing import dataclass_transform

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def record(cls: type[T]) -> type[T]: ...

else:

    def record(cls):
        """A frozen dataclass, slotted where the interpreter can (3.10)."""
        slots = {"slots": True} if sys.version_info >= (3, 10) else {}
        return dataclass(frozen=True, **slots)(cls)


Dim = Union[int, str]
"""A fixed size, or the name of a dynamic axis (``"batch"``)."""

Json = Union[None, bool, int, float, str, list, dict]  # type: ignore[type-arg]


# --- what is asked for ------------------------------------------------------------------------


@record
class ModelRef:
    """A reference ``name[:variant][@revision]``, such as ``resnet50:int8``."""

    name: str
    variant: Optional[str] = None
    revision: Optional[str] = None

    @classmethod
    def parse(cls, text: str) -> ModelRef:
        """Read the reference grammar; a source string such as ``hf:…`` is not a reference."""
        rest, _, revision = text.partition("@")
        name, _, variant = rest.partition(":")
        return cls(name.strip(), variant.strip() or None, revision.strip() or None)

    def __str__(self) -> str:
        variant = f":{self.variant}" if self.variant else ""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.name}{variant}{revision}"


# --- what the registry says ---------------------------------------------------------------------


@record
class TensorSpec:
    """An input or output: numpy dtype name (``"string"`` for text) and shape."""

    name: str
    dtype: str
    shape: tuple[Dim, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}:{self.dtype}[{','.join(map(str, self.shape))}]"


@record
class Signature:
    """The inputs and outputs of a model, in order."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@record
class Tolerance:
    """The bound ``|actual - expected| <= atol + rtol * |expected|``."""

    rtol: float = 1e-3
    atol: float = 1e-5


@record
class Licence:
    """Licences as SPDX ids where one exists; `source` says where each was read."""

    code: Optional[str] = None
    weights: Optional[str] = None
    data: Optional[str] = None
    source: Optional[str] = None


@record
class FileSpec:
    """A file to fetch: its place in the model's folder, its bytes, and where to get them.

    `sha256` is None only for a source string given by the user (trust on first use).
    """

    path: str
    sha256: Optional[str]
    size: Optional[int]
    sources: tuple[str, ...]
    etag: Optional[str] = None
    last_modified: Optional[str] = None
    """What the first source answered at pinning: they tell a changed file from a damaged one."""
    allow_private: bool = False
    """Whether its sources may be private addresses, as those of a mirror inside a house are."""


@record
class Conversion:
    """How a converted entry becomes ONNX: the converter's framework, kind of file and options."""

    framework: str
    kind: Optional[str] = None
    opset: Optional[int] = None
    options: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[TensorSpec, ...] = ()
    graph_digest: Optional[str] = None


@record
class RegistryEntry:
    """One model variant of the registry, all defaults applied.

    `kind` is ``"zoo"`` (ONNX at the source) or ``"converted"`` (then `conversion` is set).
    `files[0]` is the main file; the others lie beside it under their `path`.
    """

    name: str
    variant: Optional[str]
    kind: str
    task: str
    files: tuple[FileSpec, ...]
    licence: Licence = Licence()
    description: str = ""
    aliases: tuple[str, ...] = ()
    signature: Optional[Signature] = None
    preprocessing: dict[str, Any] = field(default_factory=dict)
    postprocessing: dict[str, Any] = field(default_factory=dict)
    labels: Optional[str] = None
    samples: tuple[FileSpec, ...] = ()
    tolerance: Optional[Tolerance] = None
    verification: dict[str, Any] = field(default_factory=dict)
    """Options of the proof, such as ``feeds``: what values an input accepts."""
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    conversion: Optional[Conversion] = None
    trust: str = "pinned"

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.name, self.variant)


# --- bytes that were checked --------------------------------------------------------------------


@record
class Artifact:
    """A source model on disk whose bytes were hashed: a file, or a folder (SavedModel).

    `digest` is the sha256 of the file; of a folder, the sha256 over its sorted
    ``relative path NUL sha256 NL`` lines. `files` are those that make it up where it is more than one
    file, {path in its folder: sha256}: a folder's, or the given file with those beside it that it needs.
    """

    path: Path
    digest: str
    size: int
    files: dict[str, str] = field(default_factory=dict)


@record
class Detection:
    """What wrote a file, from its content alone.

    `framework` names the converter (``"sklearn"``, ``"torch"``, ``"tensorflow"``, ``"onnx"``, …),
    `kind` the form (``"pickle"``, ``"joblib"``, ``"torchscript"``, ``"saved_model"``, …).
    `details` holds what was read on the way (library versions, class names, opset).
    """

    framework: str
    kind: str
    description: str
    details: dict[str, Any] = field(default_factory=dict)


# --- conversion -----------------------------------------------------------------------------------


@record
class Needs:
    """What the jobs of a converter need beyond a Python: see `zoo.interfaces.Converter`."""

    java: Optional[int] = None
    """The lowest major version of Java whose virtual machine the job loads into its own process."""
    java_newest: Optional[int] = None
    """The newest that will do."""
    loopback: bool = False
    """Whether its process must listen on, and connect to, a loopback interface: one that nobody else has."""


@record
class ConversionRequest:
    """Everything that determines the result of a conversion; `key` is its digest."""

    artifact: Artifact
    framework: str
    kind: str
    opset: Optional[int] = None
    options: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[TensorSpec, ...] = ()
    sample: Optional[Path] = None
    """An .npz, .npy or .csv file with rows like those the model was fitted on."""
    seed: int = 0
    data_sets: tuple[Path, ...] = ()
    """Test data sets (``input_N.pb``, ``output_N.pb``): folders or tar archives."""

    @property
    def key(self) -> str:
        """The sha256 of the source's digests, framework, kind, opset, options and inputs."""
        source = [self.artifact.digest, self.artifact.files]
        parts = [*source, self.framework, self.kind, self.opset, self.options]
        inputs = [dataclasses.asdict(spec) for spec in self.inputs]
        sample = None if self.sample is None else hashlib.sha256(self.sample.read_bytes()).hexdigest()
        text = json.dumps([*parts, inputs, sample], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@record
class ColumnDomain:
    """What is known of the values of one feature, for the feeds of the verifier."""

    low: Optional[float] = None
    high: Optional[float] = None
    values: tuple[float, ...] = ()
    """Values where the answer may jump: split thresholds, bin edges, fitted data."""
    categories: tuple[Union[str, float], ...] = ()
    texts: tuple[str, ...] = ()
    accepts_nan: bool = False
    accepts_unknown: bool = True
    """Whether the source answers for categories that it was not fitted on."""
    integral: bool = False


@record
class Domain:
    """One `ColumnDomain` for all elements of an input, or one for each index of its last axis."""

    columns: tuple[ColumnDomain, ...] = (ColumnDomain(),)


@record
class SourceDescription:
    """What a converter knows of a loaded model: its signature and what to feed it.

    `domains[i]` belongs to `signature.inputs[i]`. `roles` says what an output is
    (``"label"``, ``"probabilities"``, ``"scores"``, ``"values"``).
    """

    signature: Signature
    domains: tuple[Domain, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    axes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Sizes of a dynamic axis that the source is known to accept, such as ``{"height": (64, 96)}``."""
    arithmetic: Optional[str] = None
    """``"float16"`` or ``"bfloat16"``, where parts are computed in it whatever the outputs are."""


@record
class OnnxModel:
    """An ONNX file with its facts. `digest` is of the file, `graph_digest` canonical."""

    path: Path
    digest: str
    size: int
    opset: int
    ir_version: int
    signature: Signature
    metadata: dict[str, str] = field(default_factory=dict)
    graph_digest: Optional[str] = None


# --- verification ---------------------------------------------------------------------------------


@record
class SourceEnvironment:
    """The Python that ran the source: ``"current"`` or the name of a lock file, whose sha256 is `lock`."""

    name: str
    python: str
    lock: Optional[str] = None

    def __str__(self) -> str:
        lock = "" if self.lock is None else f", lock {self.lock[:12]}"
        return f"{self.name} (Python {self.python}{lock})"


@record
class FeedCase:
    """One feed of the verifier: a family of input values at one batch size."""

    name: str
    family: str
    batch: int
    seed: int


@record
class OutputComparison:
    """How one output of one case compares. Errors are absolute unless named otherwise."""

    output: str
    passed: bool
    dtype: str
    shape: tuple[int, ...]
    max_abs: Optional[float] = None
    max_rel: Optional[float] = None
    mean_abs: Optional[float] = None
    cosine: Optional[float] = None
    agreement: Optional[float] = None
    """Share of equal labels or strings, 0 to 1."""
    reason: Optional[str] = None
    """Why it failed, with values; None when it passed."""
    details: dict[str, Any] = field(default_factory=dict)


@record
class CaseResult:
    """One case: the comparison of every output, or why it could not be compared."""

    case: FeedCase
    outputs: tuple[OutputComparison, ...] = ()
    error: Optional[str] = None
    skipped: Optional[str] = None

    @property
    def passed(self) -> bool:
        return self.error is None and all(output.passed for output in self.outputs)


@record
class VerificationReport:
    """The verdict over all cases. `verdict` is ``"verified"``, ``"mismatch"`` or ``"unproven"``."""

    verdict: str
    reference: str
    """What the outputs were compared with, such as ``"scikit-learn 1.9.1"``."""
    tolerance: Tolerance
    cases: tuple[CaseResult, ...]
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    environment: Optional[SourceEnvironment] = None
    tolerance_class: Optional[str] = None
    """``"quantised"`` or ``"dynamic-range"``, where the source's arithmetic is coarser than its dtypes."""
    optimisation: str = "all"
    """The level of ONNX Runtime's graph optimisation at which the model was verified."""

    @property
    def passed(self) -> bool:
        return self.verdict == "verified"


@record
class VerifiedModel:
    """What `pull` and `convert` give back: the ONNX file and the report that proves it."""

    model: OnnxModel
    report: Optional[VerificationReport]
    entry: Optional[RegistryEntry] = None
    detection: Optional[Detection] = None
    source_digest: Optional[str] = None
    revision: Optional[int] = None
    """Of the converter that wrote the file; None where the source is ONNX."""

    @property
    def path(self) -> Path:
        return self.model.path
