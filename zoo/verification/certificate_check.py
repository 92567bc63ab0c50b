"""Is this file what its certificate says? Told from bytes alone: the model is not parsed or run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import VerificationError
from zoo.records import record
from zoo.verification.certificate import METADATA_KEY, Certificate, beside, dumps, loads
from zoo.verification.certified_bytes import appended, byte_problems, digest_of_first

if TYPE_CHECKING:
    from zoo.records import Artifact
    from zoo.verification.certificate import CertifiedSource


@record
class CertificateCheck:
    """A certificate with what was found wrong; `signed_by` are the ids of keys whose signatures hold."""

    certificate: Certificate
    problems: tuple[str, ...]
    signed_by: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems


def check_certificate(model: Path, certificate: Path | None = None) -> CertificateCheck:
    """Compare a model file, its external data and the embedded copy with the certificate beside it.

    Raises `VerificationError` where there is no certificate to compare with.
    """
    path = certificate or beside(model)
    if path.is_file():
        stated = loads(path.read_bytes())
    else:
        stated = _embedded_only(model, path)
    problems = [*byte_problems(stated, model), *_file_problems(stated, model.parent)]
    if not problems:
        problems += _copy_problems(stated, model)
    return CertificateCheck(stated, tuple(problems))


def _embedded_only(model: Path, path: Path) -> Certificate:
    text = embedded(model, 0)
    if text is None:
        raise VerificationError(
            f"{model.name} has no certificate, neither inside nor as {path.name}",
            hint="`zoo verify` and `zoo convert` write one when the proof succeeds.",
        )
    return loads(text)


def _file_problems(certificate: Certificate, folder: Path) -> list[str]:
    problems = []
    for name, sha256 in certificate.model.files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif digest_of_first(path, path.stat().st_size) != sha256:
            problems.append(f"{name} is not the certified file")
    return problems


def source_problems(made: CertifiedSource, found: Artifact) -> list[str]:
    """How the files of a source differ from those that the model was made from."""
    if not made.files and not found.files:
        same = found.digest == made.sha256
        return [] if same else [f"{found.path.name} is not the source: sha256 {found.digest}"]
    certified = made.files or {found.path.name: made.sha256}
    now = found.files or {found.path.name: found.digest}
    problems = [f"{name} of the source is missing" for name in sorted(certified.keys() - now.keys())]
    problems += [f"{name} was no part of the source" for name in sorted(now.keys() - certified.keys())]
    changed = [name for name in sorted(certified.keys() & now.keys()) if certified[name] != now[name]]
    return problems + [f"{name} is not the file that the model was made from" for name in changed]


def _copy_problems(certificate: Certificate, model: Path) -> list[str]:
    text = embedded(model, certificate.model.size)
    if text is None or text == dumps(certificate):
        return []
    return [f"the certificate beside {model.name} is not the one inside it: one of them was changed"]


def embedded(model: Path, start: int) -> str | None:
    """The last certificate in the metadata from byte `start` on, None where there is none."""
    found = [value for key, value in _entries(model, start) if key == METADATA_KEY]
    return found[-1] if found else None


def _entries(model: Path, start: int) -> list[tuple[str, str]]:
    if start:
        return appended(model, start)
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.load(str(model), load_external_data=False)
    except DecodeError as error:
        raise VerificationError(
            f"{model.name} is not an ONNX file, and has no certificate beside it"
        ) from error
    return [(prop.key, prop.value) for prop in proto.metadata_props]
