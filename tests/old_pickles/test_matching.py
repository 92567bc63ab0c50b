"""Which environment a pickle of scikit-learn is loaded in."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from zoo import environments
from zoo.detect import detect
from zoo.environments import find_lock, locks_for
from zoo.environments.earlier import MEASURED
from zoo.environments.matching import RELEASES, minor_of
from zoo.errors import MissingPackageError, UnsupportedFileError
from zoo.records import Detection

FOREST = "sklearn.ensemble._forest.RandomForestClassifier"
MACHINE = "sklearn.svm._classes.SVC"


def saved_by(version: str, *classes: str, **more: object) -> Detection:
    details = {"versions": {"scikit-learn": version}, "sklearn_classes": list(classes), **more}
    return Detection("sklearn", "pickle", "a pickle", details)


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_has_a_lock_of_just_that_release(release: str) -> None:
    lock = find_lock(f"sklearn-{release}", "sklearn")
    assert lock is not None
    pins = {pin.name: pin.version for pin in lock.pins}
    assert minor_of(pins["scikit-learn"]) == release
    assert lock.satisfied_by[0].startswith(f"scikit-learn>={release},<")


@pytest.mark.parametrize("version", ["0.24.0", "1.0", "1.3.2", "1.7.0rc1", "1.9.1"])
def test_a_pickle_is_loaded_by_the_minor_release_that_saved_it(version: str) -> None:
    assert locks_for("sklearn", saved_by(version, FOREST)) == (f"sklearn-{minor_of(version)}",)


def test_a_release_without_wheels_is_loaded_by_the_nearest_that_was_measured() -> None:
    assert locks_for("sklearn", saved_by("0.23.2", FOREST, MACHINE)) == ("sklearn-0.24",)
    assert locks_for("sklearn", saved_by("0.22.2.post1", FOREST)) == ("sklearn-0.24",)


def test_what_was_not_measured_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedFileError, match=MACHINE):
        locks_for("sklearn", saved_by("0.22.2.post1", FOREST, MACHINE))


@pytest.mark.parametrize("version", ["<0.22", "0.21.3", "0.19.1", "2.4.0"])
def test_a_release_that_nothing_loads_right_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedFileError, match=version) as caught:
        locks_for("sklearn", saved_by(version))
    assert caught.value.hint is not None
    assert "0.24 to 1.9" in caught.value.hint


def test_the_installed_release_will_do_for_its_own_files_however_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments.matching, "_here", lambda: "1.12.3")
    assert locks_for("sklearn", saved_by("1.12.0")) == ("sklearn",)
    with pytest.raises(UnsupportedFileError):
        locks_for("sklearn", saved_by("1.11.0"))


def test_parts_of_several_releases_are_refused() -> None:
    with pytest.raises(UnsupportedFileError, match=r"1\.2\.2 and 1\.5\.1"):
        locks_for("sklearn", saved_by("1.5.1", sklearn_versions=["1.2.2", "1.5.1"]))
    assert locks_for("sklearn", saved_by("1.5.1", sklearn_versions=["1.5.0", "1.5.1"])) == ("sklearn-1.5",)


def test_a_file_that_tells_no_version_takes_the_frameworks_own_lock() -> None:
    assert locks_for("sklearn", Detection("sklearn", "pickle", "a pickle")) == ("sklearn",)
    assert locks_for("torch", saved_by("0.19")) == ("torch",)


def test_an_estimator_of_lightgbm_3_is_loaded_by_it_and_its_booster_by_any() -> None:
    def found(kind: str, layout: str) -> Detection:
        details = {"class": f"lightgbm.{kind}", "versions": {"lightgbm model format": layout}}
        return Detection("lightgbm", "pickle", "a pickle", details)

    assert locks_for("lightgbm", found("sklearn.LGBMRegressor", "v3")) == ("lightgbm-3.3",)
    assert locks_for("lightgbm", found("sklearn.LGBMRegressor", "v4")) == ("lightgbm",)
    assert locks_for("lightgbm", found("basic.Booster", "v3")) == ("lightgbm",)


def test_the_measured_classes_are_named_as_pickles_name_them() -> None:
    release, classes = MEASURED["0.23"]
    assert release in RELEASES
    assert {FOREST, MACHINE} <= classes
    assert MACHINE not in MEASURED["0.22"][1]


def test_the_version_is_read_from_the_opcodes(tmp_path: Path) -> None:
    from sklearn import __version__
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit([[1.0], [2.0]])
    data = pickle.dumps({"a": scaler, "b": scaler.mean_}).replace(__version__.encode(), b"1.3.2")
    path = tmp_path / "m.pkl"
    path.write_bytes(data)
    details = detect(path).details
    assert details["versions"]["scikit-learn"] == "1.3.2"
    assert details["sklearn_classes"] == ["sklearn.preprocessing._data.StandardScaler"]


def test_several_versions_in_one_file_are_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn import __version__
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    class Pickler(pickle.Pickler):
        def reducer_override(self, obj: object) -> object:
            if isinstance(obj, MinMaxScaler):
                monkeypatch.setattr("sklearn.base.__version__", "1.3.2")
            return NotImplemented

    with (tmp_path / "m.pkl").open("wb") as file:
        Pickler(file).dump([kind().fit([[1.0], [2.0]]) for kind in (StandardScaler, MinMaxScaler)])
    assert detect(tmp_path / "m.pkl").details["sklearn_versions"] == [__version__, "1.3.2"]


def test_a_forest_of_1_3_is_never_taken_by_another_release(tmp_path: Path) -> None:
    from sklearn import __version__
    from sklearn.ensemble import RandomForestClassifier

    import zoo

    forest = RandomForestClassifier(3, max_depth=2).fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(forest).replace(__version__.encode(), b"1.3.2"))
    with pytest.raises(MissingPackageError, match=r"scikit-learn>=1\.3,<1\.4") as caught:
        zoo.convert(path, tmp_path / "m.onnx", offline=True)
    assert caught.value.hint is not None
    assert "zoo env build sklearn-1.3" in caught.value.hint
    assert not (tmp_path / "m.onnx").exists()


def test_the_layout_of_joblib_tells_its_age(tmp_path: Path) -> None:
    import joblib
    from sklearn.preprocessing import StandardScaler

    path = tmp_path / "m.joblib"
    joblib.dump(StandardScaler().fit([[1.0], [2.0]]), path)
    assert detect(path).details["joblib"] == ">=1.2"


def test_the_version_of_catboost_is_read_from_its_build_information(tmp_path: Path) -> None:
    import catboost

    model = catboost.CatBoostRegressor(iterations=2, verbose=0, allow_writing_files=False)
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(model.fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0])))
    assert detect(path).details["versions"]["catboost"] == catboost.__version__


def test_an_attribute_that_an_earlier_release_lacks_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    from converters.classical import releases
    from zoo.errors import UnsupportedModelError

    monkeypatch.setattr(releases, "release", lambda: (1, 1))
    with pytest.raises(UnsupportedModelError, match=r"1\.1 keeps.*no_such_thing"), releases.explained():
        _ = object().no_such_thing  # type: ignore[attr-defined]
    monkeypatch.setattr(releases, "release", lambda: releases.NEWEST)
    with pytest.raises(AttributeError), releases.explained():
        _ = object().no_such_thing  # type: ignore[attr-defined]
