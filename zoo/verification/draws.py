"""Random numbers that are the same on every machine and with every numpy.

numpy guarantees the raw 64-bit stream of PCG64, but neither the streams of `Generator` nor the last
bit of a logarithm. So only raw integers are taken from it, and all that follows is exact arithmetic.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Sequence, Union

if TYPE_CHECKING:
    import numpy as np


class Stream:
    """A stream of numbers named by a seed and a path of labels."""

    def __init__(self, seed: int, *labels: object) -> None:
        import numpy as np

        text = "\x1f".join([str(seed), *map(str, labels)])
        self._bits = np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """float64 in [low, high], from 53 random bits each."""
        import numpy as np

        unit = (self._raw(shape) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        # In two halves, so that the width of the widest float64 range does not overflow.
        return low * (1.0 - unit) + high * unit

    def normal(self, shape: Sequence[int]) -> np.ndarray:
        """float64 of mean 0 and variance 1 within ±6: the sum of twelve uniforms (Irwin-Hall)."""
        total = self.uniform(shape)
        for _ in range(11):
            total = total + self.uniform(shape)
        return total - 6.0

    def integers(self, shape: Sequence[int], low: int, high: int) -> np.ndarray:
        """int64 in [low, high], both included."""
        import numpy as np

        if low >= high:
            return np.full(tuple(shape), low, dtype=np.int64)
        offset = self._raw(shape) % np.uint64(high - low + 1)
        return offset.astype(np.int64) + np.int64(low)

    def choose(self, items: Union[np.ndarray, Sequence[Any]], shape: Sequence[int]) -> np.ndarray:
        """Items drawn with replacement, as an array of numpy's dtype for `items`."""
        import numpy as np

        return np.take(np.asarray(items), self.integers(shape, 0, len(items) - 1))

    def _raw(self, shape: Sequence[int]) -> np.ndarray:
        import numpy as np

        size = 1
        for length in shape:
            size *= int(length)
        raw = np.asarray(self._bits.random_raw(size), dtype=np.uint64)
        return raw.reshape(tuple(shape))
