"""Folders of the Hugging Face hub, loaded by transformers; what their models take is in their configuration.

The class is the one that ``config.json`` names; code beside the weights (``auto_map``) never runs. Attention
is the plain implementation, whose steps every exporter knows, and no cache of keys and values is kept: the
graph computes a whole sequence.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, Mapping, Optional

from zoo.errors import MissingPackageError, UnsupportedModelError
from zoo.records import TensorSpec

_TOKENS = ("input_ids", "attention_mask")
_DECODER = "decoder_input_ids"


def load_transformers(path: Path, config: Mapping[str, Any]) -> Any:
    """The module of a folder in evaluation mode, with ``zoo_inputs`` where its configuration tells them.

    Raises `MissingPackageError` without transformers, `UnsupportedModelError` for an architecture that the
    installed release does not have.
    """
    names = config.get("architectures") or ["AutoModel"]
    try:
        transformers = import_module("transformers")
    except ImportError as error:
        raise MissingPackageError(
            f"{path.name} is a {names[0]} of transformers, which is not installed",
            hint="pip install transformers, or give --builder module:callable that builds the module.",
        ) from error
    kind = getattr(transformers, names[0], None)
    if kind is None:
        raise UnsupportedModelError(
            f"transformers {transformers.__version__} has no {names[0]}",
            hint="Give --builder module:callable that builds the module.",
        )
    transformers.utils.logging.disable_progress_bar()
    module = kind.from_pretrained(str(path), local_files_only=True, attn_implementation="eager")
    for part in module.modules():  # a decoder has a configuration of its own
        if hasattr(getattr(part, "config", None), "use_cache"):
            part.config.use_cache = False
    inputs = _inputs(module)
    if inputs:
        module.zoo_inputs = inputs
        masks = [spec.name for spec in inputs if spec.name == "attention_mask"]
        module.zoo_feeds = {name: {"low": 0, "high": 1} for name in masks}
    return module.eval()


def _inputs(module: Any) -> tuple[TensorSpec, ...]:
    """What the model takes, for text and images; nothing where the configuration does not say."""
    taken = inspect.signature(module.forward).parameters
    if module.main_input_name == "pixel_values":
        shape = _image(module.config)
        return () if shape is None else (TensorSpec("pixel_values", "float32", shape),)
    if module.main_input_name != "input_ids":
        return ()
    names = [name for name in _TOKENS if name in taken]
    if "token_type_ids" in taken and getattr(module.config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")
    specs = [TensorSpec(name, "int64", ("batch", "sequence")) for name in names]
    if _DECODER in taken:
        specs.append(TensorSpec(_DECODER, "int64", ("batch", "target")))
    return tuple(specs)


def _image(config: Any) -> Optional[tuple[Any, ...]]:
    size = getattr(config, "image_size", None)
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    return ("batch", getattr(config, "num_channels", 3), height, width)
