"""A validation as JUnit XML, the form that CI systems show.

The elements are those of https://github.com/testmoapp/junitxml.
"""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from zoo.nightly.validation import FAILED, UNAVAILABLE, UNREACHABLE, EntryResult, Validation


def junit(validation: Validation) -> str:
    """One test case for each entry; unreachable and unavailable entries are skipped ones."""
    counts = validation.counts
    suite = Xml.Element(
        "testsuite",
        name="zoo validate",
        tests=str(len(validation.results)),
        failures=str(counts[FAILED]),
        skipped=str(counts[UNREACHABLE] + counts[UNAVAILABLE]),
        errors="0",
        time=f"{validation.seconds:.3f}",
    )
    for result in validation.results:
        _add_case(suite, result)
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: Xml.Element, result: EntryResult) -> None:
    case = Xml.SubElement(
        suite, "testcase", classname="zoo.registry", name=result.ref, time=f"{result.seconds:.3f}"
    )
    if result.status == FAILED:
        failure = Xml.SubElement(case, "failure", type=str(result.error), message=_printable(result.message))
        failure.text = _printable(result.message)
    elif result.status in (UNREACHABLE, UNAVAILABLE):
        Xml.SubElement(case, "skipped", message=f"{result.status}: {_printable(result.message)}")


def _printable(text: str | None) -> str:
    """XML 1.0 has no way to write most control characters."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text or "")
