"""`lint` finds every planted problem and names its line and key path."""

from __future__ import annotations

import pytest

from tests.registry.files import DIGEST, ENTRY, line_of, written
from zoo.errors import RegistryError, RegistryFormatError
from zoo.registry import lint, load

CONVERSION = "        conversion: {framework: torch, kind: torchscript, options: {submodule: net}}\n"


def test_a_good_file_has_no_problems(tmp_path) -> None:
    assert lint(written(tmp_path)) == []


def test_the_shipped_registry_has_no_problems() -> None:
    assert lint(load().path) == []


@pytest.mark.parametrize(
    ("before", "after", "key", "message"),
    [
        ("    task: image", "    tusk: image", "models.tiny.tusk", "did you mean 'task'?"),
        ("    task: image classification\n", "", "models.tiny.task", "the key is missing"),
        ("size: 10\n", "size: ten\n", "models.tiny.files[0].size", "expected int, got str: 'ten'"),
        ("size: 10\n", "size: 0\n", "models.tiny.files[0].size", "0 bytes"),
        ("size: 5\n", "size: -5\n", "models.tiny.variants.int8.files[0].size", "-5 bytes"),
        (DIGEST, DIGEST[:-1], "models.tiny.files[0].sha256", "not 63 characters"),
        (DIGEST, DIGEST.upper(), "models.tiny.files[0].sha256", "lower-case"),
        ("kind: zoo", "kind: zoom", "models.tiny.kind", "invalid enum value"),
        ("  tiny:\n", "  Tiny Net:\n", "models.Tiny Net", "lower-case ASCII"),
        ("[small]", "[tiny]", "models.tiny.aliases[0]", "already"),
        ("[tiny-int8]", "[small]", "models.tiny.variants.int8.aliases[0]", "models.tiny already"),
        ("default: fp32", "default: int8", "models.tiny.default", "among the variants"),
        ("path: tiny.onnx", "path: ../tiny.onnx", "models.tiny.files[0].path", "plain relative path"),
        ("path: tiny.onnx", "path: /tiny.onnx", "models.tiny.files[0].path", "plain relative path"),
        ("path: tiny.onnx", 'path: "a\\\\b"', "models.tiny.files[0].path", "plain relative path"),
        ("https://example.org/tiny.onnx", "http://example.org/tiny.onnx", "sources[0]", "plain http"),
        ("https://example.org/tiny.onnx", "https://me:pw@example.org/t", "sources[0]", "holds credentials"),
        ("https://example.org/tiny.onnx", "hf:tiny.onnx", "sources[0]", "hf:org/repo@revision/path"),
        ("https://example.org/tiny.onnx", "hf:a/b@main/../../x", "sources[0]", "climbs out"),
        ("https://example.org/tiny.onnx", "pypi:name/file", "sources[0]", "pypi:name==version/wheel!member"),
        ("https://example.org/tiny.onnx", "tiny.onnx", "sources[0]", "no scheme"),
        ("https://example.org/tiny.onnx", "ftp://example.org/x", "sources[0]", "no fetcher for 'ftp:'"),
        ("x:float32[batch,4]", "x:floaty[batch,4]", "models.tiny.inputs[0]", "unknown dtype 'floaty'"),
        ("x:float32[batch,4]", "x:float32[-1,4]", "models.tiny.inputs[0]", "neither a size nor"),
        ("x:float32[batch,4]", "x", "models.tiny.inputs[0]", "name:dtype"),
        ("framework: torch", "framework: torhc", "conversion.framework", "no converter for 'torhc'"),
        (CONVERSION, "", "models.tiny.variants.torch.conversion", "must say how"),
        ("    kind: zoo", f"    kind: zoo\n{CONVERSION[4:]}", "models.tiny.conversion", "ONNX already"),
        ("    licence: {weights: MIT, source: LICENSE}\n", "", "models.tiny.licence", "no licence is given"),
        ("{weights: MIT,", "{weights: '',", "models.tiny.licence", "must not be empty"),
        ("schema: 1", "schema: 9", "schema", "9"),
    ],
)
def test_a_planted_problem_is_found(tmp_path, before: str, after: str, key: str, message: str) -> None:
    text = ENTRY.replace(before, after, 1)
    assert text != ENTRY
    path = written(tmp_path, text)
    found = [problem for problem in lint(path) if message in problem.message]
    assert len(found) == 1
    assert found[0].key.endswith(key)
    assert str(found[0]).startswith(f"{path}:{found[0].line}: ")


def test_a_problem_has_the_line_of_its_key(tmp_path) -> None:
    text = ENTRY.replace("size: 7", "size: seven")
    problem = lint(written(tmp_path, text))[0]
    assert problem.line == line_of(text, "size: seven")


def test_a_missing_key_has_the_line_of_its_parent(tmp_path) -> None:
    text = ENTRY.replace("        size: 10\n", "")
    problem = lint(written(tmp_path, text))[0]
    assert problem.key == "models.tiny.files[0].size"
    assert problem.line == line_of(text, "path: tiny.onnx")


