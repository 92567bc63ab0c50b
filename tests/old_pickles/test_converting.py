"""Models that an older scikit-learn fitted and saved, converted by its own environment and proven.

Each environment makes the pickles itself: its Python runs ``make_pickles.py``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zoo

if TYPE_CHECKING:
    from zoo.environments import Environment

Environments = Callable[[str], "Environment"]
pytestmark = pytest.mark.network

TELLING = ("forest", "gradient_boosting_binary", "hist_gradient_boosting_binary", "mixed_columns", "tfidf")
"""What another release reads wrongly, or not at all."""
FEW = ("forest", "hist_gradient_boosting_binary", "mixed_columns")


def pickles(environment: Environment, folder: Path, *names: str) -> list[Path]:
    """Models fitted and saved in an environment: the named ones, or all."""
    folder.mkdir()
    script = Path(__file__).with_name("make_pickles.py")
    subprocess.run([str(environment.interpreter), "-I", str(script), str(folder), *names], check=True)
    return sorted(folder.iterdir())


def converted_there(built: Environment, path: Path) -> bool:
    """Convert a pickle as a user would; whether it was verified in that environment."""
    report = zoo.convert(path, path.with_suffix(".onnx")).report
    assert report is not None
    assert report.environment is not None
    return report.passed and report.environment.lock == built.lock


@pytest.mark.parametrize("release", ["0.24", "1.3", "1.7"])
def test_what_changed_between_releases_is_converted_by_the_one_that_saved_it(
    release: str, environment: Environments, tmp_path: Path
) -> None:
    built = environment(f"sklearn-{release}")
    for path in pickles(built, tmp_path / "models", *TELLING):
        assert converted_there(built, path), path.name


@pytest.mark.slow
@pytest.mark.parametrize("release", ["1.2", "1.5"])
def test_every_release_converts_what_it_saved(
    release: str, environment: Environments, tmp_path: Path
) -> None:
    built = environment(f"sklearn-{release}")
    for path in pickles(built, tmp_path / "models", *FEW):
        assert converted_there(built, path), path.name


def test_what_0_24_keeps_under_other_names_is_found(environment: Environments, tmp_path: Path) -> None:
    built = environment("sklearn-0.24")
    names = ("calibrated", "stacking", "polynomial", "boosting_from_logistic")
    for path in pickles(built, tmp_path / "models", *names):
        assert converted_there(built, path), path.name


def test_answers_are_those_of_the_release_that_saved_it(environment: Environments, tmp_path: Path) -> None:
    import numpy as np
    from sklearn.datasets import load_iris

    built = environment("sklearn-1.3")
    (path,) = pickles(built, tmp_path / "models", "forest")
    X = load_iris().data
    np.save(tmp_path / "X.npy", X)
    asked = (
        "import numpy, pickle, sys\n"
        "model = pickle.load(open(sys.argv[1], 'rb'))\n"
        "numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[2])))\n"
    )
    files = [str(path), str(tmp_path / "X.npy"), str(tmp_path / "labels.npy")]
    subprocess.run([str(built.interpreter), "-I", "-c", asked, *files], check=True)
    model = zoo.convert(path, tmp_path / "forest.onnx")
    found = zoo.load(model.path)(X=X)
    assert (found["label"] == np.load(tmp_path / "labels.npy")).all()


@pytest.mark.slow
def test_an_estimator_of_lightgbm_3_is_converted_by_it(environment: Environments, tmp_path: Path) -> None:
    built = environment("lightgbm-3.3")
    fit = (
        "import lightgbm, pickle, sys\n"
        "X = [[float(i % 7), float(i % 5)] for i in range(60)]\n"
        "model = lightgbm.LGBMRegressor(n_estimators=4).fit(X, [sum(row) for row in X])\n"
        "pickle.dump(model, open(sys.argv[1], 'wb'))\n"
    )
    path = tmp_path / "model.pkl"
    subprocess.run(
        [str(built.interpreter), "-I", "-c", fit, str(path)], check=True, stdout=subprocess.DEVNULL
    )
    assert converted_there(built, path)
