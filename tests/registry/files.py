"""Small registry files for the tests."""

from __future__ import annotations

import os
from pathlib import Path

DIGEST = "ab" * 32

ENTRY = f"""\
schema: 1
models:
  tiny:
    kind: zoo
    task: image classification
    description: A small net.
    licence: {{weights: MIT, source: LICENSE}}
    aliases: [small]
    default: fp32
    files:
      - path: tiny.onnx
        sha256: {DIGEST}
        size: 10
        sources: ["https://example.org/tiny.onnx"]
    inputs: ["x:float32[batch,4]"]
    outputs: ["y:0:float32[batch,2]"]
    preprocessing: {{scale: 1/255}}
    metrics: {{top1: 70.5}}
    provenance: {{version: 1.2.0, origin: somewhere}}
    variants:
      int8:
        aliases: [tiny-int8]
        files:
          - sha256: {DIGEST}
            size: 5
            sources: ["https://example.org/tiny-int8.onnx?download=1"]
        provenance: {{version: 1.3.0}}
      torch:
        kind: converted
        files:
          - sha256: {DIGEST}
            size: 7
            sources: ["hf:org/repo@main/tiny.pt", "file:/models/tiny.pt"]
        conversion: {{framework: torch, kind: torchscript, options: {{submodule: net}}}}
"""


def written(folder: Path, text: str = ENTRY, age: float = 60.0) -> Path:
    """A registry file that was last changed `age` seconds ago: young ones are not indexed."""
    path = folder / "registry.yaml"
    path.write_text(text, encoding="utf-8")
    changed = path.stat().st_mtime - age
    os.utime(path, (changed, changed))
    return path


def line_of(text: str, part: str) -> int:
    """The number of the first line that holds `part`."""
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)
