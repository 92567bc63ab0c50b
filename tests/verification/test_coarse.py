"""Tolerance classes: what arithmetic that is coarser than its dtypes may do."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.records import FeedCase
from zoo.verification.comparison import Criteria, compare
from zoo.verification.tolerances import Policy


def judged(family: str, strays: int, named: str = "dynamic-range", size: float = 0.5):
    """1000 probabilities of which `strays` are off by `size`."""
    expected = np.linspace(0, 1, 1000, dtype=np.float32)
    actual = expected.copy()
    actual[:strays] += np.float32(size)
    criteria = Criteria(policy=Policy(tolerance_class=named))
    (output,) = compare(FeedCase("c", family, 2, 0), {"y": expected}, {"y": actual}, criteria).outputs
    return output


def test_a_few_elements_of_large_inputs_may_be_off_by_more_where_activations_are_quantised_at_run_time():
    assert judged("large", 10, size=0.1).passed


@pytest.mark.parametrize(
    ("family", "strays", "named"),
    [("large", 11, "dynamic-range"), ("typical", 1, "dynamic-range"), ("large", 1, "quantised")],
)
def test_more_of_them_or_elsewhere_is_a_mismatch(family, strays, named):
    output = judged(family, strays, named, 0.1)
    assert not output.passed
    assert "beyond the bound" in output.reason


def test_strays_that_show_in_the_root_mean_square_are_a_mismatch():
    assert "root mean square" in judged("large", 10, size=0.5).reason
