from __future__ import annotations

import numpy as np

from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec
from zoo.verification.feeds import FeedMaker
from zoo.verification.search import decision_feeds

FLAT = SourceDescription(Signature((TensorSpec("x", "float32", ("n", 4)),)))


def decision_case(predict, description=FLAT):
    maker = FeedMaker(description, seed=0, sample=None)
    cases = [feeds for _, feeds in decision_feeds(maker, predict, description)]
    assert len(cases) <= 1
    return cases[0] if cases else None


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


def test_a_source_that_never_changes_its_answer_has_no_such_case():
    assert decision_case(lambda feeds: {"y": np.zeros(len(feeds["x"]))}) is None


def test_categories_and_whole_numbers_are_not_moved():
    columns = Domain((ColumnDomain(categories=(1.0, 2.0)),))
    description = SourceDescription(Signature((TensorSpec("x", "float32", ("n", 1)),)), domains=(columns,))
    assert decision_case(lambda feeds: {"y": feeds["x"][:, 0]}, description) is None


def test_the_rows_are_the_same_each_time():
    assert np.array_equal(decision_case(saturated)["x"], decision_case(saturated)["x"])
