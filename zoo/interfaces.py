"""What a fetcher and a converter must be. Third parties implement these; see `zoo.plugins`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Mapping, Optional, Protocol, Tuple

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.records import Artifact, ConversionRequest, FileSpec, SourceDescription
    from zoo.tensors import Tensors

Layer = Tuple[str, str, Any, str]
"""A layer of a source: its name, its kind, the array it gave, and where it stands in code."""

Progress = Callable[[int, Optional[int]], None]
"""Called with bytes so far and bytes in all (None when unknown)."""


class Fetcher(Protocol):
    """Brings the bytes of one source string, such as ``hf:org/repo@revision/path``."""

    scheme: ClassVar[str]

    def fetch(self, source: str, file: FileSpec, destination: Path, progress: Progress) -> None:
        """Write exactly the bytes of `source` to `destination`.

        Raises a `SourceError` that names the cause. Where `file.sha256` is known the bytes are
        checked against it while they are written.
        """
        ...


class Converter(Protocol):
    """One source framework: load a file, convert it, and predict with it as the reference.

    The same code runs in the worker process for files and in process for `zoo.export`. `load` may
    run the file's author's code: only the worker calls it. Nothing of the framework is imported
    before a method runs.

    A converter may also have ``sample(model, request) -> Tensors | None``: rows that the source came with,
    fed like a user's sample; ``layers(model, feeds) -> list[Layer]``: what is inside the source, for
    `zoo bisect`; ``predict_precise(model, feeds)``: its answer in float64, None where it has none;
    ``predict_some(model, feeds, names)``: `predict`, which may leave out outputs not among `names`; and,
    a third party's, ``recognise(path) -> str | None``: the kind of a file that is of no format known here.
    It runs in the process of the command line, so it reads a bounded part of the file and loads nothing.
    Its module may have a function ``preload()`` that imports the framework: for workers that are kept warm.
    ``needs: ClassVar[Needs]`` asks for a Java (the parent finds it and sets ``JAVA_HOME``) or a loopback.
    """

    framework: ClassVar[str]
    title: ClassVar[str]
    """The framework's name for people, such as ``"scikit-learn"``."""
    requirements: ClassVar[tuple[str, ...]]
    """Distributions that must be installed, such as ``("scikit-learn", "skl2onnx")``; ``a|b``: either."""
    extra: ClassVar[str]
    """The extra of this distribution that installs them."""
    revision: ClassVar[int]
    """Raised when the same request gives another graph than before."""

    def load(self, artifact: Artifact, request: ConversionRequest) -> Any:
        """The live model. Raises `UnsupportedFileError` or `MissingInputError`."""
        ...

    def describe(self, model: Any, request: ConversionRequest) -> SourceDescription:
        """Signature and what is known of the inputs' values, as far as the source knows them.

        Raises `MissingInputError` where shapes or dtypes must come from the user.
        """
        ...

    def convert(self, model: Any, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX. Its graph inputs are those that `describe` names."""
        ...

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """The source's own answer: one array for each graph output, under its name."""
        ...
