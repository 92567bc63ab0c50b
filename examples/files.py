"""Magika tells what a file is from its bytes: here, what lies in this checkout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import zoo

CHECKOUT = Path(__file__).resolve().parent.parent
BLOCK, TOKENS, PADDING = 4096, 1024, 256


def run(cache: Path, folder: Path) -> zoo.VerifiedModel:
    """Pull magika and name the kind of some files."""
    print("magika: what are these files?")
    model = zoo.pull("magika", cache=cache)
    labels = json.loads((model.path.parent / "config.min.json").read_text())["target_labels_space"]
    classify = zoo.load(model.path)
    for path in _samples():
        scores = next(iter(classify(features(path.read_bytes())[None]).values()))[0]
        best = int(scores.argmax())
        print(f"  {path.relative_to(CHECKOUT)!s:<24} {labels[best]:<12} {scores[best]:.3f}")
    return model


def _samples() -> list[Path]:
    names = ("README.md", "Makefile", "pyproject.toml", "registry.yaml", "zoo/pipeline.py", ".ci/run")
    return [CHECKOUT / name for name in names]


def features(content: bytes) -> np.ndarray:
    """Magika's input, int32[2048]: the first and last 1,024 bytes without blanks around them, padded."""
    begin = np.frombuffer(content[:BLOCK].lstrip()[:TOKENS], np.uint8)
    end = np.frombuffer(content[-BLOCK:].rstrip()[-TOKENS:], np.uint8)
    tokens = np.full(2 * TOKENS, PADDING, np.int32)
    tokens[: len(begin)] = begin
    tokens[2 * TOKENS - len(end) :] = end
    return tokens
