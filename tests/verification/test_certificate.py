from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.verification.graphs import save, seeded_mlp
from zoo.errors import UsageError, VerificationError
from zoo.jobs import CaseFile, CaseList
from zoo.provenance import append_metadata
from zoo.records import Licence, Signature, SourceDescription, TensorSpec
from zoo.tensors import save_tensors
from zoo.verification.bom import cyclonedx
from zoo.verification.certificate import (
    CertifiedSource,
    Feeds,
    beside,
    certify,
    dumps,
    loads,
    shape_ranges,
    write,
)
from zoo.verification.certificate_check import check_certificate
from zoo.verification.evidence import Answers, judge
from zoo.verification.feeds import make_feeds
from zoo.verification.inspection import inspect
from zoo.verification.runtime import Session
from zoo.verification.signing import sign, signed_certificate, verify_signature
from zoo.verification.tolerances import Policy

SOURCE = CertifiedSource(
    "torch", "torchscript", "ab" * 32, "converters.from_torch:TorchConverter", {"torch": "2.13"}
)


def proven(folder: Path):
    """A model with the feeds, answers and report of a proof against itself."""
    path = save(seeded_mlp(), folder)
    signature = Signature((TensorSpec("x", "float32", ("batch", 5)),))
    description = SourceDescription(signature, versions={"torch": "2.13"})
    session, files = Session(path), []
    for name in ("feeds", "outputs"):
        (folder / name).mkdir()
    for number, (case, feeds) in enumerate(make_feeds(description)):
        file = CaseFile(case, number)
        save_tensors(folder / "feeds" / file.name, feeds)
        save_tensors(folder / "outputs" / file.name, session.run(feeds))
        files.append(file)
    cases = CaseList(tuple(files), {"predict": 1.5})
    answers = Answers(cases, folder)
    return path, judge(answers, answers, description, Policy()), Feeds(cases, folder)


@pytest.fixture
def issued(tmp_path):
    path, report, feeds = proven(tmp_path)
    certificate = replace(
        certify(inspect(path), SOURCE, report, feeds),
        licence=Licence(code="Apache-2.0", weights="CC-BY-4.0"),
        environment={"onnxruntime": "1.32.0"},
        time="2026-11-24T08:00:00Z",
    )
    return path, certificate


def test_a_certificate_holds_what_was_proven(issued):
    path, certificate = issued
    assert certificate.model.sha256 == inspect(path).digest
    assert certificate.proof.verdict == "verified"
    assert (certificate.proof.tolerance_class, certificate.proof.optimisation) == (None, "all")
    assert {output.name for output in certificate.proof.outputs} == {"probabilities", "total"}
    assert certificate.proof.shapes == {"x": [[1, 300], [5, 5]]}
    assert len(certificate.proof.feeds_sha256) == 64


def test_the_same_proof_gives_the_same_bytes(tmp_path):
    texts = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        path, report, feeds = proven(folder)
        texts.append(dumps(certify(inspect(path), SOURCE, replace(report, seconds=len(texts)), feeds)))
    assert texts[0] == texts[1]


def test_it_comes_back_as_it_was_written(issued):
    assert loads(dumps(issued[1])) == issued[1]


def test_a_model_that_was_not_proven_gets_none(tmp_path):
    path, report, feeds = proven(tmp_path)
    with pytest.raises(VerificationError, match="no certificate"):
        certify(inspect(path), SOURCE, replace(report, verdict="mismatch"), feeds)


def test_other_feeds_have_another_digest(tmp_path):
    path, report, feeds = proven(tmp_path)
    before = certify(inspect(path), SOURCE, report, feeds).proof.feeds_sha256
    save_tensors(tmp_path / "feeds" / "000.npz", {"x": np.ones((1, 5), np.float32)})
    assert certify(inspect(path), SOURCE, report, feeds).proof.feeds_sha256 != before
    assert shape_ranges(feeds)["x"][1] == [5, 5]


def test_a_written_certificate_is_beside_and_inside_and_the_model_still_runs(issued):
    path, certificate = issued
    before = Session(path).run({"x": np.ones((2, 5), np.float32)})
    write(certificate, path)
    assert beside(path).name == "model.onnx.zoo.json"
    assert check_certificate(path).passed
    inside = {prop.key: prop.value for prop in onnx.load(str(path)).metadata_props}["zoo.certificate"]
    assert loads(inside) == certificate
    after = Session(path).run({"x": np.ones((2, 5), np.float32)})
    assert np.array_equal(before["probabilities"], after["probabilities"])


