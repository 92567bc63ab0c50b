"""Signatures over certificates, offline, with keys of the user's own.

A signature is a DSSE envelope (https://github.com/secure-systems-lab/dsse) around an in-toto statement
(https://github.com/in-toto/attestation, v1) whose subjects are the model's files and whose predicate is
the certificate: what cosign and other tools of the field read. The cryptography is securesystemslib's.
Keys are PEM: Ed25519, ECDSA or RSA (``openssl genpkey -algorithm ed25519``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zoo import wire
from zoo.errors import MissingPackageError, UsageError, VerificationError
from zoo.verification.certificate import Certificate, loads

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://github.com/onnx-zoo-pipeline/certificate/v1"
SUFFIX = ".zoo.sig.json"


def signature_path(model: Path) -> Path:
    """Where the signature of a model's certificate lies."""
    return model.with_name(model.name + SUFFIX)


def statement(certificate: Certificate) -> bytes:
    """The in-toto statement that is signed, as deterministic JSON."""
    stated = certificate.model
    files = {stated.name: stated.sha256, **stated.files}
    body = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in sorted(files.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": wire.to_json(certificate),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(certificate: Certificate, private_key: Path, password: bytes | None = None) -> str:
    """The DSSE envelope as JSON. Raises `UsageError` for a key that cannot be read."""
    dsse, signer = _library()
    envelope = dsse.Envelope(statement(certificate), PAYLOAD_TYPE, {})
    envelope.sign(signer.CryptoSigner(_private_key(private_key, password)))
    return json.dumps(envelope.to_dict(), sort_keys=True, indent=1) + "\n"


def verify_signature(certificate: Certificate, envelope: str, public_key: Path) -> str:
    """The id of the key when its signature over exactly this certificate holds.

    Raises `VerificationError` when it does not, `UsageError` for a key that cannot be read.
    """
    dsse, signer = _library()
    key = signer.SSlibKey.from_crypto(_public_key(public_key))
    from securesystemslib.exceptions import VerificationError as Rejected

    try:
        opened = dsse.Envelope.from_dict(json.loads(envelope))
        opened.verify([key], 1)
    except (Rejected, ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"the signature does not hold for this key: {error}") from error
    if opened.payload_type != PAYLOAD_TYPE or opened.payload != statement(certificate):
        raise VerificationError("the signature is for another certificate")
    return str(key.keyid)


def signed_certificate(envelope: str) -> Certificate:
    """The certificate inside an envelope, unverified."""
    import base64

    try:
        payload = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
        return loads(json.dumps(payload["predicate"]))
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"this is no signature of a certificate: {error}") from error


def _library() -> tuple[Any, Any]:
    try:
        from securesystemslib import dsse, signer
    except ImportError as error:
        raise MissingPackageError(
            "securesystemslib is not installed", hint="pip install 'onnx-zoo-pipeline[sign]'"
        ) from error
    return dsse, signer


def _private_key(path: Path, password: bytes | None) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(path.read_bytes(), password)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"cannot read the private key {path}: {error}", hint=_HOW) from error


def _public_key(path: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"cannot read the public key {path}: {error}", hint=_HOW) from error


_HOW = (
    "Make a pair with `openssl genpkey -algorithm ed25519 -out key.pem`"
    " and `openssl pkey -in key.pem -pubout -out key.pub.pem`."
)
