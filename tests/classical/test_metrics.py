"""Distances on a sphere, and powers with weights: neighbours, radii and what is made of distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import (
    KernelDensity,
    KNeighborsClassifier,
    LocalOutlierFactor,
    NearestNeighbors,
    RadiusNeighborsRegressor,
)

from converters.from_sklearn import SklearnConverter
from tests.classical.harness import Options, assert_same, case_id, request
from zoo.errors import UnsupportedModelError

RNG = np.random.default_rng(12)
ROWS = RNG.normal(size=(70, 4)) * [1, 5, 0.2, 30]
PLACES = np.radians(np.c_[RNG.uniform(-89, 89, 70), RNG.uniform(-180, 180, 70)])
PLACES[3], PLACES[4], PLACES[5] = PLACES[6], 0, [np.pi / 2, 1]
TOWNS = np.radians(np.c_[RNG.uniform(47, 49, 70).round(4), RNG.uniform(10, 12, 70).round(4)])
TARGET = RNG.integers(0, 3, 70)
WEIGHTS = {"w": [1, 2, 0.5, 0.01]}


LONELY = "ignore:One or more samples have no neighbors within specified radius"


@pytest.mark.filterwarnings(LONELY)
@pytest.mark.parametrize("places", [PLACES, TOWNS, PLACES.astype(np.float32)], ids=["world", "towns", "f32"])
@pytest.mark.parametrize(
    "model",
    [
        KNeighborsClassifier(3, metric="haversine", weights="distance", leaf_size=4),
        NearestNeighbors(n_neighbors=4, metric="haversine"),
        RadiusNeighborsRegressor(radius=0.7, metric="haversine", weights="distance"),
        LocalOutlierFactor(novelty=True, metric="haversine", n_neighbors=5),
    ],
    ids=case_id,
)
def test_neighbours_on_a_sphere(model: Any, places: np.ndarray) -> None:
    # A latitude a million times as large is none.
    rtol = 1e-5 if places.dtype == np.float32 else 1e-9
    assert_same(model.fit(places, TARGET.astype(float)), places, Options(rtol=rtol, skip=("large",)))


def test_neighbours_on_a_sphere_by_brute_force() -> None:
    model = KNeighborsClassifier(3, metric="haversine", algorithm="brute", weights="distance")
    assert_same(model.fit(PLACES, TARGET), PLACES, Options(rtol=1e-9))


def test_densities_on_a_sphere() -> None:
    assert_same(KernelDensity(metric="haversine", bandwidth=0.3).fit(PLACES), PLACES, Options(rtol=1e-9))


@pytest.mark.parametrize("algorithm", ["ball_tree", "brute"])
@pytest.mark.parametrize("power", [1, 1.5, 2, 3])
def test_powers_with_weights(power: float, algorithm: str) -> None:
    model = KNeighborsClassifier(
        4, p=power, metric_params=WEIGHTS, algorithm=algorithm, weights="distance", leaf_size=6
    )
    assert_same(model.fit(ROWS, TARGET), ROWS, Options(rtol=1e-9))


@pytest.mark.filterwarnings(LONELY)
def test_radii_by_powers_with_weights() -> None:
    model = RadiusNeighborsRegressor(radius=9.0, p=3, metric_params=WEIGHTS)
    assert_same(model.fit(ROWS, TARGET.astype(float)), ROWS, Options(rtol=1e-9))


@pytest.mark.parametrize(
    ("model", "places", "reason"),
    [
        (NearestNeighbors(metric="haversine"), PLACES.round(1), "rounding of sines"),
        (NearestNeighbors(metric="haversine", algorithm="brute"), PLACES.astype("f4"), "over float32"),
    ],
    ids=["grid", "float32"],
)
def test_angles_that_rounding_decides_are_refused(model: Any, places: np.ndarray, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        SklearnConverter().convert(model.fit(places), request())
