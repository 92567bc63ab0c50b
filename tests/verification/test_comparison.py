from __future__ import annotations

import json
import re

import numpy as np
import pytest

from tests.verification.judging import judged, only
from zoo import wire
from zoo.jobs import CaseFile, CaseList
from zoo.records import CaseResult, FeedCase, Signature, SourceDescription, Tolerance, VerificationReport
from zoo.tensors import save_tensors
from zoo.verification.comparison import Criteria, compare
from zoo.verification.evidence import compare_cases
from zoo.verification.report import worst
from zoo.verification.tolerances import Noise, Policy, class_of
from zoo.verification.verdict import verdict, worst_output

RANDOM = np.random.default_rng(0)
VALUES = RANDOM.standard_normal((300, 4)).astype(np.float32)


def test_equal_outputs_pass_with_every_measure_at_its_best():
    output = only(VALUES, VALUES.copy())
    assert output.passed
    assert (output.max_abs, output.max_rel, output.mean_abs, output.details["ulp_max"]) == (0, 0, 0, 0)
    assert output.cosine == pytest.approx(1)
    assert output.details["ulps"] == [VALUES.size]


def test_float32_rounding_passes():
    assert only(VALUES, VALUES * np.float32(1 + 1e-6)).passed


def test_an_error_of_a_thousandth_in_one_element_fails_and_is_located():
    actual = VALUES.copy()
    actual[17, 2] += 1e-3
    output = only(VALUES, actual)
    assert not output.passed
    assert output.details["worst"]["index"] == [17, 2]
    assert "[17, 2]" in output.reason
    assert output.details["over"] == 1


def test_measures_are_those_of_numpy():
    actual = VALUES + RANDOM.standard_normal(VALUES.shape).astype(np.float32) * np.float32(1e-3)
    output = only(VALUES, actual)
    error = np.abs(actual.astype(np.float64) - VALUES)
    assert output.max_abs == error.max()
    assert output.mean_abs == pytest.approx(error.mean())
    assert output.max_rel == pytest.approx((error / np.abs(VALUES)).max())
    quantile = np.quantile(error, 0.999, method="higher")
    assert quantile <= output.details["p999_abs"] <= quantile * 1.1
    signal = (VALUES.astype(np.float64) ** 2).sum() / (error**2).sum()
    assert output.details["sqnr_db"] == pytest.approx(10 * np.log10(signal))
    assert sum(count for _, count in output.details["errors_by_decade"]) == VALUES.size


def test_large_outputs_are_judged_in_pieces_as_in_one(monkeypatch):
    actual = VALUES * np.float32(1 + 1e-5)
    actual[299, 3] += 1
    whole = only(VALUES, actual)
    monkeypatch.setattr("zoo.verification.metrics.PIECE", 7)
    pieces = only(VALUES, actual)
    assert pieces.details["worst"] == whole.details["worst"]
    assert pieces.details["ulps"] == whole.details["ulps"]
    assert pieces.mean_abs == pytest.approx(whole.mean_abs)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_units_in_the_last_place_are_counted(steps):
    actual = VALUES.copy()
    for _ in range(steps):
        actual = np.nextafter(actual, np.float32(np.inf))
    assert only(VALUES, actual).details["ulp_max"] == steps


def test_units_in_the_last_place_of_float64_are_counted_exactly():
    double = VALUES.astype(np.float64)
    assert only(double, np.nextafter(double, np.inf)).details["ulp_max"] == 1


def test_numbers_on_both_sides_of_zero_are_few_units_apart():
    tiny = np.array([np.nextafter(np.float32(0), np.float32(1))])
    assert only(tiny, -tiny, policy=Policy(Tolerance(0, 1))).details["ulp_max"] == 2


@pytest.mark.parametrize(
    ("e", "a"), [(np.nan, 0.0), (0.0, np.nan), (np.inf, -np.inf), (np.inf, 5.0), (5.0, np.inf)]
)
def test_nan_and_infinity_on_one_side_only_fail(e, a):
    expected, actual = VALUES.copy(), VALUES.copy()
    expected[3, 1], actual[3, 1] = e, a
    output = only(expected, actual)
    assert not output.passed
    assert "[3, 1]" in output.reason


def test_the_same_nan_and_infinities_pass():
    both = VALUES.copy()
    both[0], both[1], both[2] = np.nan, np.inf, -np.inf
    assert only(both, both.copy()).passed


def test_what_overflows_float32_may_be_infinite_in_float32():
    assert only(np.array([1e300, 1.0]), np.array([np.inf, 1.0], np.float32)).passed
    assert not only(np.array([1e30, 1.0]), np.array([np.inf, 1.0], np.float32)).passed


