"""One case or one output compared, with the criteria named."""

from __future__ import annotations

from zoo.records import FeedCase
from zoo.verification.comparison import Criteria, compare


def judged(expected, actual, *, family="typical", **criteria):
    case = FeedCase(f"{family}-300", family, 300, 0)
    return compare(case, expected, actual, Criteria(**criteria))


def only(expected, actual, **options):
    return judged({"y": expected}, {"y": actual}, **options).outputs[0]
