"""The form of a registry file, as it is written; `zoo.registry.entries` makes records of it.

A model holds its default variant directly; each of its `variants` says only what differs. A source
whose scheme is one of `mirrors` stands for all patterns of that mirror, in order.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = 1


class Form(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping of the file: no other keys are allowed than those of its class."""


class LicenceForm(Form):
    """SPDX ids, or ``NOASSERTION`` where the origin states none; `source` is where it was read."""

    weights: str
    source: str
    code: str | None = None
    data: str | None = None


class FileForm(Form):
    """A file: `path` in the model's folder (else the last part of the first source).

    `allow_private` lets its sources be private addresses, for a mirror inside a house.
    """

    sha256: str
    size: int
    sources: list[str]
    path: str | None = None
    allow_private: bool = False


class ToleranceForm(Form):
    """The bound ``|actual - expected| <= atol + rtol * |expected|``."""

    rtol: float
    atol: float


class ConversionForm(Form):
    """How the source artifact becomes ONNX; its inputs are those of the entry."""

    framework: str
    kind: str | None = None
    opset: int | None = None
    options: dict[str, Any] = {}
    graph_digest: str | None = None


class FeedForm(Form, omit_defaults=True):
    """What values an input accepts, for the proof; bounds are inclusive."""

    values: list[Any] | None = None
    low: float | None = None
    high: float | None = None
    integral: bool | None = None
    accepts_nan: bool | None = None
    shape: list[int | str] | None = None
    columns: list[dict[str, Any]] | None = None


class VerificationForm(Form, omit_defaults=True):
    """What the proof may feed: values by input name, sizes by the name of a dynamic axis."""

    feeds: dict[str, FeedForm] = {}
    axes: dict[str, list[int]] = {}
    skip: dict[str, str] = {}
    """Families of feeds that prove nothing of this model, each with the reason."""


class FactsForm(Form):
    """What is said of a model as of a variant of it."""

    files: list[FileForm]
    licence: LicenceForm | None = None
    aliases: list[str] = []
    inputs: list[str] | None = None
    outputs: list[str] | None = None
    preprocessing: dict[str, Any] | None = None
    postprocessing: dict[str, Any] | None = None
    labels: str | None = None
    samples: list[FileForm] | None = None
    tolerance: ToleranceForm | None = None
    verification: VerificationForm | None = None
    provenance: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    conversion: ConversionForm | None = None


class VariantForm(FactsForm):
    """A variant of a model: what is not given is as in the model, but for `metrics`.

    Its `provenance` adds to the model's.
    """

    description: str | None = None
    kind: Literal["zoo", "converted"] | None = None
    task: str | None = None


class ModelForm(FactsForm, kw_only=True):
    """A model; `files` and what is beside them are its default variant, also found as `default`."""

    kind: Literal["zoo", "converted"]
    task: str
    description: str = ""
    default: str | None = None
    variants: dict[str, VariantForm] = {}


class RegistryForm(Form):
    """A whole file."""

    schema: Literal[1]
    models: dict[str, ModelForm]
    mirrors: dict[str, list[str]] = {}