def test_a_given_tolerance_replaces_the_default():
    actual = VALUES + np.float32(1e-3)
    assert only(VALUES, actual, policy=Policy(Tolerance(0.0, 2e-3))).passed
    assert not only(VALUES, VALUES * np.float32(1 + 1e-6), policy=Policy(Tolerance(0.0, 1e-9))).passed


def test_float32_for_the_sources_float64_is_noted_and_judged_as_float32():
    output = only(VALUES.astype(np.float64) * (1 + 1e-8), VALUES)
    assert output.passed
    assert "float32 for the source's float64" in output.details["notes"]


def test_float64_on_both_sides_is_judged_as_float64():
    exact = VALUES.astype(np.float64)
    assert only(exact, exact * (1 + 1e-13)).passed
    assert not only(exact, exact * (1 + 1e-7)).passed


def test_errors_are_judged_in_units_of_measured_noise():
    actual = VALUES + np.float32(3e-3)
    noisy, quiet = Noise("float64", 1e-3), Noise("float64", 1e-9)
    assert only(VALUES, actual, noise={"y": noisy}).passed
    assert not only(VALUES, VALUES + np.float32(5e-5), noise={"y": quiet}).passed


@pytest.mark.parametrize(
    ("error", "passes"), [(1.8e-7, True), (2.3e-7, True), (2.5e-7, False), (1e-6, False)]
)
def test_probabilities_near_zero_may_be_off_by_the_rounding_of_a_logistic_function(error, passes):
    small = np.full((50, 1), 1e-8, np.float32)
    output = only(small, small + np.float32(error), roles={"y": "probabilities"})
    assert output.passed == passes
    assert output.details["bound"]["basis"] == "logistic"
    assert not only(small, small + np.float32(error)).passed


def test_the_rounding_of_a_logistic_function_in_float64_is_that_of_float64():
    small = np.full((50, 1), 1e-20)
    noise = {"y": Noise("perturbation", 1e-8)}
    assert only(small, small + 4e-16, roles={"y": "probabilities"}, noise=noise).passed
    assert not only(small, small + 1e-15, roles={"y": "probabilities"}, noise=noise).passed


@pytest.mark.parametrize("roles", [{}, {"y": "probabilities"}])
@pytest.mark.parametrize(("error", "passes"), [(1e-6, True), (2e-6, True), (4e-6, False)])
def test_a_probability_beside_one_near_1_is_judged_as_any_other_number(error, passes, roles):
    """Eight units in the last place of 1 are inside the sixteen that sums of terms may lose."""
    rows = np.tile(np.array([[0.999, 0.001]], np.float32), (50, 1))
    wrong = rows.copy()
    wrong[17] += np.float32([-error, error])
    output = only(rows, wrong, roles=roles, noise={"y": Noise("float64", 1e-8)})
    assert output.passed == passes
    assert output.details["bound"]["basis"] == "noise"


def test_that_small_probabilities_are_judged_coarsely_is_said():
    case = FeedCase("typical-50", "typical", 50, 0)
    rows = {size: np.full((50, 1), size, np.float32) for size in (1e-6, 0.01)}
    criteria = Criteria(roles={"y": "probabilities"}, noise={"y": Noise("float64", 1e-9)})
    reports = {size: verdict([compare(case, {"y": y}, {"y": y}, criteria)]) for size, y in rows.items()}
    said = {
        size: [n for n in report.notes if "so small probabilities" in n] for size, report in reports.items()
    }
    assert "at most 1e-06 in case typical-50" in said[1e-6][0]
    assert said[0.01] == []


@pytest.mark.parametrize(
    ("noise_there", "left", "passes"),
    [(0.0, 7.5e-6, True), (0.0, 7e-5, True), (0.0, 9e-5, False), (1e-9, 7.5e-6, False)],
)
def test_zeros_that_the_source_gives_to_the_last_bit_are_judged_by_the_usual_output(
    noise_there, left, passes
):
    """All cancels in its rows of zeros; in the graph, that adds in another order, rounding is left."""
    zeros = np.zeros((2, 6), np.float32)
    noise = {"y": Noise("float64", 1e-7, np.full(zeros.shape, noise_there, np.float32))}
    left = zeros + np.float32(left)
    assert only(zeros, left, family="zeros", noise=noise, scales={"y": 8.0}).passed == passes


def test_other_answers_without_noise_keep_their_narrow_bound():
    noise = {"y": Noise("float64", 1e-8, np.zeros(VALUES.shape, np.float32))}
    scales = {"y": float(np.abs(VALUES).max())}
    assert not only(VALUES, VALUES + np.float32(3e-5), noise=noise, scales=scales).passed


