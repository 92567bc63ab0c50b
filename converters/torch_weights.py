"""Weights into a module: pick them out of a checkpoint, and accept only an exact fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import torch


def selected_weights(state: Any, options: Mapping[str, Any], file: str) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint: under ``state_key``, without ``prefix``, without the keys in ``drop``."""
    for key in filter(None, str(options.get("state_key") or "").split(".")):
        if not isinstance(state, Mapping) or key not in state:
            raise UnsupportedModelError(f"{file} has no {key!r}; it has {_keys(state)}")
        state = state[key]
    weights = _tensors(state, file)
    prefix = options.get("prefix") or ""
    dropped = set(options.get("drop") or ())
    chosen = {key[len(prefix) :]: value for key, value in weights.items() if key.startswith(prefix)}
    if prefix and not chosen:
        raise UnsupportedModelError(f"no key of {file} starts with {prefix!r}; keys: {_keys(weights)}")
    return {key: value for key, value in chosen.items() if key not in dropped}


def _tensors(state: Any, file: str) -> dict[str, torch.Tensor]:
    import torch

    if isinstance(state, Mapping):
        tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
        nested = [key for key, value in state.items() if isinstance(value, Mapping)]
        if tensors and not nested:
            return tensors
    raise UnsupportedModelError(
        f"{file} is not a plain dict of tensors; it has {_keys(state)}",
        hint="--option state_key=NAME says under which key the weights are.",
    )


def _keys(state: Any) -> str:
    if not isinstance(state, Mapping):
        return f"a {type(state).__name__}"
    return "keys " + _listed([repr(key) for key in state])


def load_weights(
    module: Any, weights: Mapping[str, torch.Tensor], options: Mapping[str, Any], file: str
) -> None:
    """Copy `weights` into `module`; raises `UnsupportedModelError` with every key that does not fit.

    With ``strict`` false, missing and unexpected keys are allowed, wrong shapes never.
    """
    own = module.state_dict()
    ignored = getattr(module, "zoo_ignored_weights", ())
    weights = {key: value for key, value in weights.items() if key not in ignored}
    problems = _shape_problems(own, weights)
    if options.get("strict", True):
        problems += _key_problems(own, weights)
    if problems:
        raise UnsupportedModelError(
            f"the weights of {file} do not fit {type(module).__name__}:\n  " + "\n  ".join(problems),
            hint="Check the builder, its arguments, --option prefix=… and drop=[…]; strict=false skips keys.",
        )
    module.load_state_dict(weights, strict=False)


def _key_problems(own: Mapping[str, Any], weights: Mapping[str, Any]) -> list[str]:
    # Files of safetensors and of torch < 0.4.1 lack this counter, which evaluation never reads.
    missing = [key for key in own if key not in weights and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in weights if key not in own]
    problems = []
    if missing:
        problems.append(f"missing in the file ({len(missing)}): {_listed(missing)}")
    if unexpected:
        problems.append(f"unknown to the module ({len(unexpected)}): {_listed(unexpected)}")
    return problems


def _shape_problems(own: Mapping[str, Any], weights: Mapping[str, Any]) -> list[str]:
    wrong = [
        f"{key} is {list(weights[key].shape)} in the file, {list(value.shape)} in the module"
        for key, value in own.items()
        if key in weights and weights[key].shape != value.shape
    ]
    return [f"shapes ({len(wrong)}): {_listed(wrong)}"] if wrong else []


def _listed(names: list[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