def test_all_problems_come_in_one_go(tmp_path) -> None:
    text = (
        ENTRY.replace("size: 10", "size: ten")
        .replace("size: 5", "size: 0")
        .replace("aliases: [small]", "alias: []")
    )
    text += "  tony:\n    kind: zoo\n    task: x\n    files: []\n  tiny: {}\n"
    keys = {problem.key for problem in lint(written(tmp_path, text))}
    assert {"models.tiny", "models.tiny.files", "models.tony.files", "models.tony.licence"} <= keys


def test_a_broken_model_does_not_hide_the_problems_of_another(tmp_path) -> None:
    text = ENTRY.replace("size: 10", "size: ten") + "  other:\n    kind: zoo\n    task: x\n    files: []\n"
    assert [problem.key for problem in lint(written(tmp_path, text))] == [
        "models.tiny.files[0].size",
        "models.other.licence",
        "models.other.files",
    ]


@pytest.mark.parametrize(
    ("other", "warned"),
    [
        ("tinyy", True),
        ("tin", True),
        ("tiyn", True),
        ("tlny", True),
        ("teeny", False),
        ("tiny-xl", False),
        ("smal", True),
    ],
)
def test_names_one_edit_apart_are_warned_of(tmp_path, other: str, warned: bool) -> None:
    text = (
        ENTRY + f"  {other}:\n" + "\n".join(ENTRY.split("  tiny:\n")[1].split("    aliases")[0].splitlines())
    )
    text += f"\n    files: [{{sha256: {DIGEST}, size: 1, sources: ['https://example.org/o.onnx']}}]\n"
    problems = lint(written(tmp_path, text))
    assert [problem.level for problem in problems] == ["warning"] * warned
    assert all("one character away" in problem.message for problem in problems)


def test_members_of_a_family_are_not_taken_for_each_other(tmp_path) -> None:
    model = ENTRY.split("  tiny:\n")[1].split("    aliases")[0]
    files = f"    files: [{{sha256: {DIGEST}, size: 1, sources: ['https://example.org/o.onnx']}}]\n"
    text = f"schema: 1\nmodels:\n  vgg16:\n{model}{files}  vgg19:\n{model}{files}  vgg1o:\n{model}{files}"
    assert [problem.key for problem in lint(written(tmp_path, text))] == ["models.vgg1o", "models.vgg1o"]


def test_plain_http_is_allowed_on_this_machine(tmp_path) -> None:
    text = ENTRY.replace("https://example.org/tiny.onnx", "http://127.0.0.1:8000/tiny.onnx")
    assert lint(written(tmp_path, text)) == []


def test_a_mirror_needs_a_place_for_the_path(tmp_path) -> None:
    text = ENTRY.replace("models:", "mirrors:\n  m: ['https://example.org/x']\nmodels:", 1)
    assert lint(written(tmp_path, text))[0].key == "mirrors.m[0]"


def test_a_source_made_by_a_mirror_is_checked(tmp_path) -> None:
    text = ENTRY.replace("models:", "mirrors:\n  m: ['http://example.org/{path}']\nmodels:", 1)
    text = text.replace("https://example.org/tiny.onnx", "m:tiny.onnx")
    problem = lint(written(tmp_path, text))[0]
    assert problem.key == "models.tiny.files[0].sources[0]"
    assert "http://example.org/tiny.onnx" in problem.message


def test_load_refuses_with_the_first_problem_and_counts_the_others(tmp_path) -> None:
    path = written(tmp_path, ENTRY.replace("size: 10", "size: ten").replace("size: 5", "size: 0"))
    with pytest.raises(
        RegistryFormatError, match=r"registry\.yaml:13: models\.tiny\.files\[0\]\.size: "
    ) as caught:
        load(path)
    assert "zoo registry lint" in (caught.value.hint or "")


def test_load_accepts_what_is_only_warned_of(tmp_path) -> None:
    path = written(tmp_path, ENTRY.replace("    licence: {weights: MIT, source: LICENSE}\n", ""))
    assert load(path).find("tiny").licence.weights is None


def test_an_empty_file_is_refused(tmp_path) -> None:
    with pytest.raises(RegistryFormatError, match="empty"):
        load(written(tmp_path, "# nothing\n"))


def test_a_file_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(RegistryError, match="No such file"):
        lint(tmp_path / "none.yaml")


def test_two_files_of_one_model_need_two_paths(tmp_path) -> None:
    source = "https://example.org/tiny.onnx"
    text = ENTRY.replace(
        f'["{source}"]',
        f'["{source}"]\n      - {{sha256: {DIGEST}, size: 3, sources: ["{source}/TINY.onnx"]}}',
    )
    problem = lint(written(tmp_path, text))[0]
    assert problem.key == "models.tiny.files[1].path"
    assert "earlier file" in problem.message


def test_a_tensor_is_listed_once(tmp_path) -> None:
    text = ENTRY.replace('["x:float32[batch,4]"]', '["x:float32[batch,4]", "x:int64[batch]"]')
    assert "listed twice" in str(lint(written(tmp_path, text))[0])
