"""``zoo doctor``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import options, show

if TYPE_CHECKING:
    from zoo.doctor import Fact

UNHEALTHY = 14
"""Exit code, see `zoo.errors.EXIT_CODES`."""


@click.command("doctor")
@options.cache
@options.offline
@options.output
def command(as_json: bool, quiet: bool, verbose: int, **asked: Any) -> int:
    """Show what works on this machine.

    Versions and conflicts, converters, the sandbox, ONNX Runtime's providers, index and proxies, the store
    and its free space. With `-q` only what is wrong. Exit code 14 where something is a problem.
    """
    from zoo.doctor import PROBLEM, doctor

    found = doctor(**asked)
    if as_json:
        show.print_json({"healthy": found.healthy, "facts": found.facts})
    else:
        shown = [fact for fact in found.facts if not quiet or fact.status == PROBLEM]
        click.echo(_text(tuple(shown)))
    return 0 if found.healthy else UNHEALTHY


def _text(facts: tuple[Fact, ...]) -> str:
    width = max((len(fact.name) for fact in facts), default=0)
    lines: list[str] = []
    for section, found in groupby(facts, key=lambda fact: fact.section):
        lines.append(section)
        for fact in found:
            lines.append(f"  {_MARKS[fact.status]} {fact.name.ljust(width)}  {fact.value}")
            lines += [f"    {'':{width}}  {fact.hint}"] if fact.hint else []
    return "\n".join(lines)


_MARKS = {"ok": " ", "note": "-", "problem": "!"}
