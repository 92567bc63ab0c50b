"""What drawing has found, kept as plain cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import KernelPCA
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, OrdinalEncoder

from tests.classical.harness import Options, assert_same, assert_same_or_refused
from zoo.records import TensorSpec

GAPS = np.array(
    [[0.1, np.nan], [0.2, 1.0], [0.3, 1.0], [0.2, 1.0], [0.2, np.nan], [np.nan, 3.0], [0.7, 3.0], [0.7, 4.0]]
)


@pytest.mark.parametrize("least", [1, 2, 3, 5])
@pytest.mark.parametrize("unknown", [-1, np.nan])
def test_ordinal_encoder_groups_rare_categories_beside_missing_ones(least: int, unknown: float) -> None:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=unknown, min_frequency=least)
    assert_same(encoder.fit(GAPS), GAPS)


@pytest.mark.parametrize("unknown", ["ignore", "infrequent_if_exist"])
def test_one_hot_encoder_groups_rare_categories_beside_missing_ones(unknown: str) -> None:
    assert_same(OneHotEncoder(handle_unknown=unknown, min_frequency=3).fit(GAPS), GAPS)


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalizer_leaves_rows_of_tiny_norm(norm: str, dtype: str) -> None:
    rows = np.array([[0.0, 0], [1, 2], [1e-8, 0], [1e-7, -1e-7], [1e-15, 2e-15], [5e-6, 0]], dtype=dtype)
    inputs = (TensorSpec("X", dtype, ("batch", 2)),)
    assert_same(Normalizer(norm=norm).fit(rows), rows, Options(inputs=inputs))


def test_kernel_components_that_centring_rounds_away_are_refused() -> None:
    rng = np.random.default_rng(1029)
    rows = rng.choice([0.1, 0.2, 0.3, 0.7, 1.2], (40, 1)).astype(np.float32)
    trees = GradientBoostingRegressor(n_estimators=8, max_depth=1, random_state=0)
    model = make_pipeline(KernelPCA(n_components=2, kernel="rbf", gamma=0.1), trees)
    model.fit(rows, rng.normal(size=40))
    assert "its terms cancel" in assert_same_or_refused(model, rows)
