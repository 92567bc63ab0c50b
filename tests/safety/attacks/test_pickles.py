"""Pickles: each attack is refused by the audit, and contained by every jail if it is loaded all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.safety.attacks.canaries import canaries, load_jailed
from tests.safety.attacks.forged import (
    DIFFERENTIALS,
    PICKLES,
    TORCH,
    TRICKS,
    Forge,
    hidden_in_array,
    npy,
    torch_zip,
)
from tests.sandbox.jails import isolating
from zoo.detect import detect
from zoo.errors import UnsupportedFileError
from zoo.records import Detection
from zoo.safety import assess

FILES = {**PICKLES, **TORCH, "npy": npy}


def loader(name: str, path: Path) -> str:
    """What a converter does to load the file, without any care."""
    if name in TORCH:
        return f"import torch; torch.load({str(path)!r}, weights_only=False)"
    if name == "npy":
        return f"import numpy; numpy.load({str(path)!r}, allow_pickle=True)"
    if name == "second_pickle":
        return f"import pickle; file = open({str(path)!r}, 'rb'); pickle.load(file); pickle.load(file)"
    return f"import warnings, joblib; warnings.simplefilter('ignore'); joblib.load({str(path)!r})"


def verdict(path: Path) -> str:
    try:
        return assess(path, detect(path)).verdict
    except UnsupportedFileError:
        return "unsupported"


@pytest.mark.parametrize("name", FILES)
def test_the_audit_refuses_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(FILES[name]("1 + 1"))

    assert verdict(path) != "allowed"


@pytest.mark.parametrize("trick", TRICKS)
def test_the_audit_refuses_the_trick_without_a_payload(trick: Forge, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(trick(""))
    found = Detection("sklearn", "pickle", "as an author's file name may have told")

    assert assess(path, found).verdict == "untrusted"


@pytest.mark.parametrize("forge", DIFFERENTIALS)
def test_a_pickle_that_two_readers_read_differently_is_refused(forge: Forge, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(forge(""))

    assert assess(path, Detection("sklearn", "joblib", "")).verdict == "untrusted"


def test_opcodes_in_the_place_of_an_array_are_seen_where_joblib_does_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(torch_zip({"m/data.pkl": hidden_in_array("1 + 1"), "m/version": b"3\n"}))

    verdict = assess(path, Detection("torch", "state_dict", "", {"container": "zip"}))

    assert "names builtins.eval" in " ".join(verdict.reasons)


@isolating
@pytest.mark.parametrize("name", FILES)
def test_the_jail_contains_it(name: str, jail: str, tmp_path: Path) -> None:
    with canaries(tmp_path) as watched:
        path = tmp_path / "model"
        path.write_bytes(FILES[name](watched.payload))

        done = load_jailed(loader(name, path), tmp_path, jail, (path,))

        assert watched.harmed(done, tmp_path / "job") == set()
        assert "R A N" in done.stdout, done


def test_the_payload_does_harm_where_nothing_stops_it(tmp_path: Path) -> None:
    with canaries(tmp_path) as watched:
        path = tmp_path / "model"
        path.write_bytes(PICKLES["hidden_in_estimator"](watched.payload))

        done = load_jailed(loader("", path), tmp_path, "rlimits", (path,))

        assert watched.harmed(done, tmp_path / "job") >= {"written", "secret", "network"}


def test_memory_is_limited_for_what_the_list_allows(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"\x80\x04cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85R.")

    done = load_jailed(f"import pickle; pickle.load(open({str(path)!r}, 'rb'))", tmp_path, "rlimits", (path,))

    assert "MemoryError" in done.stderr


def test_a_forged_array_as_joblib_writes_it_is_allowed(tmp_path: Path) -> None:
    # The control of the tests above: without a contradiction the same building blocks pass.
    path = tmp_path / "model"
    path.write_bytes(hidden_in_array(""))

    assert assess(path, Detection("sklearn", "joblib", "")).reasons == ()
