"""From an estimator's class to the emitter that writes it down, and from a capability to nodes.

Each module of `converters.classical.families` has a table ``EMITTERS`` from the public name of a
class to its emitter. The modules import nothing heavy; the tables are read once, when the first
estimator is asked for.
"""

from __future__ import annotations

import pkgutil
from contextlib import nullcontext
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Sequence, Union

from converters.classical.facts import Feature, unknown

if TYPE_CHECKING:
    from converters.classical.columns import Features
    from converters.classical.graph import Graph, Value
    from zoo.errors import UnsupportedModelError

CAPABILITIES = (
    "transform",
    "predict",
    "predict_proba",
    "decision_function",
    "predict_log_proba",
    "score_samples",
)
Answer = Union["Value", "list[Value]"]


class Emitter:
    """Writes one fitted estimator. A subclass defines the capabilities it can write.

    - ``transform(X) -> Features``
    - ``predict(X) -> Value``: [N] or [N, K], labels in the source's dtype
    - ``predict_proba(X) -> Value | list[Value]``: [N, K], a list for several outputs
    - ``decision_function(X) -> Value | list[Value]``: [N] or [N, K], as the source shapes it

    and, for the verifier, ``facts()`` and ``facts_before(after)``.
    """

    def __init__(self, estimator: Any, graph: Graph) -> None:
        self.estimator = estimator
        self.graph = graph

    @property
    def reads_texts(self) -> bool:
        """Whether the source takes a sequence of texts, as vectorizers do, instead of a matrix."""
        return False

    @property
    def reads_labels(self) -> bool:
        """Whether the source takes a vector of labels."""
        return False

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of a row's entries, where the source takes mappings instead of a matrix."""
        return ()

    def offers(self, capability: str) -> bool:
        """Whether this emitter can write a capability; meta-estimators ask their parts."""
        return hasattr(type(self), capability)

    def refuse(self, reason: str, hint: str | None = None) -> UnsupportedModelError:
        """The error that names this step; `raise self.refuse(...)`."""
        return self.graph.refuse(reason, hint)

    @property
    def width(self) -> int:
        """How many features the estimator was fitted on."""
        return int(self.estimator.n_features_in_)

    def facts(self) -> list[Feature]:
        """What the fitted estimator knows of its own input features, one for each."""
        return unknown(self.width)

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        """For transformers: what is known of the inputs, given what the next step knows of the outputs."""
        return self.facts()


def emitter(estimator: Any, graph: Graph, step: str | None = None) -> Emitter:
    """The emitter of a fitted estimator. Raises `UnsupportedModelError` where there is none.

    `step` is its name in the meta-estimator that asks, for the refusal.
    """
    name = public_name(type(estimator))
    kind = _table().get(name)
    if kind is None:
        with graph.scope(step) if step else nullcontext():
            raise graph.refuse(f"{name} has no converter", _way_out(estimator))
    made: Emitter = kind(estimator, graph)
    return made


def emit(graph: Graph, estimator: Any, capability: str, X: Features, step: str | None = None) -> Any:
    """Write one capability of an estimator, under the name of its step."""
    with graph.scope(step or type(estimator).__name__):
        writer = emitter(estimator, graph)
        if not writer.offers(capability):
            raise graph.refuse(f"{capability} of {public_name(type(estimator))} has no converter")
        return getattr(writer, capability)(X)


def transform(graph: Graph, estimator: Any, X: Features, step: str | None = None) -> Features:
    """Write the transform of an estimator."""
    result: Features = emit(graph, estimator, "transform", X, step)
    return result


def respond(
    graph: Graph, estimator: Any, methods: Sequence[str], X: Features, step: str | None = None
) -> tuple[str, Any]:
    """Write the first of `methods` that the source has, as sklearn's ``response_method`` picks."""
    method = responding(graph, estimator, methods)
    return method, emit(graph, estimator, method, X, step)


def responding(graph: Graph, estimator: Any, methods: Sequence[str]) -> str:
    """The first of `methods` that the source estimator has (its ``available_if`` included)."""
    for method in methods:
        if hasattr(estimator, method):
            return method
    raise graph.refuse(f"{type(estimator).__name__} has none of {', '.join(methods)}")


def offers(graph: Graph, estimator: Any, capability: str) -> bool:
    """Whether both the source and its emitter have a capability."""
    return hasattr(estimator, capability) and emitter(estimator, graph).offers(capability)


def supported() -> tuple[str, ...]:
    """The public names of all classes that have an emitter."""
    return tuple(sorted(_table()))


def public_name(kind: type) -> str:
    """The public path of a class: ``sklearn.linear_model.Ridge``, without private modules."""
    parts = []
    for part in kind.__module__.split("."):
        if part.startswith("_"):
            break
        parts.append(part)
    return ".".join([*parts, kind.__qualname__])


@lru_cache(maxsize=None)
def _table() -> dict[str, type[Emitter]]:
    from converters.classical import families

    table: dict[str, type[Emitter]] = {}
    for module in pkgutil.iter_modules(families.__path__):
        emitters = getattr(import_module(f"{families.__name__}.{module.name}"), "EMITTERS", {})
        twice = sorted(set(emitters) & set(table))
        if twice:
            raise TypeError(f"two emitters for {', '.join(twice)}: the second in {module.name}")
        table.update(emitters)
    return table


def _way_out(estimator: Any) -> str | None:
    known = [base for base in type(estimator).__mro__[1:] if public_name(base) in _table()]
    if known:
        return (
            f"It extends {public_name(known[0])}, which converts; a subclass may compute anything, so it is "
            "not taken for it. Use the class itself, or run this step in Python."
        )
    return None
