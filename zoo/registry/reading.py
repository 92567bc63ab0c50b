"""From a file to a checked form, with every problem found on the way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from zoo.errors import RegistryFormatError
from zoo.records import RegistryEntry
from zoo.registry import rules
from zoo.registry.document import Document, read_document
from zoo.registry.entries import entries_of
from zoo.registry.problems import Problem
from zoo.registry.schema import ModelForm, RegistryForm
from zoo.registry.structure import Mismatch, mismatches


def compile_file(path: Path) -> tuple[list[RegistryEntry], dict[str, str]]:
    """All entries of a file, and the name of each model's default variant where it has one.

    Raises `RegistryFormatError` for the first problem; the hint counts the others.
    """
    document = read_document(path)
    form, problems = _checked(document)
    if form is None or problems:
        others = f"{len(problems) - 1} more: " if len(problems) > 1 else ""
        raise RegistryFormatError(
            str(problems[0]), hint=f"{others}`zoo registry lint {path}` lists all problems."
        )
    defaults = {name: model.default for name, model in form.models.items() if model.default}
    return list(entries_of(form)), defaults


def lint(path: Path) -> list[Problem]:
    """Every problem of a registry file, errors and warnings, in the order of its lines.

    Raises `RegistryError` only when the file itself cannot be read.
    """
    document = read_document(path)
    form, problems = _checked(document)
    if form is not None:
        problems += _located(document, rules.warnings(form), "warning")
    return sorted(problems, key=lambda problem: (problem.line, problem.key))


def _checked(document: Document) -> tuple[RegistryForm | None, list[Problem]]:
    problems = list(document.problems)
    if document.value is None:
        return None, problems or [
            document.problem((), "the file is empty; a registry has `schema: 1` and `models`")
        ]
    problems += _located(document, mismatches(document.value, RegistryForm))
    form = _usable_part(document.value)
    if form is not None:
        problems += _located(document, rules.errors(form))
    return form, problems


def _usable_part(value: object) -> RegistryForm | None:
    """The form without the models that do not fit, so that the others are checked as well."""
    if not isinstance(value, dict) or not isinstance(value.get("models"), dict):
        return None
    models = value["models"]
    fitting = {name: model for name, model in models.items() if not any(mismatches(model, ModelForm))}
    mirrors = value.get("mirrors", {})
    fits = not any(mismatches(mirrors, dict[str, list[str]]))
    return msgspec.convert({"schema": 1, "mirrors": mirrors if fits else {}, "models": fitting}, RegistryForm)


def _located(document: Document, found: Iterable[Mismatch], level: str = "error") -> list[Problem]:
    return [document.problem(where, message, level) for where, message in found]
