"""The package manager for ONNX models: pull, convert, and prove.

    >>> import zoo
    >>> sorted(zoo.__all__)[:3]
    ['Artifact', 'ConversionRequest', 'RegistryEntry']

Names are loaded when they are first used, so that ``import zoo`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo import cache, environments
    from zoo.api import bisect, convert, export, info, list, load, pull, samples, search, verify
    from zoo.batch import convert_all
    from zoo.certificates import bom, check_certificate, sign
    from zoo.doctor import doctor
    from zoo.errors import ZooError
    from zoo.nightly import validate
    from zoo.projects import bundle, import_bundle, lock
    from zoo.records import (
        Artifact,
        ConversionRequest,
        RegistryEntry,
        Signature,
        TensorSpec,
        Tolerance,
        VerificationReport,
        VerifiedModel,
    )
    from zoo.runtime import LoadedModel
    from zoo.version import __version__

_HOMES = {
    "zoo.api": ("bisect", "convert", "export", "info", "list", "load", "pull", "samples", "search", "verify"),
    "zoo.batch": ("convert_all",),
    "zoo.certificates": ("bom", "check_certificate", "sign"),
    "zoo.doctor": ("doctor",),
    "zoo.nightly": ("validate",),
    "zoo.projects": ("bundle", "import_bundle", "lock"),
    "zoo.errors": ("ZooError",),
    "zoo.records": (
        "Artifact",
        "ConversionRequest",
        "RegistryEntry",
        "Signature",
        "TensorSpec",
        "Tolerance",
        "VerificationReport",
        "VerifiedModel",
    ),
    "zoo.runtime": ("LoadedModel",),
    "zoo.version": ("__version__",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Artifact",
    "ConversionRequest",
    "LoadedModel",
    "RegistryEntry",
    "Signature",
    "TensorSpec",
    "Tolerance",
    "VerificationReport",
    "VerifiedModel",
    "ZooError",
    "__version__",
    "bisect",
    "bom",
    "bundle",
    "cache",
    "check_certificate",
    "convert",
    "convert_all",
    "doctor",
    "environments",
    "export",
    "import_bundle",
    "info",
    "list",
    "load",
    "lock",
    "pull",
    "samples",
    "search",
    "sign",
    "validate",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in ("cache", "environments"):
        return import_module(f"zoo.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> object:
    return sorted({*globals(), *__all__})
