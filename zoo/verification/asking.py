"""The source is asked: every case is fed, its answers are kept, and its rounding noise where it counts.

Runs in the worker that loaded the source, and writes plain files into one folder::

    feeds/NNN.npz     the inputs of case NNN
    outputs/NNN.npz   the reference: the source's answer, or that of a test data set
    noise/NNN.npz     the source's rounding noise, of the cases of `measured_at_once`
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Sequence, Tuple

from zoo.jobs import CaseFile, one_line
from zoo.records import ConversionRequest, FeedCase, SourceDescription
from zoo.tensors import load_tensors, read_sample, save_tensors
from zoo.verification.datasets import DATA_SET, DataSet, read_data_sets
from zoo.verification.feeds import EMPTY, MANY_ROWS, FeedMaker, empty_feeds, feeds_of
from zoo.verification.noise import REPEATS, REPEATS_ON_THE_LINE, NoiseMeter
from zoo.verification.search import decision_feeds
from zoo.verification.tolerances import ON_THE_BOUNDARY, TYPICAL

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from zoo.interfaces import Converter
    from zoo.tensors import Tensors


SURVIVES_EMPTY = frozenset({"sklearn", "torch", "tensorflow"})
"""Frameworks that answer or refuse an empty batch; ONNX Runtime and others may end the process."""


def ask(
    converter: Converter, model: Any, description: SourceDescription, asked: ConversionRequest, out: Path
) -> Tuple[CaseFile, ...]:
    """Feed the source all that there is to feed; `out` is the folder for its answers."""
    source = Source(converter, model, description, out)
    maker = FeedMaker(description, asked.seed, _sample(converter, model, asked))
    cases = [source.given(data, number) for number, data in enumerate(_data_sets(asked, description))]
    empty = empty_feeds(maker) if converter.framework in SURVIVES_EMPTY else ()
    made = chain(feeds_of(maker), decision_feeds(maker, source.predict, description), empty)
    skip = asked.options.get("skip", {})
    for number, (case, feeds) in enumerate(made, len(cases)):
        reason = skip.get(case.family)
        file = CaseFile(case, number, None if reason is None else f"not fed: {reason}")
        cases.append(file if reason else source.answered(file, feeds))
    return tuple(file for file in cases if file.case.family != EMPTY or file.refusal is None)


def measured_at_once(case: FeedCase) -> bool:
    """Whether the noise of a case is measured unasked.

    The typical cases set the unit for all others; what is found beyond the bound is measured then.
    """
    return case.family in TYPICAL and case.batch != MANY_ROWS


class Source:
    """A loaded model that is asked case by case; `out` is where its answers go."""

    def __init__(self, converter: Converter, model: Any, description: SourceDescription, out: Path) -> None:
        self._converter, self._model, self._out = converter, model, out
        self._meter = NoiseMeter(converter, model, description)
        for name in ("feeds", "outputs"):
            (out / name).mkdir(parents=True, exist_ok=True)

    def predict(self, feeds: Mapping[str, np.ndarray], *names: str) -> Tensors:
        """The source's own answer; where there are `names`, at least the outputs that are called so."""
        some = getattr(self._converter, "predict_some", None) if names else None
        found: Tensors = (
            some(self._model, feeds, names) if some else self._converter.predict(self._model, feeds)
        )
        return found

    def answered(self, file: CaseFile, feeds: Tensors) -> CaseFile:
        """Answer one case. A feed that the source itself refuses proves nothing, and is recorded so."""
        try:
            answer = self.predict(feeds)
            if measured_at_once(file.case):
                self._meter.write(self._out, file.name, feeds, answer)
        except Exception as error:  # noqa: BLE001 - any refusal of the source is recorded
            return CaseFile(file.case, file.number, f"the source refuses it: {one_line(error)}")
        self._save(file, feeds, answer)
        return file

    def given(self, data: DataSet, number: int) -> CaseFile:
        """A case whose answer came with it; the source only says how noisy it is."""
        file = CaseFile(data.case, number)
        self._meter.write(self._out, file.name, data.inputs, self.predict(data.inputs))
        self._save(file, data.inputs, data.outputs)
        return file

    def measure(self, file: CaseFile, folder: Path) -> None:
        """The noise of a case that was answered before, into `out`; its files lie in `folder`."""
        feeds = load_tensors(folder / "feeds" / file.name)
        given = file.case.family == DATA_SET
        answer = self.predict(feeds) if given else load_tensors(folder / "outputs" / file.name)
        on_the_line = file.case.family in ON_THE_BOUNDARY
        repeats = REPEATS_ON_THE_LINE if on_the_line else REPEATS
        self._meter.write(self._out, file.name, feeds, answer, repeats)

    def _save(self, file: CaseFile, feeds: Tensors, answer: Tensors) -> None:
        save_tensors(self._out / "feeds" / file.name, feeds)
        save_tensors(self._out / "outputs" / file.name, answer)


def measure(source: Source, files: Sequence[CaseFile], folder: Path) -> None:
    """Measure the noise of some cases that were answered before."""
    for file in files:
        source.measure(file, folder)


def _data_sets(asked: ConversionRequest, description: SourceDescription) -> Iterator[DataSet]:
    for path in asked.data_sets:
        yield from read_data_sets(path, description.signature)


def _sample(converter: Converter, model: Any, asked: ConversionRequest) -> Optional[Tensors]:
    """The user's rows; else those that the source came with, if its converter knows any."""
    if asked.sample is not None:
        return read_sample(asked.sample)
    own = getattr(converter, "sample", None)
    found: Optional[Tensors] = None if own is None else own(model, asked)
    return found
