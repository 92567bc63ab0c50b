"""What the parent asks of a worker process and what it finds afterwards, as files in one folder.

::

    job.json              the `Job`
    out/error.json        a `Failure`, when the job failed with a reason
    out/<Job.name>        convert: the ONNX file (and its external data)
    out/description.json  convert, predict: the `SourceDescription`
    out/cases.json        convert, predict, run: a `CaseList`
    out/feeds/NNN.npz     convert, predict: the inputs of case NNN
    out/outputs/NNN.npz   convert, predict: the source's outputs; run: ONNX Runtime's
    out/noise/NNN.npz     convert, predict, noise: the source's rounding noise in case NNN
    out/opinions/…        run, opinions: some cases again, run in other ways
    out/model.json        run: the `OnnxModel` facts
    out/layers.json       layers: a `LayerList`; their arrays are in out/layers.npz, by number
    out/finding.json      bisect: the `Finding` of `zoo.verification.bisection`
    out/reproducer/…      bisect: a minimal model with its inputs, and the draft of an issue
"""

from __future__ import annotations

import time
from dataclasses import field
from pathlib import Path
from typing import Any, Optional

from zoo.records import ConversionRequest, FeedCase, record

CONVERT = "convert"
PREDICT = "predict"
RUN = "run"
LAYERS = "layers"
"""Write down what is inside the source, for a case that it answered in an earlier job."""
BISECT = "bisect"
NOISE = "noise"
"""Measure the source's noise in cases that it answered in an earlier job."""
OPINIONS = "opinions"
"""Run cases in every way there is, to see whose fault a difference is."""


@record
class Job:
    """One call of the worker. `converter` is ``module:Class``; `cases` is the folder to run over."""

    action: str
    request: Optional[ConversionRequest] = None
    converter: Optional[str] = None
    name: str = "model.onnx"
    """File name of the ONNX model that a conversion writes."""
    model: Optional[Path] = None
    cases: Optional[Path] = None
    code: tuple[Path, ...] = ()
    """Folders in which the modules that the user named are looked for, after all others."""
    case: Optional[int] = None
    """Number of the case to bisect on."""
    layers: Optional[Path] = None
    """The folder that a `LAYERS` job left."""
    numbers: tuple[int, ...] = ()
    """Numbers of the cases that noise or opinions are wanted of."""
    optimisation: str = "all"
    threads: int = 1
    constants: dict[str, Any] = field(default_factory=dict)
    """Values of inputs that the graph has and the source has not."""


@record
class Failure:
    """An error of the worker: the `ZooError` subclass by name, or any other exception's text."""

    error: str
    message: str
    hint: Optional[str] = None


@record
class CaseFile:
    """One feed case; `number` names its files. `refusal` is why there is no answer."""

    case: FeedCase
    number: int
    refusal: Optional[str] = None

    @property
    def name(self) -> str:
        return f"{self.number:03d}.npz"


@record
class CaseList:
    """All cases of a job; `seconds` is what each step took."""

    cases: tuple[CaseFile, ...]
    seconds: dict[str, float]


@record
class LayerOf:
    """One layer of a source: its name, its kind, and where it stands in code."""

    name: str
    kind: str
    where: str = ""


@record
class LayerList:
    """The layers of a source in the order of their execution; none where its converter sees none."""

    layers: tuple[LayerOf, ...] = ()


class Clock:
    """Seconds of each step, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = round(now - self._last, 4)
        self._last = now


def one_line(error: BaseException, limit: int = 500) -> str:
    """What an exception is and says, on one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
