from __future__ import annotations

import hashlib

import numpy as np
import pytest

from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec
from zoo.verification.feed_values import candidates
from zoo.verification.feeds import FeedMaker, empty_feeds, make_feeds


def description(*inputs, domains=(), axes=None):
    return SourceDescription(Signature(inputs=inputs), domains=tuple(domains), axes=axes or {})


TABLE = description(
    TensorSpec("x", "float32", ("batch", 3)),
    domains=[
        Domain(
            (
                ColumnDomain(0.0, 1.0, values=(0.1, 0.5)),
                ColumnDomain(-5.0, 5.0, accepts_nan=True),
                ColumnDomain(0, 9, integral=True),
            )
        )
    ],
)


def by_family(description, **options):
    families: dict[str, list] = {}
    for case, feeds in make_feeds(description, **options):
        families.setdefault(case.family, []).append(feeds)
    return families


def digest(description, seed):
    result = hashlib.sha256()
    for _, feeds in make_feeds(description, seed=seed):
        for name in feeds:
            result.update(feeds[name].tobytes())
    return result.hexdigest()


def test_the_same_seed_gives_the_bits_that_every_machine_gives():
    assert digest(TABLE, 3) == "7ff01a250e4d23b35ba23839664fb6d393e43e5141babd1dcbe8e80d4daaa39d"


def test_another_seed_gives_other_values():
    assert digest(TABLE, 1) != digest(TABLE, 2)


def test_all_batch_sizes_come_and_a_table_also_gets_many_rows():
    sizes = [len(feeds["x"]) for feeds in by_family(TABLE, batches=(1, 2, 7))["typical"]]
    assert sizes == [1, 2, 7, 300]


def test_values_stay_in_the_known_range_but_for_the_large_family():
    families = by_family(TABLE)
    typical = np.concatenate([feeds["x"] for feeds in families["typical"]])
    assert typical[:, 0].min() >= 0
    assert typical[:, 0].max() <= 1
    assert families["large"][0]["x"][:, 1].max() > 5


def test_integral_columns_hold_whole_numbers_in_every_family():
    for feeds in [feeds for several in by_family(TABLE).values() for feeds in several]:
        assert np.array_equal(feeds["x"][:, 2], np.round(feeds["x"][:, 2]))


def test_boundary_rows_hold_every_threshold_and_its_float32_neighbours():
    column = by_family(TABLE)["boundary"][0]["x"][:, 0]
    for threshold in (np.float32(0.1), np.float32(0.5)):
        for wanted in (
            threshold,
            np.nextafter(threshold, np.float32(0)),
            np.nextafter(threshold, np.float32(1)),
        ):
            assert wanted in column


def test_float64_inputs_get_values_that_float32_cannot_hold_beside_each_threshold():
    values = candidates(ColumnDomain(values=(0.1,)), "float64")
    assert np.nextafter(0.1, 0) in values
    assert np.nextafter(0.1, 1) in values
    assert float(np.float32(0.1)) in values


def test_thousands_of_thresholds_fit_into_one_bounded_case():
    many = ColumnDomain(values=tuple(np.linspace(0, 1, 50_000)))
    feeds = by_family(description(TensorSpec("x", "float32", ("n", 1)), domains=[Domain((many,))]))
    assert len(feeds["boundary"][0]["x"]) <= 4096


def test_nan_comes_only_into_columns_that_accept_it():
    rows = by_family(TABLE)["missing"][0]["x"]
    assert np.isnan(rows[:, 1]).any()
    assert not np.isnan(rows[:, [0, 2]]).any()


def test_without_a_column_that_accepts_nan_none_is_fed():
    plain = description(TensorSpec("x", "float32", ("n", 2)))
    assert "missing" not in by_family(plain)


def test_text_comes_in_many_scripts():
    words = description(TensorSpec("text", "string", ("n", 1)))
    texts = {str(item) for feeds in by_family(words)["scripts"] for item in feeds["text"].ravel()}
    for expected in ("don't stop", "", "x"):
        assert expected in texts
    for script in ("Привет", "東京", "مرحبا", "😀", "İ", "\t", "naïve"):
        assert any(script in text for text in texts), script


def test_unfitted_categories_come_only_where_they_are_accepted():
    def fed(accepts):
        column = ColumnDomain(categories=("red", "green"), accepts_unknown=accepts)
        families = by_family(description(TensorSpec("c", "string", ("n", 1)), domains=[Domain((column,))]))
        return {
            str(item) for several in families.values() for feeds in several for item in feeds["c"].ravel()
        }

    assert fed(False) - {"red", "green"} == set()
    assert fed(True) - {"red", "green"} != set()


def test_axes_of_one_name_agree_in_all_inputs_and_vary_between_cases():
    tokens = description(
        TensorSpec("ids", "int64", ("batch", "length")), TensorSpec("mask", "int64", ("batch", "length"))
    )
    lengths = set()
    for _, feeds in make_feeds(tokens):
        assert feeds["ids"].shape == feeds["mask"].shape
        lengths.add(feeds["ids"].shape[1])
    assert len(lengths) > 1


def test_axes_keep_to_the_sizes_that_the_source_accepts():
    image = description(TensorSpec("x", "float32", ("n", 3, "h", "w")), axes={"h": (48,), "w": (320, 640)})
    shapes = {feeds["x"].shape[2:] for _, feeds in make_feeds(image)}
    assert shapes == {(48, 320), (48, 640)}


def test_a_fixed_first_axis_stays_fixed():
    assert {feeds["x"].shape for _, feeds in make_feeds(description(TensorSpec("x", "float32", (1, 4))))} == {
        (1, 4)
    }


def test_rows_of_the_sample_are_fed_as_they_are_and_mixed():
    sample = {"x": np.array([[0.25, 1.5, 3], [0.75, -2.5, 4]], np.float32)}
    families = by_family(TABLE, sample=sample)
    assert np.array_equal(families["sample"][0]["x"], sample["x"])
    assert set(families["typical"][-1]["x"][:, 0].tolist()) == {0.25, 0.75}


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "uint8", "bool", "bfloat16"])
def test_feeds_have_the_dtype_of_the_input(dtype):
    expected = "float32" if dtype == "bfloat16" else dtype
    for _, feeds in make_feeds(description(TensorSpec("x", dtype, ("n", 2)))):
        assert str(feeds["x"].dtype) == expected


def test_scalars_and_inputs_without_rows_are_fed():
    both = description(TensorSpec("x", "float32", ("n", 2)), TensorSpec("rate", "int64", ()))
    for _, feeds in make_feeds(both):
        assert feeds["rate"].shape == ()


def test_every_model_sees_one_row_few_and_many():
    image = description(TensorSpec("x", "float32", ("n", 3, 32, 32)))
    typical = [case.batch for case, _ in make_feeds(image) if case.family == "typical"]
    assert typical == [1, 2, 7, 32]
    large = description(TensorSpec("x", "float32", ("n", 1, 600, 600)))
    assert max(case.batch for case, _ in make_feeds(large)) == 7


def test_an_empty_batch_is_made_where_the_batch_is_an_axis():
    ((case, feeds),) = empty_feeds(FeedMaker(description(TensorSpec("x", "float32", ("n", 4)))))
    assert (case.family, feeds["x"].shape) == ("empty", (0, 4))
    assert not list(empty_feeds(FeedMaker(description(TensorSpec("x", "float32", (1, 4))))))
