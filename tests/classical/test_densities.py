"""Densities and nearest rows: what has neither predict nor transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.classical.harness import Options, assert_same, assert_same_or_refused

ROWS = np.random.default_rng(6).normal(size=(70, 3)).round(2)
FAR = ("large",)
"""A million bandwidths away the source stops at 1e-7 of the logarithm."""


@pytest.mark.parametrize("kernel", ["gaussian", "tophat", "exponential"])
@pytest.mark.parametrize("bandwidth", [0.7, "scott"])
def test_densities_of_every_kernel(kernel: str, bandwidth: Any) -> None:
    model = KernelDensity(kernel=kernel, bandwidth=bandwidth, leaf_size=10).fit(ROWS)
    assert_same(model, ROWS * 1.1, Options(rtol=1e-9, skip=FAR))


@pytest.mark.parametrize("metric", ["manhattan", "chebyshev"])
def test_densities_with_weights_and_other_metrics(metric: str) -> None:
    weights = np.random.default_rng(0).random(70) + 0.1
    model = KernelDensity(metric=metric).fit(ROWS, sample_weight=weights)
    assert_same(make_pipeline(StandardScaler(), model).fit(ROWS), ROWS, Options(rtol=1e-9, skip=FAR))
    assert_same(model.fit(ROWS, sample_weight=weights), ROWS, Options(rtol=1e-9, skip=FAR))


@pytest.mark.parametrize("kernel", ["epanechnikov", "linear", "cosine"])
def test_densities_of_kernels_that_end_smoothly_are_refused(kernel: str) -> None:
    assert "rounding of its bounds" in assert_same_or_refused(KernelDensity(kernel=kernel).fit(ROWS), ROWS)


def test_densities_that_leave_off_parts_of_the_tree_are_refused() -> None:
    assert "rtol=0.1" in assert_same_or_refused(KernelDensity(rtol=0.1).fit(ROWS), ROWS)


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree", "brute"])
@pytest.mark.parametrize("options", [{}, {"n_neighbors": 2, "metric": "manhattan"}], ids=str)
def test_the_nearest_rows_and_how_far_they_are(algorithm: str, options: dict[str, Any]) -> None:
    model = NearestNeighbors(algorithm=algorithm, **options).fit(ROWS)
    description = assert_same(model, ROWS + 0.001, Options(rtol=1e-9))
    assert [spec.name for spec in description.signature.outputs] == ["distances", "indices"]
