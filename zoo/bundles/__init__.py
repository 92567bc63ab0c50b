"""Models in one file for machines without a network: written here, verified member by member there.

A bundle is a zip archive without compression: ``manifest.json`` first, then ``blobs/<sha256>`` for
every file. The manifest names each member's digest and size, and holds the pull records that let
``zoo --offline pull`` answer. The archive's comment is the sha256 of all bytes before it, so that
not one bit can be flipped unnoticed, be it in a header of the archive.
"""

from __future__ import annotations

from zoo.bundles.contents import MANIFEST, Bundle, Imported, Member, Pull
from zoo.bundles.reading import inspect_bundle, read_bundle
from zoo.bundles.writing import write_bundle

__all__ = [
    "MANIFEST",
    "Bundle",
    "Imported",
    "Member",
    "Pull",
    "inspect_bundle",
    "read_bundle",
    "write_bundle",
]
