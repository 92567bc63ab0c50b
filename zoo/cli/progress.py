"""A progress line for work whose length nobody knows: the stage, and how long it has taken."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

STAGES = ("fetch", "convert", "predict", "verify", "bisect", "write")


class StageLine:
    """Shows each stage that it is told; tqdm erases it at the end."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] = tqdm(total=None, bar_format="{desc} {elapsed}", leave=False)

    def __call__(self, stage: str) -> None:
        self._bar.set_description_str(stage)
        self._bar.reset()
        if stage == "write":
            self._bar.close()
