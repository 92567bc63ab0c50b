"""YAML that tries to be more than values is refused, with its line."""

from __future__ import annotations

import time

import pytest

from zoo.registry import document
from zoo.registry.document import parse_document, read_document


def problems_of(text: str) -> list[str]:
    return [str(problem) for problem in parse_document(text.encode(), "r.yaml").problems]


def test_plain_scalars_follow_the_core_schema() -> None:
    text = 'a: 12\nb: -1.5\nc: true\nd: null\ne: no\nf: 12:30\ng: "7"\nh: 1e3\ni: 1_000\nj: 2026-01-01\n'
    value = parse_document(text.encode(), "r.yaml").value
    assert value == {
        "a": 12,
        "b": -1.5,
        "c": True,
        "d": None,
        "e": "no",
        "f": "12:30",
        "g": "7",
        "h": 1000.0,
        "i": "1_000",
        "j": "2026-01-01",
    }


def test_every_key_path_has_its_line() -> None:
    read = parse_document(b"a:\n  - b: 1\n    c: 2\n  -\n    d: 3\n", "r.yaml")
    assert read.lines[("a", 0, "c")] == 3
    assert read.lines[("a", 1, "d")] == 5


def test_aliases_and_anchors_are_refused() -> None:
    assert problems_of("a: &x 1\nb: *x\n") == [
        "r.yaml:1: a: the anchor &x is refused: registries have no aliases",
        "r.yaml:2: b: the alias *x is refused: write the value out",
    ]


def test_a_billion_laughs_is_refused_at_once() -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    started = time.perf_counter()
    read = parse_document("\n".join(lines).encode(), "r.yaml")
    assert time.perf_counter() - started < 2
    assert len(read.problems) == 12 + 9 * 11
    assert read.value["a11"] == [None] * 9


def test_duplicate_keys_are_refused_with_both_lines() -> None:
    assert problems_of("a:\n  b: 1\n  c: 2\n  b: 3\n") == [
        "r.yaml:4: a.b: the key appears twice; the first is in line 2"
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: !!python/object/apply:os.system [ls]\n", "tag"),
        ("a: !!binary aGk=\n", "tag"),
        ("? [1, 2]\n: 3\n", "a key must be plain text"),
        ("a: 1\nb:\n  <<: {c: 1}\n", "merge key"),
        ("a: 1\n---\nb: 2\n", "second document"),
        ("a: [1, 2\nb: 3\n", "not YAML"),
        ("a: \x01\n", "not YAML"),
    ],
)
def test_yaml_magic_is_refused(text: str, part: str) -> None:
    assert any(part in problem for problem in problems_of(text))


def test_undecodable_bytes_are_refused() -> None:
    assert "not YAML" in str(parse_document(b"a: \xff\xfe\xfd\n", "r.yaml").problems[0])


def test_deep_nesting_is_refused() -> None:
    assert "nested deeper" in problems_of("a: " + "[" * 5000 + "]" * 5000)[0]


def test_a_large_file_is_refused_unread(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 100)
    path = tmp_path / "r.yaml"
    path.write_text("a: " + "x" * 200)
    read = read_document(path)
    assert read.value is None
    assert "204 bytes" in str(read.problems[0]) or "203 bytes" in str(read.problems[0])


def test_the_python_parser_reads_as_libyaml_does(monkeypatch) -> None:
    import yaml

    text = b"a: {b: [1, x, null], c: 'd: e'}\nf: |\n  two\n  lines\n"
    fast = parse_document(text, "r.yaml")
    monkeypatch.delattr(yaml, "CSafeLoader")
    slow = parse_document(text, "r.yaml")
    assert (slow.value, slow.lines) == (fast.value, fast.lines)
