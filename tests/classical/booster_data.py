"""Small rows that boosters and ensembles are fitted on, and the comparison of a converter with its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.classical import harness
from tests.classical.harness import Options
from zoo.records import Artifact, ConversionRequest, SourceDescription

N = 240
rng = np.random.default_rng(11)
X = rng.normal(size=(N, 5)).round(2)
X[:, 4] = X[:, 4] * 1e6 + 1.7e9
"""Two digits, so that rows lie on thresholds; the last column holds epoch seconds."""
HOLES = X.copy()
HOLES[::4, 0] = np.nan
HOLES[::7, 2] = np.nan
Y = X[:, 0] * 10 + X[:, 1] * X[:, 2] + rng.normal(size=N)
POSITIVE = np.abs(Y) + 0.1
SHARE = (Y > 0) * 0.8 + 0.1
BINARY = (Y > 0).astype(int)
MULTI = np.digitize(Y, [-8.0, 0.0, 8.0])
TARGETS = np.c_[Y, X[:, 1] * 7, Y + 3]
LABELS = np.c_[Y > 0, X[:, 1] > 0, X[:, 2] > 0.3].astype(int)
WORDS = np.array(["b", "ä", "y y", "日"])[MULTI]

CITIES = ["oslo", "köln", "Paris", "paris", "New York", "rom", "bern"]
FRAME = pd.DataFrame(
    {
        "city": pd.Categorical(rng.choice(CITIES, N)),
        "size": X[:, 0],
        "plan": pd.Categorical(rng.choice([3, 5, 9], N)),
        "visits": rng.integers(0, 9, N),
    }
)
FRAME.loc[::9, "city"] = np.nan
FRAME_Y = FRAME.city.isin(["oslo", "Paris"]) * 9.0 + (FRAME.plan == 5) * 6.0 + X[:, 0]
FRAME_TEXT = FRAME.astype({"city": object, "plan": "int64"}).fillna({"city": ""})
"""The frame as its text is fed: the empty string is the missing value."""
CODES = np.c_[rng.integers(-1, 40, N), rng.integers(0, 3, N), X[:, 0]].astype(float)
CODES[::9, 0] = np.nan
CODES[::11, 1] = -0.5
CODES_Y = np.nan_to_num((CODES[:, 0] % 3) * 5 + CODES[:, 1])


def request_for(converter: Any, path: Path, kind: str, **given: Any) -> ConversionRequest:
    """A request for a file of one kind."""
    return ConversionRequest(Artifact(path, "0" * 64, 0), converter.framework, kind, **given)


def assert_file_same(converter: Any, request: ConversionRequest, rows: Any) -> SourceDescription:
    """Load, convert and compare as the worker does, on the rows of the harness."""
    model = converter.load(request.artifact, request)
    description: SourceDescription = converter.describe(model, request)
    session = harness.session_of(converter.convert(model, request))
    for family, feeds in harness.families(description, harness.feeds_of(description, rows)).items():
        expected = harness._reference(converter, model, feeds, required=family == "given")
        if expected is not None:
            harness._compare_all(session, feeds, expected, family, Options())
    return description