def test_noise_is_that_of_the_format_the_graph_computes_in():
    noise = {"y": Noise("perturbation", 1e-6)}
    double = VALUES.astype(np.float64)
    assert only(double, (double + 1e-5).astype(np.float32), noise=noise).passed
    assert not only(double, double + 1e-9, noise=noise).passed
    half = only(double.astype(np.float32), double.astype(np.float16), noise=noise)
    assert half.passed


def test_single_elements_may_jump_as_far_as_the_sources_own_do_but_not_many():
    jumps = np.zeros(VALUES.shape)
    jumps[:5] = 1.0
    actual = VALUES + jumps.astype(np.float32)
    output = only(VALUES, actual, noise={"y": Noise("float64", 1e-8, jumps)})
    assert output.passed
    assert output.details["unstable"] == 20
    jumps[:50] = 1.0
    many = only(VALUES, VALUES + jumps.astype(np.float32), noise={"y": Noise("float64", 1e-8, jumps)})
    assert not many.passed


def test_another_shape_fails_and_a_last_axis_of_one_is_noted():
    assert "shape" in only(VALUES, VALUES.T).reason
    output = only(VALUES[:, 0], VALUES[:, :1])
    assert output.passed
    assert output.details["notes"]


def test_text_must_be_equal():
    text = np.array(["naïve", "東京", "x"])
    assert only(text, text.astype(object)).passed
    other = text.copy()
    other[1] = "京都"
    assert not only(text, other).passed


def test_numbers_for_text_fail():
    assert "source gives string" in only(np.array(["1", "2"]), np.array([1, 2])).reason


def test_int64_labels_as_int32_pass_with_a_note_unless_values_were_cut():
    labels = np.array([1, 2, 3], np.int64)
    output = only(labels, labels.astype(np.int32), roles={"y": "label"})
    assert output.passed
    assert output.details["notes"]
    large = labels + 2**33
    assert not only(large, large.astype(np.int32), roles={"y": "label"}).passed


def test_outputs_swapped_under_their_names_fail():
    a, b = VALUES, VALUES[::-1].copy()
    assert not judged({"a": a, "b": b}, {"a": b, "b": a}).passed


def test_outputs_of_other_names_are_matched_by_position_or_shape_and_that_is_noted():
    in_order = judged({"a": VALUES, "b": VALUES[:, 0]}, {"Identity": VALUES, "Identity_1": VALUES[:, 0]})
    assert in_order.passed
    assert "outputs were matched by position" in in_order.outputs[0].details["notes"]
    turned = judged({"a": VALUES, "b": VALUES[:, 0]}, {"p": VALUES[:, 0], "q": VALUES})
    assert turned.passed
    assert "outputs were matched by shape" in turned.outputs[0].details["notes"]


def test_a_missing_output_is_an_error_and_a_further_one_a_note():
    assert "no output 'b'" in judged({"a": VALUES, "b": VALUES}, {"a": VALUES}).error
    more = judged({"a": VALUES}, {"a": VALUES, "b": VALUES})
    assert more.passed
    assert "the graph also gives 'b'" in more.outputs[0].details["notes"]


CASE = FeedCase("typical-300", "typical", 300, 0)


def test_one_failed_case_makes_a_mismatch_and_the_worst_output_is_named():
    slight, gross = VALUES.copy(), VALUES.copy()
    slight[0, 0] += 1e-2
    gross[1, 1] += 5
    good, bad = (
        judged({"a": VALUES}, {"a": VALUES}),
        judged({"a": VALUES, "b": VALUES}, {"a": slight, "b": gross}),
    )
    report = verdict([good, bad])
    assert report.verdict == "mismatch"
    assert worst_output(report)[1].output == "b"
    assert re.search(r"'b'.*\[1, 1\]", worst(report))


def test_nothing_compared_is_unproven_and_does_not_pass():
    report = verdict([CaseResult(CASE, skipped="no")])
    assert report.verdict == "unproven"
    assert not report.passed


def test_an_output_that_never_changes_is_noted():
    report = verdict([judged({"y": np.ones((3, 2))}, {"y": np.ones((3, 2))})])
    assert any("'y' was 1 for every feed" in note for note in report.notes)


def test_a_report_with_odd_numbers_is_json_and_comes_back():
    odd = VALUES.copy()
    odd[0, 0], odd[1, 0] = np.nan, 0
    report = verdict([judged({"y": np.zeros_like(VALUES)}, {"y": odd}), judged({"y": VALUES}, {"y": VALUES})])
    text = wire.dumps(report)
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert wire.loads(VerificationReport, text) == report


