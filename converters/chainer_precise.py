"""A chain's answer in float64: what it would say if it did not round, for the verifier's measure of noise."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors


def precise_twin(chain: Any) -> Optional[Any]:
    """A copy of `chain` with its parameters and states in float64; None for one that cannot be copied."""
    import numpy as np

    try:
        twin = copy.deepcopy(chain)
    except Exception:  # noqa: BLE001 - the author's class may hold anything
        return None
    for parameter in twin.params():
        parameter.array = parameter.array.astype(np.float64)
    for link in twin.links():
        for name in link._persistent:
            value = getattr(link, name)
            if getattr(value, "dtype", None) == np.float32:
                setattr(link, name, value.astype(np.float64))
    return twin


def predicted(twin: Any, inputs: Sequence[str], feeds: Mapping[str, np.ndarray]) -> Optional[Tensors]:
    """The twin's answer; None where the author's code is for float32, or rounds to it.

    Without Chainer's check of types: states that start as float32 zeros are then widened where they meet
    float64.
    """
    import chainer
    import numpy as np

    from converters.chainer_model import run

    wide = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in feeds.items()}
    try:
        with chainer.using_config("type_check", False), chainer.using_config("dtype", np.dtype(np.float64)):
            answer = run(twin, inputs, wide)
    except Exception:  # noqa: BLE001 - whatever a chain for float32 raises
        return None
    return answer if all(array.dtype != np.float32 for array in answer.values()) else None
