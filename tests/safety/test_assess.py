"""Files as their libraries write them are allowed: an audit that cries wolf would be switched off."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.detection import models
from tests.detection.test_frameworks import CASES
from zoo.detect import detect
from zoo.detection.audits.globals import is_allowed
from zoo.detection.pickle_values import Global
from zoo.errors import UnsafeFileError
from zoo.safety import Assessment, assess, require_allowed


@pytest.mark.parametrize("name", [name for name in CASES if name != "chain of the author's class"])
def test_an_honest_file_is_allowed(name: str, tmp_path: Path) -> None:
    CASES[name][0](tmp_path / "m")

    verdict = assess(tmp_path / "m", detect(tmp_path / "m"))

    assert verdict == Assessment("allowed")


def test_a_chain_of_the_authors_class_is_not_allowed(tmp_path: Path) -> None:
    CASES["chain of the author's class"][0](tmp_path / "m")
    assert not assess(tmp_path / "m", detect(tmp_path / "m")).allowed


def estimators():
    from sklearn.utils import all_estimators

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [cls for _, cls in all_estimators()]


def test_every_estimator_class_of_scikit_learn_is_on_the_list() -> None:
    missing = [cls for cls in estimators() if not is_allowed(Global(cls.__module__, cls.__name__))]

    assert missing == []


OTHERS = re.compile(
    r"abc|collections|collections\.abc|numbers|typing|builtins|inspect|_cyutility|multiprocessing\.\w+"
)


def test_class_patterns_lead_to_the_librarys_own_classes() -> None:
    strangers = []
    for module in modules("sklearn"):
        for name in dir(module):
            if re.fullmatch(r"_*[A-Z]\w*", name) and is_allowed(Global(module.__name__, name)):
                home = (
                    getattr(getattr(module, name), "__module__", None)
                    or type(getattr(module, name)).__module__
                )
                if not home.startswith(("sklearn", "scipy", "numpy")) and not OTHERS.fullmatch(home):
                    strangers.append(f"{module.__name__}.{name} → {home}")

    assert strangers == []


def modules(package: str):
    root = importlib.import_module(package)
    skipped = re.compile(r"\.(tests|conftest|_build|datasets|externals)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [
            one.name
            for one in pkgutil.walk_packages(root.__path__, f"{package}.")
            if not skipped.search(one.name)
        ]
        return [importlib.import_module(name) for name in names if not name.startswith("sklearn.externals")]


DANGEROUS = """
os.system posix.system subprocess.Popen builtins.eval builtins.exec builtins.getattr builtins.open
builtins.__import__ builtins.compile importlib.import_module runpy.run_path operator.attrgetter
operator.methodcaller numpy.load numpy.memmap numpy.fromfile numpy.save numpy.loadtxt numpy.f2py.compile
numpy.testing._private.utils.runstring sklearn.datasets.load_files sklearn.externals.joblib.load
joblib.load joblib.numpy_pickle.load sklearn.base.os.system sklearn.utils._testing.TempMemmap torch.load
torch.hub.load torch.storage._load_from_bytes torch.jit.load torch.fx.graph_module.reduce_graph_module
pandas.read_pickle pandas.io.common.get_handle pickle.loads _pickle.loads
cloudpickle.cloudpickle._make_function dill._dill._create_function marshal.loads types.FunctionType
types.CodeType ctypes.CDLL webbrowser.open timeit.timeit pdb.run bdb.Bdb cProfile.run
code.InteractiveInterpreter pip.main asyncio.unix_events._UnixSubprocessTransport shutil.rmtree
tempfile.mktemp socket.create_connection urllib.request.urlopen sklearn.callback._transport.Client
multiprocessing.connection.Client threading.Thread logging.FileHandler xgboost.core.Booster.load_model
numpy.core._internal.os sklearn.utils.os sklearn.os.system
"""


@pytest.mark.parametrize("name", DANGEROUS.split())
def test_a_dangerous_global_is_not_on_the_list(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    parts = name.split(".")

    splits = [(".".join(parts[:i]), ".".join(parts[i:])) for i in range(1, len(parts))]

    assert (module, attribute) in splits
    assert not any(is_allowed(Global(*split)) for split in splits)


def test_an_untrusted_file_below_the_configured_level_names_the_global_and_the_way_out(
    tmp_path: Path,
) -> None:
    verdict = Assessment("untrusted", ("names os.system", "calls os.system"))

    with pytest.raises(UnsafeFileError, match=r"os\.system.*1 more reason.*'rlimits'.*'bwrap'") as raised:
        require_allowed(tmp_path / "m.pkl", verdict, "rlimits", "bwrap")

    assert "--trust" in (raised.value.hint or "")


def test_an_allowed_file_passes_at_any_level(tmp_path: Path) -> None:
    require_allowed(tmp_path / "m.pkl", Assessment("allowed"), "rlimits", "bwrap")


def test_objects_in_an_npy_are_audited(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Path], dtype=object), allow_pickle=True)
    np.save(tmp_path / "b.npy", np.array([importlib.import_module], dtype=object), allow_pickle=True)

    verdicts = [assess(path, detect(path)).verdict for path in sorted(tmp_path.iterdir())]

    assert verdicts == ["allowed", "untrusted"]


def test_a_file_without_an_audit_is_untrusted(tmp_path: Path) -> None:
    (tmp_path / "net.param").write_text("7767517\n1 1\nInput x 0 1 x\n")

    assert not assess(tmp_path / "net.param", detect(tmp_path / "net.param")).allowed


def test_a_custom_class_is_named(tmp_path: Path) -> None:
    models.pickled(lambda: {"m": models.logistic(), "other": Detached()})(tmp_path / "m")

    assert assess(tmp_path / "m", detect(tmp_path / "m")).reasons == (
        "names tests.safety.test_assess.Detached",
    )


class Detached:
    pass


def chain(*more: str) -> bytes:
    """The names in a pickled Linear of Chainer, and `more`, each called without arguments."""
    first = ("chainer.links.connection.linear Linear", "chainer.variable _recover_parameter", "builtins set")
    calls = [f"c{name.replace(' ', chr(10))}\n)R0".encode() for name in (*first, *more)]
    return b"".join(calls) + b"N."


def test_a_chain_of_chainers_own_links_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(
        chain("chainer.links.rnn.lstm LSTM", "chainer.functions.activation.relu relu")
    )
    detection = detect(tmp_path / "m")
    assert (detection.framework, detection.kind) == ("chainer", "pickle")
    assert assess(tmp_path / "m", detection) == Assessment("allowed")


@pytest.mark.parametrize(
    "name",
    [
        "posix system",
        "chainer.links.caffe.caffe_function CaffeFunction",
        "chainer.links.model.vision.vgg VGG16Layers",
        "chainer.serializers.npz load_npz",
        "chainer.dataset.download cached_download",
        "nets Pictures",
    ],
)
def test_a_chain_that_names_more_is_not_allowed_and_the_name_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(chain(name))
    verdict = assess(tmp_path / "m", detect(tmp_path / "m"))
    assert verdict.reasons == (f"names {name.replace(' ', '.')}",)
