from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from zoo import wire
from zoo.records import CaseResult, FeedCase, VerificationReport
from zoo.verification.comparison import compare
from zoo.verification.page import page as html_page
from zoo.verification.report import as_json, junit, text, worst
from zoo.verification.verdict import Evidence, verdict

VALUES = np.linspace(-1, 1, 60).reshape(20, 3)


@pytest.fixture
def report():
    case = FeedCase("typical-20", "typical", 20, 7)
    long_name = "StatefulPartitionedCall/model/dense_3/BiasAdd:0"
    good = compare(case, {long_name: VALUES}, {long_name: VALUES})
    bad = compare(FeedCase("zeros-20", "zeros", 20, 7), {"y": VALUES}, {"y": VALUES + 1})
    skipped = CaseResult(
        FeedCase("large-20", "large", 20, 7), skipped="the source refuses it: \x00 too large" * 9
    )
    error = CaseResult(FeedCase("missing-20", "missing", 20, 7), error="the graph does not answer")
    return verdict([good, bad, skipped, error], Evidence(versions={"scikit-learn": "1.9.1"}))


def test_the_table_fits_100_columns_and_says_what_failed(report):
    table = text(report)
    assert max(map(len, table.splitlines())) <= 100
    assert "scikit-learn 1.9.1" in table
    assert "seed 7" in table
    assert table.count("FAILED") == 2
    assert "skipped" in table


def test_long_names_of_cases_are_not_cut_and_reasons_not_repeated():
    reason = "the source answers, the graph does not: ONNX Runtime fails on these inputs: INVALID_ARGUMENT"
    names = ["typical-1", "typical-2", "typical-300, optimisation all, several threads"]
    cases = [CaseResult(FeedCase(name, "typical", 1, 0), error=reason) for name in names]
    fine = compare(FeedCase(f"{names[2]} too", "typical", 20, 0), {"y": VALUES}, {"y": VALUES})
    table = text(verdict([*cases, fine]))
    assert max(map(len, table.splitlines())) <= 100
    assert all(f"{name}" in table for name in (*names, f"{names[2]} too"))
    assert table.count("INVALID_ARGUMENT") == 2  # once for the cases, and once in the summary
    assert table.count("the same") == 2


def test_the_worst_output_is_named_with_its_case(report):
    assert "'y' in case zeros-20" in worst(report)


def test_json_comes_back_as_the_report(report):
    assert wire.loads(VerificationReport, as_json(report)) == report


def test_the_page_is_one_file_without_scripts_and_escapes_names(report):
    page = html_page(report, "model <script>alert(1)</script>")
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in page
    assert page.count("<svg") >= 3
    assert 'class="failed"' in page


def test_the_page_is_well_formed_but_for_its_doctype(report):
    page = html_page(report, "model")
    ElementTree.fromstring(page.split("\n", 1)[1].replace('<meta charset="utf-8">', ""))


def test_junit_counts_and_is_xml_whatever_the_names(report):
    root = ElementTree.fromstring(junit({"model <\x07>": report}))
    suite = root.find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    assert len(suite.findall("testcase/failure")) == 2
    assert len(suite.findall("testcase/skipped")) == 1
