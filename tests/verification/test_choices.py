"""Labels, votes and indices: where a rounding may turn a choice, and where it may not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verification.judging import judged, only
from zoo.verification.tolerances import Noise

RANDOM = np.random.default_rng(0)
ROLES = {"label": "label", "probabilities": "probabilities"}


def classifier(margin):
    probabilities = np.tile([0.7, 0.2, 0.1], (300, 1))
    probabilities[5] = [0.4 + margin, 0.4, 0.2 - margin]
    probabilities = probabilities.astype(np.float32)
    return {"label": probabilities.argmax(axis=1), "probabilities": probabilities}


def flipped(outputs):
    result = {name: array.copy() for name, array in outputs.items()}
    result["label"][5] = 1
    return result


def test_a_label_may_flip_where_the_scores_nearly_tie_and_is_counted():
    source = classifier(margin=1e-7)
    result = judged(source, flipped(source), roles=ROLES)
    assert result.passed
    assert result.outputs[0].details["near_ties"] == 1


def test_a_label_that_flips_against_a_clear_margin_fails():
    source = classifier(margin=1e-2)
    result = judged(source, flipped(source), roles=ROLES)
    assert not result.passed
    assert result.outputs[0].details["worst"] == {"index": [5], "expected": 0, "actual": 1}


def test_an_exact_tie_on_both_sides_is_no_rounding():
    source = classifier(margin=0.0)
    source["label"][5] = 0
    assert not judged(source, flipped(source), roles=ROLES).passed


@pytest.mark.parametrize(("lost", "passes"), [(0.0, True), (1.0, True), (1.01, False), (2.0, False)])
def test_a_vote_may_be_lost_where_the_source_loses_it_and_not_two(lost, passes):
    votes = RANDOM.integers(0, 3, (300, 3)).astype(np.float32)
    values = np.full(votes.shape, 1e-8, np.float32)
    values[:200] = -1.0
    actual = votes.copy()
    actual[17, 1] += np.float32(lost)
    noise = {"y": Noise("perturbation", 1e-8, values)}
    assert only(votes, actual, family="decision", noise=noise).passed == passes


def test_a_vote_may_not_be_lost_where_the_source_keeps_it():
    votes = RANDOM.integers(0, 3, (300, 3)).astype(np.float32)
    values = np.full(votes.shape, 1e-8, np.float32)
    values[:200] = -1.0
    actual = votes.copy()
    actual[201, 1] += 1
    noise = {"y": Noise("perturbation", 1e-8, values)}
    assert not only(votes, actual, family="decision", noise=noise).passed


def test_many_flips_inside_the_noise_are_no_chance():
    probabilities = np.tile(np.array([0.5 + 1e-7, 0.5 - 1e-7], np.float32), (300, 1))
    source = {"label": np.zeros(300, np.int64), "probabilities": probabilities}
    actual = {"label": np.ones(300, np.int64), "probabilities": probabilities}
    assert not judged(source, actual, roles=ROLES).passed
    assert judged(source, actual, roles=ROLES, family="decision").passed


def test_a_decision_function_of_one_column_has_its_margin_at_zero():
    scores = np.linspace(-1, 1, 300)
    source = {"label": (scores > 0).astype(np.int64), "scores": scores}
    actual = {"label": source["label"].copy(), "scores": scores}
    actual["label"][10] = 1
    assert not judged(source, actual, roles={"label": "label", "scores": "scores"}).passed


@pytest.mark.parametrize(("score", "passes"), [(1e-16, True), (-1e-16, True), (1e-3, False)])
def test_each_of_several_outputs_has_its_own_margin(score, passes):
    scores = RANDOM.choice([-0.7, 0.4], (300, 3))
    scores[9, 1] = score
    source = {"label": (scores > 0).astype(np.int64), "scores": scores}
    actual = {"label": source["label"].copy(), "scores": scores}
    actual["label"][9, 1] ^= 1
    assert judged(source, actual, roles={"label": "label", "scores": "scores"}).passed == passes


def test_indices_may_differ_where_the_sources_own_change_with_a_rounding():
    indices = np.arange(300)
    other = indices.copy()
    other[5] = 7
    unstable = np.zeros(300, np.float32)
    noise = {"index": Noise("perturbation", 0.0, unstable)}
    assert not judged({"index": indices}, {"index": other}, noise=noise).passed
    unstable[5] = 1
    result = judged({"index": indices}, {"index": other}, noise=noise)
    assert result.passed
    assert result.outputs[0].details["near_ties"] == 1


def top(values, indices, other, *, family="typical"):
    """The verdict on indices that one side gives in another order than the other."""
    v = np.array(values, np.float32)
    e, a = np.array(indices), np.array(other)
    return judged({"values": v, "indices": e}, {"values": v, "indices": a}, family=family).outputs[1]


def test_indices_at_equal_values_may_stand_in_any_order():
    found = top([[3, 2, 2, 2, 1]], [[9, 4, 5, 6, 7]], [[9, 6, 4, 5, 7]])
    assert found.passed
    assert found.details["ties"] == 3


def test_other_indices_at_equal_values_are_right_only_where_the_list_was_cut():
    assert top([[3, 2, 2]], [[9, 4, 5]], [[9, 6, 5]]).passed
    assert not top([[3, 2, 2, 1]], [[9, 4, 5, 7]], [[9, 6, 5, 7]]).passed


def test_indices_at_different_values_are_wrong_in_any_order():
    assert not top([[3, 2, 1]], [[9, 4, 5]], [[9, 5, 4]]).passed


def test_rows_of_all_equal_scores_agree_whatever_the_order():
    zeros = np.zeros((2, 4), np.float32)
    assert top(zeros, [[0, 1, 2, 3]] * 2, [[3, 2, 1, 0], [1, 0, 3, 2]], family="zeros").passed
