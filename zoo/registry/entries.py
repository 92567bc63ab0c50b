"""From the forms of a file to the records of `zoo.records`, all defaults applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeVar

import msgspec

from zoo.records import Conversion, FileSpec, Licence, RegistryEntry, Signature, TensorSpec, Tolerance
from zoo.registry.schema import ConversionForm, FileForm, LicenceForm, ModelForm, RegistryForm, VariantForm
from zoo.registry.signature import parse_tensor
from zoo.registry.sources import file_name, scheme_of

T = TypeVar("T")
Mirrors = Mapping[str, list[str]]


def entries_of(form: RegistryForm) -> Iterator[RegistryEntry]:
    """All entries in the order of the file: each model's default variant, then the others."""
    for name, model in form.models.items():
        yield _default(name, model, form.mirrors)
        for variant, changes in model.variants.items():
            yield _variant(name, variant, model, changes, form.mirrors)


def _default(name: str, model: ModelForm, mirrors: Mirrors) -> RegistryEntry:
    return RegistryEntry(
        name=name,
        variant=None,
        kind=model.kind,
        task=model.task,
        files=_files(model.files, mirrors),
        description=model.description,
        aliases=tuple(model.aliases),
        metrics=model.metrics or {},
        **_shared(model, model, mirrors),
    )


def _variant(
    name: str, variant: str, model: ModelForm, changes: VariantForm, mirrors: Mirrors
) -> RegistryEntry:
    return RegistryEntry(
        name=name,
        variant=variant,
        kind=changes.kind or model.kind,
        task=changes.task or model.task,
        files=_files(changes.files, mirrors),
        description=_given(changes.description, model.description),
        aliases=tuple(changes.aliases),
        metrics=changes.metrics or {},
        **_shared(changes, model, mirrors),
    )


def _shared(form: ModelForm | VariantForm, model: ModelForm, mirrors: Mirrors) -> dict[str, Any]:
    inputs = tuple(map(parse_tensor, _given(form.inputs, model.inputs) or ()))
    outputs = tuple(map(parse_tensor, _given(form.outputs, model.outputs) or ()))
    tolerance = _given(form.tolerance, model.tolerance)
    converted = (form.kind or model.kind) == "converted"
    return {
        "licence": _licence(_given(form.licence, model.licence)),
        "signature": Signature(inputs, outputs) if inputs or outputs else None,
        "preprocessing": _given(form.preprocessing, model.preprocessing) or {},
        "postprocessing": _given(form.postprocessing, model.postprocessing) or {},
        "labels": _given(form.labels, model.labels),
        "samples": _files(_given(form.samples, model.samples or []), mirrors),
        "tolerance": Tolerance(tolerance.rtol, tolerance.atol) if tolerance else None,
        "verification": msgspec.to_builtins(_given(form.verification, model.verification)) or {},
        "provenance": {**(model.provenance or {}), **(form.provenance or {})},
        "conversion": _conversion(_given(form.conversion, model.conversion), inputs) if converted else None,
    }


def _given(own: T | None, inherited: T) -> T:
    return inherited if own is None else own


def _licence(form: LicenceForm | None) -> Licence:
    return Licence(form.code, form.weights, form.data, form.source) if form else Licence()


def _conversion(form: ConversionForm | None, inputs: tuple[TensorSpec, ...]) -> Conversion | None:
    if form is None:
        return None
    return Conversion(form.framework, form.kind, form.opset, form.options, inputs, form.graph_digest)


def _files(forms: list[FileForm], mirrors: Mirrors) -> tuple[FileSpec, ...]:
    return tuple(
        FileSpec(
            file_path(form),
            form.sha256,
            form.size,
            expand(form.sources, mirrors),
            allow_private=form.allow_private,
        )
        for form in forms
    )


def file_path(form: FileForm) -> str:
    """Where a file lies in its model's folder."""
    return form.path or file_name(form.sources[0])


def expand(sources: list[str], mirrors: Mirrors) -> tuple[str, ...]:
    """The sources, with each that names a mirror replaced by all patterns of the mirror.

    A pattern's ``{path}`` is what follows the mirror's name, ``{name}`` the last part of that, and
    ``{stem}`` the name without its extension.
    """
    expanded: dict[str, None] = {}
    for source in sources:
        scheme = scheme_of(source)
        if scheme is not None and scheme in mirrors:
            path = PurePosixPath(source[len(scheme) + 1 :])
            parts = {"{path}": str(path), "{name}": path.name, "{stem}": path.stem}
            expanded.update(dict.fromkeys(_filled(pattern, parts) for pattern in mirrors[scheme]))
        else:
            expanded[source] = None
    return tuple(expanded)


def _filled(pattern: str, parts: Mapping[str, str]) -> str:
    for placeholder, text in parts.items():
        pattern = pattern.replace(placeholder, text)
    return pattern
