"""The certificate of a proven model: what was compared with what, how, and with which result.

It lies beside the model as ``model.onnx.zoo.json`` and, without a digest of itself, inside it as the
metadata ``zoo.certificate``. The same proof gives the same bytes, but for `time`. A certificate states;
who states it is for a signature to say (`zoo.verification.signing`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import wire
from zoo.errors import VerificationError
from zoo.records import Licence, Signature, record
from zoo.verification.certified_bytes import require_bytes
from zoo.verification.stored import StoredTensors
from zoo.verification.verdict import worst_output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zoo.jobs import CaseFile, CaseList
    from zoo.records import OnnxModel, OutputComparison, VerificationReport

FORMAT = "zoo-certificate-1"
METADATA_KEY = "zoo.certificate"
SUFFIX = ".zoo.json"


@record
class CertifiedModel:
    """The ONNX file: `sha256` is that of its first `size` bytes, for the certificate itself and other
    ``zoo.*`` metadata are appended behind them. `files` are its external data, path to sha256."""

    name: str
    sha256: str
    size: int
    graph_digest: str | None
    opset: int
    ir_version: int
    signature: Signature
    files: dict[str, str] = field(default_factory=dict)


@record
class CertifiedSource:
    """What the model was made from and by what; `options` are those of the conversion.

    `sha256` is that of the given file or folder; `files` are all that make it up where there are several,
    path in its folder to sha256.
    """

    framework: str
    kind: str
    sha256: str
    converter: str
    versions: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


@record
class CertifiedOutput:
    """The largest errors of one output over all cases; `used` is the share of its bound, `basis` how the
    bound was found, `label_flips` those inside the rounding noise."""

    name: str
    dtype: str
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: float | None = None
    min_cosine: float | None = None
    used: float | None = None
    basis: str | None = None
    agreement: float | None = None
    label_flips: int = 0


@record
class CertifiedProof:
    """The comparison: feeds by seed and digest, the sizes that every input was fed in, and the outputs."""

    verdict: str
    reference: str
    seed: int
    feeds_sha256: str
    cases: tuple[str, ...]
    skipped: tuple[str, ...]
    shapes: dict[str, Any]
    """For each input and axis the least and the largest size: ``{"x": [[1, 300], [4, 4]]}``."""
    outputs: tuple[CertifiedOutput, ...]
    worst: str | None = None
    notes: tuple[str, ...] = ()
    tolerance_class: str | None = None
    """``"quantised"`` or ``"dynamic-range"``: the source's arithmetic is coarser than its dtypes."""
    optimisation: str = "all"
    """The level of ONNX Runtime's graph optimisation that the proof is for."""


@record
class Certificate:
    """Everything an engineer signs. `environment` holds the versions of what ran the graph, and the digest
    of the lock file of the converter's environment as ``lock`` where there was one."""

    model: CertifiedModel
    source: CertifiedSource
    proof: CertifiedProof
    licence: Licence = Licence()
    environment: dict[str, str] = field(default_factory=dict)
    time: str | None = None
    format: str = FORMAT


@record
class Feeds:
    """The cases of a source worker, and the folder that holds ``feeds/NNN.npz``."""

    cases: CaseList
    folder: Path

    def files(self) -> Iterable[CaseFile]:
        return [file for file in self.cases.cases if file.refusal is None]


def certify(
    model: OnnxModel, source: CertifiedSource, report: VerificationReport, feeds: Feeds
) -> Certificate:
    """The certificate of a report that passed; `dataclasses.replace` adds licence, environment and time.

    Raises `VerificationError` for one that did not: nothing else is ever certified.
    """
    if not report.passed:
        raise VerificationError(f"a model that is {report.verdict!r} gets no certificate")
    worst = worst_output(report)
    proof = CertifiedProof(
        report.verdict,
        report.reference,
        report.seed,
        feeds_digest(feeds),
        tuple(case.case.name for case in report.cases if case.skipped is None),
        tuple(case.case.name for case in report.cases if case.skipped is not None),
        shape_ranges(feeds),
        tuple(_outputs(report)),
        worst=None if worst is None else f"{worst[1].output} in {worst[0].case.name}",
        notes=report.notes,
        tolerance_class=report.tolerance_class,
        optimisation=report.optimisation,
    )
    return Certificate(_certified_model(model), source, proof)


def _certified_model(model: OnnxModel) -> CertifiedModel:
    facts = (model.graph_digest, model.opset, model.ir_version, model.signature)
    return CertifiedModel(model.path.name, model.digest, model.size, *facts)


def feeds_digest(feeds: Feeds) -> str:
    """sha256 over every case's name and, for each input, its name, dtype, shape and bytes."""
    digest = hashlib.sha256()
    for file in feeds.files():
        digest.update(f"{file.case.name}\n".encode())
        for name, array in StoredTensors(feeds.folder / "feeds" / file.name).items():
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def shape_ranges(feeds: Feeds) -> dict[str, Any]:
    """The least and the largest size of each axis of each input over all cases."""
    ranges: dict[str, list[list[int]]] = {}
    for file in feeds.files():
        for name, array in StoredTensors(feeds.folder / "feeds" / file.name).items():
            seen = ranges.setdefault(name, [[size, size] for size in array.shape])
            for axis, size in enumerate(array.shape):
                seen[axis] = [min(seen[axis][0], size), max(seen[axis][1], size)]
    return dict(ranges)


def _outputs(report: VerificationReport) -> Iterable[CertifiedOutput]:
    by_name: dict[str, list[OutputComparison]] = {}
    for case in report.cases:
        for output in case.outputs:
            by_name.setdefault(output.output, []).append(output)
    for name, outputs in by_name.items():
        bases = {o.details["bound"]["basis"] for o in outputs if "bound" in o.details}
        yield CertifiedOutput(
            name,
            outputs[0].dtype,
            max_abs=_largest(o.max_abs for o in outputs),
            max_rel=_largest(o.max_rel for o in outputs),
            max_ulp=_largest(o.details.get("ulp_max") for o in outputs),
            min_cosine=_smallest(o.cosine for o in outputs),
            used=_largest(o.details.get("used") for o in outputs),
            basis=", ".join(sorted(bases)) or None,
            agreement=_smallest(o.agreement for o in outputs),
            label_flips=sum(o.details.get("near_ties", 0) for o in outputs),
        )


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _smallest(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def dumps(certificate: Certificate) -> str:
    """Deterministic JSON: sorted keys, no choice of spaces, one line feed at the end."""
    return json.dumps(wire.to_json(certificate), sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def loads(text: str | bytes) -> Certificate:
    """Read `dumps` back; `VerificationError` for anything else."""
    try:
        certificate = wire.loads(Certificate, text)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise VerificationError(f"this is no certificate: {error}") from error
    if certificate.format != FORMAT:
        raise VerificationError(
            f"the certificate is of the format {certificate.format!r}, not {FORMAT!r}",
            hint="It was written by another version of zoo.",
        )
    return certificate


def beside(model: Path) -> Path:
    """Where the certificate of a model file lies."""
    return model.with_name(model.name + SUFFIX)


def write(certificate: Certificate, model: Path) -> Path:
    """Append the certificate to the file as metadata, and write it beside it; returns that path.

    The file must hold exactly the certified bytes, with nothing but ``zoo.*`` metadata behind them.
    """
    from zoo.provenance import append_metadata

    require_bytes(certificate, model)
    append_metadata(model, {METADATA_KEY: dumps(certificate)})
    path = beside(model)
    path.write_text(dumps(certificate), encoding="utf-8")
    return path
