"""Source strings instead of names."""

from __future__ import annotations

import pytest

from tests.registry.files import DIGEST
from zoo.cli.main import run
from zoo.errors import UsageError
from zoo.records import FileSpec
from zoo.registry import entry_from_source, is_source, load
from zoo.registry.signature import parse_tensor
from zoo.registry.sources import malformation

GOOD = [
    "https://example.org/a/model.onnx?download=true",
    "hf:org/repo@main/sub/model.onnx",
    "hf:org/repo/model.onnx",
    "github-lfs:onnx/models@b1eeaa1/validated/x/model.onnx",
    "pypi:basic-pitch==0.4.0/basic_pitch-0.4.0-py2.py3-none-any.whl!basic_pitch/nmp.onnx",
    "npm:@scope/name@1.4.2!package/assets/model.onnx",
    "npm:name@1.4.2!package/model.onnx",
    "file:model.onnx",
    "s3://bucket/key/model.onnx",
]


@pytest.mark.parametrize("source", GOOD)
def test_sources_are_told_from_references(source: str) -> None:
    assert is_source(source)
    assert malformation(source) is None


@pytest.mark.parametrize("text", ["resnet50", "resnet50:int8", "resnet50:int8@1.0", "a/b", "C:\\m.onnx", ""])
def test_references_are_not_sources(text: str) -> None:
    assert not is_source(text)


def test_no_name_of_the_shipped_registry_reads_as_a_source() -> None:
    registry = load()
    refs = [*(str(entry.ref) for entry in registry.entries()), *registry.aliases]
    assert not [ref for ref in refs if is_source(ref)]


def test_every_source_of_the_shipped_registry_is_one() -> None:
    sources = [s for entry in load().entries() for file in entry.files for s in file.sources]
    assert len(sources) > 300
    assert not [source for source in sources if not is_source(source)]


def test_an_onnx_source_makes_a_zoo_entry() -> None:
    entry = entry_from_source("hf:org/repo@main/sub/My%20Model.onnx", f"sha256:{DIGEST.upper()}", 12)
    assert (entry.kind, entry.trust, entry.conversion) == ("zoo", "pinned", None)
    assert entry.files == (FileSpec("My_Model.onnx", DIGEST, 12, ("hf:org/repo@main/sub/My%20Model.onnx",)),)


def test_another_source_is_left_to_detection() -> None:
    entry = entry_from_source("pypi:p==1/p-1-py3-none-any.whl!p/data/net.pth", DIGEST)
    assert (entry.name, entry.kind, entry.conversion) == ("net", "converted", None)


def test_without_a_digest_the_first_use_is_trusted() -> None:
    entry = entry_from_source("https://example.org/m.onnx?sig=1#frag")
    assert (entry.trust, entry.files[0].sha256, entry.files[0].path) == ("first-use", None, "m.onnx")


@pytest.mark.parametrize(
    "source", ["https://example.org/..", "https://example.org/%2e%2e%2fetc", "file:../.hidden"]
)
def test_the_name_of_a_file_cannot_leave_its_folder(source: str) -> None:
    path = entry_from_source(source).files[0].path
    assert "/" not in path
    assert not path.startswith(".")


@pytest.mark.parametrize(
    ("source", "sha256", "size", "message"),
    [
        ("ftp://example.org/x", None, None, "not a source string"),
        ("resnet50", None, None, "not a source string"),
        ("hf:org", None, None, "not of the form"),
        ("http://example.org/m.onnx", None, None, "plain http"),
        ("file:m.onnx", "abc", None, "64 hexadecimal digits, not 3 characters"),
        ("file:m.onnx", DIGEST, 0, "0 bytes"),
    ],
)
def test_malformed_arguments_are_refused(
    source: str, sha256: str | None, size: int | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        entry_from_source(source, sha256, size)


@pytest.mark.parametrize(
    "text", ["x:float32[batch,3,224,224]", "images:0:uint8[1,224,224,3]", "sr:int64[]", "s:string[n]"]
)
def test_tensors_are_read_as_they_are_written(text: str) -> None:
    assert str(parse_tensor(text)) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("htps://host/x.onnx", "did you mean https://host/x.onnx?"),
        ("htp://localhost/x", "did you mean http://localhost/x?"),
        ("hff:org/repo@main/model.onnx", "did you mean hf:org/repo@main/model.onnx?"),
        ("github-lsf:a/b@c/d", "did you mean github-lfs:a/b@c/d?"),
        ("ipfs://host/x", "Known: az, file, "),
    ],
)
def test_a_mistyped_scheme_is_answered_with_the_one_that_was_meant(text, hint, capsys):
    assert run(["pull", text]) == 2
    shown = capsys.readouterr().err
    assert f"{text!r} begins with {text.partition(':')[0]}:" in shown
    assert hint in shown


def test_a_reference_is_no_mistyped_source(capsys):
    assert run(["pull", "htps:x"]) != 2
    assert "'htps' is not in the registry" in capsys.readouterr().err
