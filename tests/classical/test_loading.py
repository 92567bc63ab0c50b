"""Reading files: pickle and joblib, chained steps, foreign versions, what is not a model."""

from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from converters.classical import loading
from converters.from_sklearn import SklearnConverter
from zoo.errors import MissingInputError, MissingPackageError, UnsupportedFileError, UnsupportedModelError
from zoo.records import Artifact, ConversionRequest

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def load(path: Path, **options: object) -> object:
    artifact = Artifact(path, "0" * 64, 1)
    return SklearnConverter().load(
        artifact, ConversionRequest(artifact, "sklearn", "joblib", options=options)
    )


@pytest.mark.parametrize("compress", [0, 3, ("xz", 2)])
def test_joblib_files_compressed_or_not(compress, tmp_path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit(X, Y), path, compress=compress)
    assert isinstance(load(path), LogisticRegression)


def test_pickle_files(tmp_path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(StandardScaler().fit(X)))
    assert isinstance(load(path), StandardScaler)


@pytest.mark.parametrize("steps", [["scaler.joblib", "model.joblib"], "scaler.joblib,model.joblib"])
def test_files_are_chained_as_steps(steps, tmp_path) -> None:
    scaler = StandardScaler().fit(X)
    joblib.dump(scaler, tmp_path / "scaler.joblib")
    model = LogisticRegression().fit(scaler.transform(X), Y)
    joblib.dump(model, tmp_path / "model.joblib")
    chained = load(tmp_path, steps=steps)
    assert (chained.predict(X) == model.predict(scaler.transform(X))).all()


def test_a_folder_needs_its_steps_named(tmp_path) -> None:
    with pytest.raises(MissingInputError, match="folder") as error:
        load(tmp_path)
    assert "steps=" in error.value.hint
    with pytest.raises(MissingInputError, match=r"none\.joblib"):
        load(tmp_path, steps=["none.joblib"])


def test_what_is_no_model_is_named(tmp_path) -> None:
    joblib.dump({"a": 1}, tmp_path / "d.joblib")
    with pytest.raises(UnsupportedModelError, match="dict"):
        load(tmp_path / "d.joblib")


def test_a_broken_file_is_refused(tmp_path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit(X, Y), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnsupportedFileError, match=r"model\.joblib"):
        load(path)


def test_a_missing_module_is_named(tmp_path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"cno_such_module_of_zoo\nThing\n.")
    with pytest.raises(MissingPackageError, match="no_such_module_of_zoo"):
        load(path)


def test_a_module_of_an_older_scikit_learn_is_a_matter_of_versions(tmp_path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"csklearn.linear_model.logistic\nLogisticRegression\n.")
    with pytest.raises(UnsupportedFileError, match=r"linear_model\.logistic"):
        load(path)


def resaved(path: Path, model: object, version: str) -> None:
    """`model` as the pickle of another version would say it."""
    from sklearn import __version__

    assert len(__version__) == len(version)
    path.write_bytes(pickle.dumps(model, protocol=2).replace(__version__.encode(), version.encode()))


def test_another_patch_release_is_recorded(tmp_path) -> None:
    from sklearn import __version__

    other = __version__[:-1] + ("0" if __version__[-1] != "0" else "1")
    resaved(tmp_path / "m.pkl", StandardScaler().fit(X), other)
    assert loading.load([tmp_path / "m.pkl"]).saved_by == (("StandardScaler", other),)


def test_another_minor_release_is_refused(tmp_path) -> None:
    resaved(tmp_path / "m.pkl", DecisionTreeClassifier().fit(X, Y), "1.3.2")
    with pytest.raises(UnsupportedModelError, match=r"DecisionTreeClassifier.*1\.3\.2") as error:
        load(tmp_path / "m.pkl")
    assert "1.3.2" in error.value.hint


def test_the_second_file_of_a_chain_is_held_to_it_too(tmp_path) -> None:
    joblib.dump(StandardScaler().fit(X), tmp_path / "scaler.joblib")
    resaved(tmp_path / "model.pkl", LogisticRegression().fit(X, Y), "1.5.2")
    with pytest.raises(UnsupportedModelError, match=r"LogisticRegression.*1\.5\.2"):
        loading.load([tmp_path / "scaler.joblib", tmp_path / "model.pkl"])


def test_a_loss_module_pickled_at_top_level_loads_under_its_new_name(tmp_path) -> None:
    path = tmp_path / "loss.pkl"
    path.write_bytes(b"c_loss\nCyHalfSquaredError\n.")
    assert loading.load([path]).model.__name__ == "CyHalfSquaredError"
