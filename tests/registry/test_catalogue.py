"""Finding entries, and what is said when there is none."""

from __future__ import annotations

import pytest

from tests.registry.files import DIGEST, ENTRY, written
from zoo.errors import RegistryError, UnknownModelError
from zoo.records import FileSpec, ModelRef, Signature, TensorSpec
from zoo.registry import Registry, load


@pytest.fixture
def registry(tmp_path) -> Registry:
    return load(written(tmp_path))


def test_a_name_finds_its_default_variant(registry: Registry) -> None:
    entry = registry.find("tiny")
    assert entry.variant is None
    assert entry.files == (FileSpec("tiny.onnx", DIGEST, 10, ("https://example.org/tiny.onnx",)),)
    assert entry.signature == Signature(
        (TensorSpec("x", "float32", ("batch", 4)),), (TensorSpec("y:0", "float32", ("batch", 2)),)
    )
    assert entry.metrics == {"top1": 70.5}


def test_the_default_variant_has_a_name(registry: Registry) -> None:
    assert registry.find("tiny:fp32") == registry.find("tiny")


def test_a_variant_inherits_all_but_metrics(registry: Registry) -> None:
    entry = registry.find(ModelRef("tiny", "int8"))
    assert entry.licence.weights == "MIT"
    assert entry.preprocessing == {"scale": "1/255"}
    assert entry.provenance == {"version": "1.3.0", "origin": "somewhere"}
    assert entry.metrics == {}
    assert entry.files[0].path == "tiny-int8.onnx"


def test_a_converted_variant_says_how(registry: Registry) -> None:
    conversion = registry.find("tiny:torch").conversion
    assert conversion is not None
    assert conversion.options == {"submodule": "net"}
    assert conversion.inputs == (TensorSpec("x", "float32", ("batch", 4)),)
    assert registry.find("tiny:int8").conversion is None


@pytest.mark.parametrize(
    ("alias", "ref"), [("small", "tiny"), ("small:int8", "tiny:int8"), ("tiny-int8", "tiny:int8")]
)
def test_aliases_find_what_they_stand_for(registry: Registry, alias: str, ref: str) -> None:
    assert str(registry.find(alias).ref) == ref


def test_aliases_are_listed(registry: Registry) -> None:
    assert registry.aliases == {"small": "tiny", "tiny-int8": "tiny:int8"}


def test_entries_come_in_the_order_of_the_file(registry: Registry) -> None:
    assert [str(entry.ref) for entry in registry.entries()] == ["tiny", "tiny:int8", "tiny:torch"]


@pytest.mark.parametrize("revision", ["1.2.0", DIGEST[:8], DIGEST.upper()])
def test_a_revision_is_a_version_or_a_digest(registry: Registry, revision: str) -> None:
    assert registry.find(f"tiny@{revision}").ref == ModelRef("tiny")


@pytest.mark.parametrize("revision", ["1.3.0", DIGEST[:7], "cd" * 32])
def test_another_revision_is_not_found(registry: Registry, revision: str) -> None:
    with pytest.raises(UnknownModelError, match="no revision") as caught:
        registry.find(f"tiny@{revision}")
    assert caught.value.hint == f"It pins tiny@1.2.0 = tiny@{DIGEST[:12]}"


def test_search_needs_every_word_and_puts_names_first(registry: Registry) -> None:
    assert [str(entry.ref) for entry in registry.search("small NET int8")] == ["tiny:int8"]
    assert [str(entry.ref) for entry in registry.search("torch classification")] == ["tiny:torch"]
    assert registry.search("nothing like this") == ()


def test_the_closest_name_is_suggested() -> None:
    with pytest.raises(
        UnknownModelError, match=r"^'resnet5O' is not in the registry, though 'resnet50' is"
    ) as caught:
        load().find("resnet5O")
    assert "'resnet50'" in (caught.value.hint or "")


def test_a_part_of_a_name_is_suggested() -> None:
    with pytest.raises(UnknownModelError) as caught:
        load().find("pitch")
    assert "'basic-pitch'" in (caught.value.hint or "")


def test_an_unknown_variant_names_those_there_are(registry: Registry) -> None:
    with pytest.raises(UnknownModelError, match="tiny has no variant 'fp16'") as caught:
        registry.find("tiny:fp16")
    assert caught.value.hint == "Its variants are int8, torch, fp32"


def test_a_file_given_for_a_name_is_recognised(registry: Registry, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pkl").touch()
    with pytest.raises(UnknownModelError) as caught:
        registry.find("model.pkl")
    assert "zoo convert model.pkl" in (caught.value.hint or "")


def test_the_environment_names_another_registry(tmp_path, monkeypatch) -> None:
    path = written(tmp_path)
    monkeypatch.setenv("ZOO_REGISTRY", str(path))
    assert load().path == path


def test_there_is_no_fallback_to_the_shipped_registry(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ZOO_REGISTRY", str(tmp_path / "none.yaml"))
    with pytest.raises(RegistryError, match=r"none\.yaml"):
        load()


def test_a_mirror_stands_for_its_patterns_in_order(tmp_path) -> None:
    mirrors = "mirrors:\n  m: ['hf:org/{stem}@main/{name}', 'https://example.org/{path}']\nmodels:"
    text = ENTRY.replace("models:", mirrors, 1).replace("https://example.org/tiny.onnx", "m:v1/tiny.onnx")
    assert load(written(tmp_path, text)).find("tiny").files[0].sources == (
        "hf:org/tiny@main/tiny.onnx",
        "https://example.org/v1/tiny.onnx",
    )


def test_an_onnx_variant_of_a_converted_model_is_not_converted(tmp_path) -> None:
    text = ENTRY.replace("kind: zoo", "kind: converted\n    conversion: {framework: torch}", 1)
    registry = load(written(tmp_path, text.replace("aliases: [tiny-int8]", "kind: zoo")))
    assert registry.find("tiny").conversion is not None
    assert registry.find("tiny:int8").conversion is None


def test_a_file_may_say_that_its_hosts_are_private(tmp_path) -> None:
    text = ENTRY.replace("        size: 10\n", "        size: 10\n        allow_private: true\n")
    registry = load(written(tmp_path, text))
    assert registry.find("tiny").files[0].allow_private
    assert not registry.find("tiny:int8").files[0].allow_private
