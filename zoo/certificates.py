"""The verbs over certificates: check, sign, and tell as a bill of materials. No model is parsed or run."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from zoo.errors import OutputExistsError, UsageError, VerificationError
from zoo.records import Artifact
from zoo.settings import AnyPath, as_path
from zoo.verification import signing
from zoo.verification.bom import cyclonedx
from zoo.verification.certificate import Certificate
from zoo.verification.certificate_check import CertificateCheck, source_problems
from zoo.verification.certificate_check import check_certificate as compared


def check_certificate(
    model: AnyPath,
    source: AnyPath | None = None,
    *,
    certificate: AnyPath | None = None,
    key: AnyPath | None = None,
) -> CertificateCheck:
    """Compare a model file with its certificate, and with `key` (a public key, PEM) who signed it.

    With `source` also every file that makes that up: they must be those that the model was made from. What
    was changed is in the result's `problems`. Raises `VerificationError` where there is no certificate, or
    with `key` no signature of that key over it.
    """
    path = _existing(model)
    checked = compared(path, as_path(certificate))
    if source is not None:
        found = source_problems(checked.certificate.source, _as_made(checked.certificate, Path(source)))
        checked = replace(checked, problems=(*checked.problems, *found))
    if key is None:
        return checked
    signature = signing.signature_path(path)
    if not signature.is_file():
        raise VerificationError(f"{path.name} is not signed", hint="`zoo sign MODEL --key key.pem` signs it.")
    signer = signing.verify_signature(checked.certificate, signature.read_text(encoding="utf-8"), Path(key))
    return replace(checked, signed_by=(signer,))


def _as_made(certificate: Certificate, source: Path) -> Artifact:
    """The files that make `source` up, looked for as at the conversion."""
    from zoo import pipeline
    from zoo.artifacts import open_artifact

    made, artifact = certificate.source, open_artifact(source)
    return pipeline.request_for(artifact, made.framework, options=made.options)[0].artifact


def sign(model: AnyPath, *, key: AnyPath, password: str | None = None, force: bool = False) -> Path:
    """Sign the certificate of a model with a private key (PEM), offline; the path of the signature.

    Raises `VerificationError` for a model that its certificate does not fit, `OutputExistsError` unless
    `force`. `password` opens an encrypted key; its default is ``ZOO_KEY_PASSWORD``.
    """
    path = _existing(model)
    certificate = _sound(path)
    target = signing.signature_path(path)
    if target.exists() and not force:
        raise OutputExistsError(f"{target} exists", hint="--force overwrites it.")
    secret = password if password is not None else os.environ.get("ZOO_KEY_PASSWORD")
    envelope = signing.sign(certificate, Path(key), None if secret is None else secret.encode())
    target.write_text(envelope, encoding="utf-8")
    return target


def bom(model: AnyPath) -> str:
    """The certificate of a model as a CycloneDX 1.6 ML-BOM, JSON."""
    return cyclonedx(_sound(_existing(model)))


def _sound(model: Path) -> Certificate:
    checked = compared(model)
    if not checked.passed:
        raise VerificationError(f"{model.name} does not fit its certificate: {checked.problems[0]}")
    return checked.certificate


def _existing(model: AnyPath) -> Path:
    path = Path(model)
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    return path
