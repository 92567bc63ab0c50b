"""LIBSVM's text models, parsed: one header line for each parameter, then one line for each support vector.

Source: svm_save_model and svm_load_model of LIBSVM 3.37 (svm.cpp).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Optional

from zoo.errors import UnsupportedFileError, UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

CLASSIFIERS = ("c_svc", "nu_svc")
TYPES = (*CLASSIFIERS, "one_class", "epsilon_svr", "nu_svr")
KERNELS = ("linear", "polynomial", "rbf", "sigmoid", "precomputed")
_NUMBERS = ("degree", "gamma", "coef0", "nr_class", "total_sv")
_LISTS = ("rho", "label", "probA", "probB", "nr_sv", "prob_density_marks")
MOST_FEATURES = 10_000_000
MOST_NUMBERS = 1 << 28
"""2 GiB: a sparse model of text may be larger than that when every zero is written."""


@record
class SvmModel:
    """A model: `vectors` [support vectors, features] and `coefficients` [support vectors, classes - 1].

    `labels`, `counts` (support vectors by class), `prob_a` and `prob_b` are empty where the model has none.
    """

    svm_type: str
    kernel: str
    degree: int
    gamma: float
    coef0: float
    classes: int
    rho: Any
    labels: Any
    counts: Any
    prob_a: Any
    prob_b: Any
    coefficients: Any
    vectors: Any
    has_density: bool = False

    @property
    def is_classifier(self) -> bool:
        """Whether it answers with a class."""
        return self.svm_type in CLASSIFIERS

    @property
    def gives_probabilities(self) -> bool:
        """Whether it was trained with ``-b 1``; regressors and one-class models have no such output here."""
        return self.is_classifier and len(self.prob_a) > 0


def read(path: Path, features: Optional[int] = None) -> SvmModel:
    """The model of a file; `features` widens the input beyond the last feature of a support vector.

    Raises `UnsupportedFileError` where the file does not hold together.
    """
    try:
        lines = iter(path.read_text(encoding="ascii").splitlines())
        header = dict(_header(lines))
        return _model(header, [line for line in lines if line.strip()], features)
    except (ValueError, KeyError, IndexError, StopIteration) as error:
        raise UnsupportedFileError(
            f"{path.name} is a damaged LIBSVM model: {_reason(error)}",
            hint="It is cut off or was changed; save it anew with svm_save_model.",
        ) from error


def _reason(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__


def _header(lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "SV":
            return
        yield words[0], words[1:]
    raise ValueError("its header ends without SV")


def _model(header: dict[str, list[str]], lines: list[str], features: Optional[int]) -> SvmModel:
    import numpy as np

    numbers = {name: float(header[name][0]) for name in _NUMBERS if name in header}
    lists = {name: np.array([float(word) for word in header.get(name, [])]) for name in _LISTS}
    total, classes = int(numbers["total_sv"]), int(numbers["nr_class"])
    if len(lines) != total:
        raise ValueError(f"{len(lines)} support vectors, its header says {total}")
    width = 1 if header["svm_type"][0] not in CLASSIFIERS else classes - 1
    coefficients, vectors = _support(lines, width, features)
    found = SvmModel(
        svm_type=_one_of(header["svm_type"][0], TYPES),
        kernel=_one_of(header["kernel_type"][0], KERNELS),
        degree=int(numbers.get("degree", 0)),
        gamma=numbers.get("gamma", 0.0),
        coef0=numbers.get("coef0", 0.0),
        classes=classes,
        rho=lists["rho"],
        labels=lists["label"].astype(np.int64),
        counts=lists["nr_sv"].astype(np.int64),
        prob_a=lists["probA"],
        prob_b=lists["probB"],
        coefficients=coefficients,
        vectors=vectors,
        has_density=len(lists["prob_density_marks"]) > 0,
    )
    _check(found)
    return found


def _one_of(word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise ValueError(f"unknown {word!r}, not one of {', '.join(known)}")
    return word


def _support(lines: list[str], width: int, features: Optional[int]) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    coefficients = np.zeros((len(lines), width))
    entries: list[tuple[int, int, float]] = []
    for row, line in enumerate(lines):
        words = line.split()
        coefficients[row] = [float(word) for word in words[:width]]
        for word in words[width:]:
            index, _, value = word.partition(":")
            entries.append((row, int(index), float(value)))
    last = max((index for _, index, _ in entries), default=0)
    if not 0 <= last <= MOST_FEATURES or any(index < 0 for _, index, _ in entries):
        raise ValueError(f"a feature has the index {last}")
    columns = max(last, features or 0, 1) + 1
    if len(lines) * columns > MOST_NUMBERS:
        raise UnsupportedModelError(
            f"{len(lines)} support vectors of {columns - 1} features, written out, are more than "
            f"{MOST_NUMBERS} numbers",
            hint="Number the features that occur without gaps, or select fewer.",
        )
    vectors = np.zeros((len(lines), columns))
    for place, feature, number in entries:
        vectors[place, feature] = number
    return coefficients, vectors[:, 1:]  # features count from 1; 0 is for precomputed kernels


def _check(model: SvmModel) -> None:
    pairs = model.classes * (model.classes - 1) // 2 if model.is_classifier else 1
    if len(model.rho) != pairs:
        raise ValueError(f"rho has {len(model.rho)} values, {pairs} are needed")
    if not model.is_classifier:
        return
    if model.classes < 2 or len(model.labels) != model.classes or len(model.counts) != model.classes:
        raise ValueError(
            f"{model.classes} classes with {len(model.labels)} labels and {len(model.counts)} counts"
        )
    if model.counts.sum() != len(model.vectors):
        raise ValueError(f"nr_sv sums to {model.counts.sum()}, there are {len(model.vectors)} vectors")
    if len(model.prob_a) not in (0, pairs) or len(model.prob_a) != len(model.prob_b):
        raise ValueError(f"probA has {len(model.prob_a)} values and probB {len(model.prob_b)}, not {pairs}")
