"""What must hold beyond the form: names, digests, sizes, paths, sources, tensors, conversions.

`errors` makes `zoo.registry.load` refuse a file; `warnings` is what only `zoo.registry.lint` tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from zoo.registry.entries import expand, file_path
from zoo.registry.problems import KeyPath
from zoo.registry.schema import ConversionForm, FileForm, ModelForm, RegistryForm, VariantForm
from zoo.registry.signature import parse_tensor
from zoo.registry.sources import known_schemes, malformation, scheme_of
from zoo.registry.structure import Mismatch

MAX_FILE = 2**40
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


# --- errors ---------------------------------------------------------------------------------------


def errors(form: RegistryForm) -> Iterator[Mismatch]:
    """What makes the file unusable or unsafe."""
    yield from _bad_mirrors(form)
    for name, model in form.models.items():
        where: KeyPath = ("models", name)
        yield from _bad_name(name, where)
        yield from _bad_variant(form, model, model, where)
        for variant, changes in model.variants.items():
            yield from _bad_name(variant, (*where, "variants", variant))
            yield from _bad_variant(form, changes, model, (*where, "variants", variant))
    yield from _name_clashes(form)


def _bad_mirrors(form: RegistryForm) -> Iterator[Mismatch]:
    for name, patterns in form.mirrors.items():
        where: KeyPath = ("mirrors", name)
        yield from _bad_name(name, where)
        if not patterns:
            yield where, "a mirror needs at least one pattern"
        for index, pattern in enumerate(patterns):
            if not any(placeholder in pattern for placeholder in ("{path}", "{name}", "{stem}")):
                yield (*where, index), f"{pattern!r} has no place for the {{path}}, {{name}} or {{stem}}"


def _bad_name(name: str, where: KeyPath) -> Iterator[Mismatch]:
    if not _NAME.fullmatch(name):
        yield where, f"the name {name!r} is not of lower-case ASCII letters, digits, '.', '_' and '-'"


def _bad_variant(
    form: RegistryForm, own: ModelForm | VariantForm, model: ModelForm, where: KeyPath
) -> Iterator[Mismatch]:
    for key, files in (("files", own.files), ("samples", own.samples or [])):
        yield from _bad_files(files, form, (*where, key))
    if not own.files:
        yield (*where, "files"), "at least one file is needed"
    for key, tensors in (("inputs", own.inputs or []), ("outputs", own.outputs or [])):
        yield from _bad_tensors(tensors, (*where, key))
    for index, alias in enumerate(own.aliases):
        yield from _bad_name(alias, (*where, "aliases", index))
    if (own.kind or model.kind) == "converted" and (own.conversion or model.conversion) is None:
        yield (*where, "conversion"), "a converted model must say how"
    if (own.kind or model.kind) == "zoo" and own.conversion is not None:
        yield (*where, "conversion"), "a model of kind zoo is ONNX already"


def _bad_files(files: list[FileForm], form: RegistryForm, where: KeyPath) -> Iterator[Mismatch]:
    seen: set[str] = set()
    for index, file in enumerate(files):
        at: KeyPath = (*where, index)
        if not _SHA256.fullmatch(file.sha256):
            reason = f"{len(file.sha256)} characters" if len(file.sha256) != 64 else "others"
            yield (
                (*at, "sha256"),
                f"64 lower-case hexadecimal digits are needed, not {reason}: {file.sha256!r}",
            )
        if not 0 < file.size <= MAX_FILE:
            yield (*at, "size"), f"{file.size} bytes: a size is from 1 to {MAX_FILE}"
        if not file.sources:
            yield (*at, "sources"), "at least one source is needed"
            continue
        yield from _bad_sources(file, form, at)
        yield from _bad_path(file, seen, at)


def _bad_sources(file: FileForm, form: RegistryForm, at: KeyPath) -> Iterator[Mismatch]:
    for index, source in enumerate(file.sources):
        for expanded in expand([source], form.mirrors):
            if reason := malformation(expanded):
                yield (*at, "sources", index), reason


def _bad_path(file: FileForm, seen: set[str], at: KeyPath) -> Iterator[Mismatch]:
    path = file_path(file)
    where: KeyPath = (*at, "path")
    parts = path.split("/")
    if PurePosixPath(path).is_absolute() or {"", ".", ".."} & set(parts) or _FORBIDDEN.search(path):
        yield where, f"{path!r} is not a plain relative path"
    if path.casefold() in seen:
        yield where, f"{path!r} is the path of an earlier file too"
    seen.add(path.casefold())


def _bad_tensors(tensors: list[str], where: KeyPath) -> Iterator[Mismatch]:
    names: set[str] = set()
    for index, text in enumerate(tensors):
        try:
            name = parse_tensor(text).name
        except ValueError as error:
            yield (*where, index), str(error)
            continue
        if name in names:
            yield (*where, index), f"the tensor {name!r} is listed twice"
        names.add(name)


def _name_clashes(form: RegistryForm) -> Iterator[Mismatch]:
    taken = {name: f"models.{name}" for name in form.models}
    for where, alias in aliases(form):
        if alias in taken:
            yield where, f"{alias!r} is the name or alias of {taken[alias]} already"
        taken.setdefault(alias, ".".join(map(str, where[:-2])))
    for name, model in form.models.items():
        if model.default is not None and model.default in model.variants:
            yield ("models", name, "default"), f"{model.default!r} is among the variants already"


def aliases(form: RegistryForm) -> Iterator[tuple[KeyPath, str]]:
    """Every alias of the file with its key path."""
    for name, model in form.models.items():
        where: KeyPath = ("models", name)
        yield from (((*where, "aliases", index), alias) for index, alias in enumerate(model.aliases))
        for variant, changes in model.variants.items():
            inner: KeyPath = (*where, "variants", variant, "aliases")
            yield from (((*inner, index), alias) for index, alias in enumerate(changes.aliases))


# --- warnings -------------------------------------------------------------------------------------


def warnings(form: RegistryForm) -> Iterator[Mismatch]:
    """What a reader of the file should change, though it can be used."""
    schemes = known_schemes() | set(form.mirrors)
    for name, model in form.models.items():
        where: KeyPath = ("models", name)
        yield from _missing_licence(model, where)
        yield from _unknown(model, schemes, where)
        for variant, changes in model.variants.items():
            yield from _unknown(changes, schemes, (*where, "variants", variant))
    yield from _look_alikes(form)


def _missing_licence(model: ModelForm, where: KeyPath) -> Iterator[Mismatch]:
    if model.licence is None:
        yield (*where, "licence"), "no licence is given; NOASSERTION says that the origin states none"
    licences = {where: model.licence}
    licences |= {(*where, "variants", name): changes.licence for name, changes in model.variants.items()}
    for at, licence in licences.items():
        if licence is not None and not (licence.weights.strip() and licence.source.strip()):
            yield (*at, "licence"), "weights and source must not be empty"


def _unknown(form: ModelForm | VariantForm, schemes: frozenset[str], where: KeyPath) -> Iterator[Mismatch]:
    for index, file in enumerate(form.files):
        for number, source in enumerate(file.sources):
            scheme = scheme_of(source)
            if scheme is not None and scheme not in schemes:
                known = ", ".join(sorted(schemes))
                yield (*where, "files", index, "sources", number), f"no fetcher for {scheme + ':'!r}: {known}"
    if form.conversion is not None:
        yield from _unknown_framework(form.conversion, (*where, "conversion", "framework"))


def _unknown_framework(conversion: ConversionForm, where: KeyPath) -> Iterator[Mismatch]:
    from zoo.plugins import converters

    if conversion.framework not in converters():
        yield where, f"no converter for {conversion.framework!r}: {', '.join(converters())}"


def _look_alikes(form: RegistryForm) -> Iterator[Mismatch]:
    places: list[tuple[KeyPath, str]] = [(("models", name), name) for name in form.models]
    places += list(aliases(form))
    for index, (where, name) in enumerate(places):
        for other_place, other in places[:index]:
            if where[:2] != other_place[:2] and look_alike(name, other):
                yield where, f"{name!r} is one character away from {other!r}: easily taken for it"


def look_alike(first: str, second: str) -> bool:
    """Whether one edit (insert, delete, replace, swap neighbours) makes one name of the other.

    A digit replaced by a digit does not count: ``vgg16`` and ``vgg19`` are a family.
    """
    if first == second or abs(len(first) - len(second)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    if start is None:
        return True
    a, b = first[start:], second[start:]
    if len(a) != len(b):
        return a[1:] == b or a == b[1:]
    if a[2:] == b[2:] and a[:2] == b[1::-1]:
        return True
    return a[1:] == b[1:] and not (a[0].isdigit() and b[0].isdigit())