def written(folder, answers):
    (folder / "outputs").mkdir(parents=True)
    for number, outputs in answers.items():
        save_tensors(folder / "outputs" / f"{number:03d}.npz", outputs)
    return folder


def test_files_of_two_workers_are_compared_and_refusals_told_apart(tmp_path):
    cases = [FeedCase(f"typical-{i}", "typical", 300, 0) for i in range(3)]
    asked = CaseList(
        (CaseFile(cases[0], 0), CaseFile(cases[1], 1, refusal="no NaN"), CaseFile(cases[2], 2)), {}
    )
    ran = CaseList((CaseFile(cases[0], 0), CaseFile(cases[2], 2, refusal="bad axis")), {"run": 2.0})
    source = written(tmp_path / "source", {0: {"y": VALUES}, 2: {"y": VALUES}})
    runtime = written(tmp_path / "runtime", {0: {"y": VALUES}})
    report = compare_cases(asked, ran, source, runtime, SourceDescription(Signature()), None)
    assert [case.passed for case in report.cases] == [True, True, False]
    assert "no NaN" in report.cases[1].skipped
    assert "bad axis" in report.cases[2].error
    assert report.seconds == 2.0


def noisy(folder, answers, noise):
    """A source folder with the noise of every answer, measured in float64."""
    (folder / "noise").mkdir(parents=True)
    (folder / "noise" / "method").write_text("float64")
    for number, values in noise.items():
        save_tensors(folder / "noise" / f"{number:03d}.npz", {"y": values})
    return written(folder, answers)


@pytest.mark.parametrize(("error", "passes"), [(2e-6, True), (1.5e-5, False)])
def test_one_row_near_zero_makes_the_usual_noise_no_larger_and_its_own_bound_no_smaller(
    tmp_path, error, passes
):
    """Its noise relative to its own answer is a hundred times the usual."""
    cases = [FeedCase("typical-1", "typical", 1, 0), FeedCase("typical-300", "typical", 300, 0)]
    both = CaseList(tuple(CaseFile(case, i) for i, case in enumerate(cases)), {})
    near, many = np.full((1, 4), 0.01, np.float32), np.ones((300, 4), np.float32)
    source = noisy(
        tmp_path / "source",
        {0: {"y": near}, 1: {"y": many}},
        {i: np.full(a.shape, 1e-7, np.float32) for i, a in enumerate((near, many))},
    )
    wrong = {0: {"y": near + np.float32(error)}, 1: {"y": many + np.float32(error)}}
    report = compare_cases(
        both, both, source, written(tmp_path / "runtime", wrong), SourceDescription(Signature()), None
    )
    assert [case.passed for case in report.cases] == [passes, passes]


def test_rounding_left_where_all_cancels_is_bounded_by_the_typical_output(tmp_path):
    cases = [FeedCase("typical-1", "typical", 1, 0), FeedCase("zeros-2", "zeros", 2, 0)]
    both = CaseList(tuple(CaseFile(case, i) for i, case in enumerate(cases)), {})
    zeros = np.zeros((2, 4), np.float32)
    source = written(tmp_path / "source", {0: {"y": VALUES}, 1: {"y": zeros}})
    runtime = written(tmp_path / "runtime", {0: {"y": VALUES}, 1: {"y": zeros + np.float32(1e-9)}})
    assert compare_cases(both, both, source, runtime, SourceDescription(Signature()), None).passed


def test_a_quantised_output_may_be_off_by_steps_but_not_everywhere():
    steps = RANDOM.integers(-100, 100, (300, 4)).astype(np.int8)
    policy = Policy(tolerance_class="quantised")
    few = steps.copy()
    few[0, 0] += 8
    assert judged({"y": steps}, {"y": few}, policy=policy).passed
    result = judged({"y": steps}, {"y": steps + np.int8(3)}, policy=policy)
    assert "root mean square" in result.outputs[0].reason
    far = steps.copy()
    far[0, 0] += 9
    assert not judged({"y": steps}, {"y": far}, policy=policy).passed


def test_labels_of_a_quantised_source_are_exact_all_the_same():
    labels = np.arange(300)
    policy = Policy(tolerance_class="quantised")
    wrong = labels + (labels == 3)
    assert not judged({"label": labels}, {"label": wrong}, roles={"label": "label"}, policy=policy).passed


def test_the_class_is_read_from_the_notes_of_the_converter():
    described = SourceDescription(Signature(), notes=("x", "tolerance class dynamic-range: because"))
    assert class_of(described) == "dynamic-range"
    assert class_of(SourceDescription(Signature(), notes=("tolerance class of my own",))) is None
