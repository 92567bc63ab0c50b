"""A certificate as a CycloneDX ML-BOM (specification 1.6, https://cyclonedx.org/capabilities/mlbom/)."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zoo.records import Licence
    from zoo.verification.certificate import Certificate, CertifiedOutput


def cyclonedx(certificate: Certificate) -> str:
    """The bill of materials as JSON: the model with its card, its source file, and the software.

    Deterministic: the serial number is derived from the model's digest.
    """
    model = certificate.model
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(model.sha256.encode()).digest()[:16])}",
        "version": 1,
        "metadata": {"component": _model(certificate)},
        "components": [_source(certificate), *_software(certificate)],
        "dependencies": [{"ref": "model", "dependsOn": ["source"]}],
    }
    if certificate.time is not None:
        bom["metadata"]["timestamp"] = certificate.time
    return json.dumps(bom, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _model(certificate: Certificate) -> dict[str, Any]:
    model = certificate.model
    component: dict[str, Any] = {
        "bom-ref": "model",
        "type": "machine-learning-model",
        "name": model.name,
        "version": model.sha256[:12],
        "hashes": [{"alg": "SHA-256", "content": model.sha256}],
        "modelCard": _card(certificate),
        "properties": [
            _property("zoo:graph_digest", model.graph_digest or "unknown"),
            _property("zoo:opset", str(model.opset)),
            _property("zoo:verdict", certificate.proof.verdict),
            _property("zoo:feeds_sha256", certificate.proof.feeds_sha256),
            _property("zoo:seed", str(certificate.proof.seed)),
        ],
    }
    licences = _licences(certificate.licence)
    return {**component, "licenses": licences} if licences else component


def _card(certificate: Certificate) -> dict[str, Any]:
    signature = certificate.model.signature
    return {
        "modelParameters": {
            "inputs": [{"format": str(spec)} for spec in signature.inputs],
            "outputs": [{"format": str(spec)} for spec in signature.outputs],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [m for output in certificate.proof.outputs for m in _metrics(output)]
        },
    }


def _metrics(output: CertifiedOutput) -> Iterator[dict[str, str]]:
    """Errors against the source, each a metric of the output it is of."""
    for kind in ("max_abs", "max_rel", "max_ulp", "used", "agreement"):
        value = getattr(output, kind)
        if value is not None:
            yield {"type": f"zoo:{kind}", "value": repr(value), "slice": output.name}


def _source(certificate: Certificate) -> dict[str, Any]:
    source = certificate.source
    return {
        "bom-ref": "source",
        "type": "data",
        "name": f"{source.framework} {source.kind}",
        "version": source.sha256[:12],
        "hashes": [{"alg": "SHA-256", "content": source.sha256}],
        "properties": [_property("zoo:converter", source.converter)],
    }


def _software(certificate: Certificate) -> Iterator[dict[str, Any]]:
    versions = {**certificate.source.versions, **certificate.environment}
    for name, version in sorted(versions.items()):
        yield {"bom-ref": f"software:{name}", "type": "library", "name": name, "version": version}


def _licences(licence: Licence) -> list[dict[str, Any]]:
    """Names, not ids: what a registry calls a licence need not be on the SPDX list."""
    named = dict.fromkeys(name for name in (licence.weights, licence.code) if name)
    return [{"license": {"name": name}} for name in named]


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}
