"""HDF5 files: Keras models, Keras weights, Caffe weights, MATLAB 7.3 data."""

from __future__ import annotations

from typing import Any

from zoo.detection.hdf5 import Hdf5, Node, find_superblock
from zoo.detection.source import BrokenFileError, Source, parse_json
from zoo.errors import UnsupportedFileError
from zoo.records import Detection


def hdf5_file(source: Source) -> Detection | None:
    """What an HDF5 file is by the attributes and groups of its root."""
    if find_superblock(source) is None:
        return None
    try:
        tree = Hdf5(source)
        root = tree.node(tree.root)
        return _identify(source, tree, root)
    except BrokenFileError as error:
        raise UnsupportedFileError(
            f"{source.path.name} is a damaged HDF5 file: {error}",
            hint="The file is cut off or was changed; get it again.",
        ) from error


def _identify(source: Source, tree: Hdf5, root: Node) -> Detection:
    names = {link.name: link for link in root.links}
    details = _versions(root)
    if "model_config" in root.attributes:
        return _keras(root, details, "model_weights" in names)
    if {"layer_names", "weight_names"} & root.attributes.keys() or {
        "_layer_checkpoint_dependencies",
        "layers",
    } & names.keys():
        return Detection("tensorflow", "h5_weights", "Keras weights without the architecture", details)
    if "data" in names and _caffe(tree, names["data"].address):
        return Detection("caffe", "h5", "Caffe weights (HDF5)", details)
    if source.head.startswith(b"MATLAB 7."):
        return Detection("matlab", "mat", "MATLAB data file (HDF5)", details)
    listed = ", ".join(sorted(names)[:5]) or "nothing"
    raise UnsupportedFileError(
        f"{source.path.name} is an HDF5 file with {listed} in it, not a model of a framework that zoo knows",
        hint="Of HDF5 files, zoo converts those that Keras saved with `model.save('model.h5')`.",
    )


def _keras(root: Node, details: dict[str, Any], weights: bool) -> Detection:
    config = root.attributes["model_config"] or ""
    try:
        details["class"] = parse_json(config)["class_name"]
    except (ValueError, KeyError, TypeError):
        details["class"] = None
    details["weights"] = weights
    version = details.get("keras_version")
    return Detection("tensorflow", "h5", f"Keras {version or ''} model (HDF5)".replace("  ", " "), details)


def _versions(root: Node) -> dict[str, Any]:
    kept = ("keras_version", "backend")
    return {name: root.attributes[name] for name in kept if root.attributes.get(name)}


def _caffe(tree: Hdf5, address: int | None) -> bool:
    # Caffe writes /data/<layer>/<number> only.
    layers = tree.node(address).links[:20] if address is not None else []
    blobs = [tree.node(layer.address).links for layer in layers if layer.address is not None]
    return bool(blobs) and all(link.name.isdigit() for links in blobs for link in links)
