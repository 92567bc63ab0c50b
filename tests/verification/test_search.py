from __future__ import annotations

import numpy as np

from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec
from zoo.verification.feeds import FeedMaker
from zoo.verification.search import decision_feeds

FLAT = SourceDescription(Signature((TensorSpec("x", "float32", ("n", 4)),)))


def decision_cases(predict, description=FLAT):
    maker = FeedMaker(description, seed=0, sample=None)
    found = decision_feeds(maker, lambda feeds, *names: predict(feeds), description)
    return {case.name: feeds for case, feeds in found}


def decision_case(predict, description=FLAT):
    """The first case, of few turning points found to the last bit."""
    return next(iter(decision_cases(predict, description).values()), None)


def saturated(feeds):
    scores = feeds["x"].astype(np.float64) @ np.array([[900, -300], [400, 100], [-200, 500], [100, 50]])
    scores -= scores.max(axis=1, keepdims=True)
    exponents = np.exp(scores)
    return {"probabilities": exponents / exponents.sum(axis=1, keepdims=True)}


def doubtful(probabilities):
    return int(np.sum((probabilities[:, 0] > 1e-3) & (probabilities[:, 0] < 1 - 1e-3)))


def test_a_saturated_classifier_is_fed_rows_of_doubt():
    assert doubtful(saturated(decision_case(saturated))["probabilities"]) > 50


def test_a_split_of_a_tree_is_approached_from_both_sides_to_neighbouring_numbers():
    threshold = np.float32(0.37)

    def tree(feeds):
        return {"y": np.where(feeds["x"][:, 1] <= threshold, 1.0, 7.0)}

    column = decision_case(tree)["x"][:, 1]
    below, above = column[column <= threshold].max(), column[column > threshold].min()
    assert np.nextafter(below, np.float32(9)) == above


def test_a_labels_output_is_followed_when_the_description_names_it():
    description = SourceDescription(FLAT.signature, roles={"label": "label"})

    def classifier(feeds):
        return {"label": np.where(feeds["x"].sum(axis=1) > 0.25, "yes", "no")}

    sums = decision_case(classifier, description)["x"].sum(axis=1)
    assert np.min(np.abs(sums - 0.25)) < 1e-6


def test_an_index_is_followed_where_there_is_nothing_else():
    sums = decision_case(lambda feeds: {"index": (feeds["x"].sum(axis=1) > 0.25).astype(np.int64)})["x"].sum(
        axis=1
    )
    assert np.min(np.abs(sums - 0.25)) < 1e-6


def test_a_source_that_never_changes_its_answer_has_no_such_case():
    assert decision_case(lambda feeds: {"y": np.zeros(len(feeds["x"]))}) is None


def test_categories_and_whole_numbers_are_not_moved():
    columns = Domain((ColumnDomain(categories=(1.0, 2.0)),))
    description = SourceDescription(Signature((TensorSpec("x", "float32", ("n", 1)),)), domains=(columns,))
    assert decision_case(lambda feeds: {"y": feeds["x"][:, 0]}, description) is None


def test_the_rows_are_the_same_each_time():
    assert np.array_equal(decision_case(saturated)["x"], decision_case(saturated)["x"])


def test_a_table_is_searched_a_second_time_in_more_places():
    first, second, *_ = (feeds["x"] for feeds in decision_cases(saturated).values())
    assert len(second) > 3 * len(first)
    assert doubtful(saturated({"x": second})["probabilities"]) > 200


def test_outer_rows_that_neighbours_were_fitted_on_show_in_a_search_far_outside():
    points = np.random.default_rng(1).standard_normal((60, 4))
    outer = int(np.abs(points).sum(axis=1).argmax())

    def predict(feeds, points=points):
        gaps = ((feeds["x"].astype(np.float64)[:, None] - points) ** 2).sum(axis=2)
        classes = gaps.argsort(axis=1)[:, :3] % 3
        return {"shares": (classes[..., None] == np.arange(3)).mean(axis=1)}

    far = list(decision_cases(predict).values())[-1]
    assert np.abs(far["x"]).max() > 10
    moved = points.copy()
    moved[outer] *= 1.001
    assert np.any(predict(far)["shares"] != predict(far, moved)["shares"])


def test_smooth_answers_are_not_searched_far_outside():
    cases = decision_cases(lambda feeds: {"y": feeds["x"].sum(axis=1)})
    assert not any(name.startswith("decision-far") for name in cases)


def test_rows_of_many_elements_are_searched_once():
    wide = SourceDescription(Signature((TensorSpec("x", "float32", ("n", 65)),)))
    assert len(decision_cases(lambda feeds: {"y": feeds["x"].sum(axis=1) > 0.25}, wide)) == 1


def test_rows_that_neighbours_were_fitted_on_show_in_the_second_search():
    """Each of 100 rows moved by a hundredth of the range: it changes the answer to few rows in 10,000."""
    points = np.random.default_rng(0).standard_normal((100, 4))

    def nearest(feeds, points=points):
        gaps = ((feeds["x"].astype(np.float64)[:, None] - points) ** 2).sum(axis=2)
        return {"y": gaps.argmin(axis=1) % 3}

    first, second = decision_cases(nearest).values()
    moved = [points + 0.06 * (np.arange(100) == i)[:, None] for i in range(100)]
    shown = [
        sum(np.any(nearest(feeds)["y"] != nearest(feeds, other)["y"]) for other in moved)
        for feeds in (first, second)
    ]
    assert shown[1] > shown[0] + 15


def test_search_asks_pairs_that_turn_for_the_output_that_decides():
    asked = []

    def answers(feeds, *names):
        asked.append((names, len(feeds["x"])))
        return saturated(feeds)

    maker = FeedMaker(FLAT, seed=0, sample=None)
    _, feeds = next(decision_feeds(maker, answers, FLAT))
    assert {names for names, _ in asked} == {(), ("probabilities",)}
    turning = {rows for names, rows in asked if names}
    assert len(turning) == 1
    assert turning < set(range(1, 96))
    assert len(feeds["x"]) == 6 * turning.pop()