def test_the_one_inside_is_enough(issued):
    path, certificate = issued
    write(certificate, path)
    beside(path).unlink()
    check = check_certificate(path)
    assert check.passed
    assert check.certificate == certificate


def test_without_a_certificate_there_is_nothing_to_check(tmp_path):
    with pytest.raises(VerificationError, match="has no certificate"):
        check_certificate(save(seeded_mlp(), tmp_path))


def flip_a_weight(path):
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)


def cut_the_end(path):
    path.write_bytes(path.read_bytes()[:100])


def append_a_graph(path):
    other = seeded_mlp(seed=9)
    path.write_bytes(path.read_bytes() + onnx.ModelProto(graph=other.graph).SerializeToString())


def append_foreign_metadata(path):
    append_metadata(path, {"preprocessing": "BGR"})


def change_the_json(path):
    text = beside(path).read_text(encoding="utf-8")
    beside(path).write_text(text.replace('"torchscript"', '"state_dict"'), encoding="utf-8")


def certificate_of_another(path):
    other = json.loads(beside(path).read_text(encoding="utf-8"))
    other["model"]["sha256"] = "0" * 64
    beside(path).write_text(json.dumps(other), encoding="utf-8")


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (flip_a_weight, "is not the certified file"),
        (cut_the_end, "bytes, the certificate is for"),
        (append_a_graph, "not metadata: field 7"),
        (append_foreign_metadata, "'preprocessing' was appended"),
        (change_the_json, "one of them was changed"),
        (certificate_of_another, "is not the certified file"),
    ],
)
def test_tampering_is_found(issued, tamper, message):
    path, certificate = issued
    write(certificate, path)
    tamper(path)
    problems = check_certificate(path).problems
    assert len(problems) == 1
    assert message in problems[0]


def test_changed_external_data_is_found(issued, tmp_path):
    path, certificate = issued
    (tmp_path / "weights.bin").write_bytes(b"right")
    model = replace(certificate.model, files={"weights.bin": "0" * 64})
    write(replace(certificate, model=model), path)
    assert check_certificate(path).problems == ("weights.bin is not the certified file",)


def test_only_the_certified_bytes_get_the_certificate(issued):
    path, certificate = issued
    flip_a_weight(path)
    with pytest.raises(VerificationError, match="not the certified file"):
        write(certificate, path)


def test_another_format_is_refused(issued):
    with pytest.raises(VerificationError, match="zoo-certificate-9"):
        loads(dumps(replace(issued[1], format="zoo-certificate-9")))


@pytest.fixture(params=["ed25519", "ecdsa", "rsa"])
def keys(request, tmp_path):
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    made = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }

    def pair(name):
        key = made[request.param]()
        private, public = tmp_path / f"{name}.pem", tmp_path / f"{name}.pub.pem"
        private.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))
        return private, public

    return pair


def test_a_signature_holds_for_its_key_and_certificate_only(issued, keys):
    certificate = issued[1]
    private, public = keys("mine")
    envelope = sign(certificate, private)
    assert verify_signature(certificate, envelope, public)
    assert signed_certificate(envelope) == certificate
    with pytest.raises(VerificationError, match="does not hold"):
        verify_signature(certificate, envelope, keys("other")[1])
    with pytest.raises(VerificationError, match="another certificate"):
        verify_signature(replace(certificate, time="later"), envelope, public)


def test_a_changed_envelope_does_not_hold(issued, keys):
    private, public = keys("mine")
    envelope = json.loads(sign(issued[1], private))
    envelope["payload"] = envelope["payload"][:-8] + "AAAAAAA="
    with pytest.raises(VerificationError):
        verify_signature(issued[1], json.dumps(envelope), public)


def test_a_file_that_is_no_key_is_a_usage_error(issued, tmp_path):
    (tmp_path / "key.pem").write_text("hello")
    with pytest.raises(UsageError, match="cannot read the private key"):
        sign(issued[1], tmp_path / "key.pem")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_bill_of_materials_is_valid_cyclonedx_and_deterministic(issued):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = cyclonedx(issued[1])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text == cyclonedx(issued[1])
    component = json.loads(text)["metadata"]["component"]
    assert component["type"] == "machine-learning-model"
    assert component["hashes"][0]["content"] == issued[1].model.sha256


def test_a_file_that_is_no_model_and_has_no_certificate_is_told(tmp_path):
    (tmp_path / "page.onnx").write_bytes(b"<html>not found</html>")
    with pytest.raises(VerificationError, match="is not an ONNX file"):
        check_certificate(tmp_path / "page.onnx")
