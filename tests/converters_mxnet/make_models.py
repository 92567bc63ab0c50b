"""Run by the MXNet environment's own Python: ``make_models.py FOLDER`` saves every model there."""

import sys

import mxnet
from mxnet import gluon, nd, sym

FOLDER = sys.argv[1]


def gluon_network():
    network = gluon.nn.HybridSequential()
    network.add(
        gluon.nn.Conv2D(8, 3, padding=1),
        gluon.nn.BatchNorm(),
        gluon.nn.LeakyReLU(0.2),
        gluon.nn.MaxPool2D(3, 2, ceil_mode=True),
        gluon.nn.Dense(5),
    )
    network.initialize(mxnet.init.Xavier())
    network.hybridize()
    network(nd.zeros((1, 3, 16, 16)))
    network.export(f"{FOLDER}/gluon")


def checkpoint(name, symbol, **shapes):
    """A symbol with random parameters, as the Module API saves it."""
    arguments, _, states = symbol.infer_shape(**shapes)
    given = dict(zip(symbol.list_arguments(), arguments))  # noqa: B905 - runs on Python 3.9
    values = {k: nd.random.uniform(0.2, 1, shape=v) for k, v in given.items() if k not in shapes}
    values = {k: v for k, v in values.items() if not k.endswith("label")}
    kept = dict(zip(symbol.list_auxiliary_states(), states))  # noqa: B905
    kept = {k: nd.random.uniform(0.2, 1, shape=v) for k, v in kept.items()}
    mxnet.model.save_checkpoint(f"{FOLDER}/{name}", 0, symbol, values, kept)


def normalised():
    """Layers whose defaults the exporter loses."""
    x = sym.BatchNorm(sym.Variable("data"), name="batch")
    return sym.L2Normalization(sym.LRN(x, nsize=3), mode="channel", eps=0.1)


def classifier():
    return sym.SoftmaxOutput(
        sym.FullyConnected(sym.Variable("data"), num_hidden=4, name="fc"), name="softmax"
    )


def two_headed():
    x = sym.Variable("data", shape=(0, 8))
    return sym.Group(
        [sym.FullyConnected(x, num_hidden=5, name="z"), sym.FullyConnected(x, num_hidden=3, name="a")]
    )


def words():
    return sym.mean(sym.Embedding(sym.Variable("data"), input_dim=30, output_dim=6, name="e"), axis=1)


mxnet.random.seed(0)
gluon_network()
checkpoint("normalised", normalised(), data=(2, 4, 8, 8))
checkpoint("classifier", classifier(), data=(2, 8))
checkpoint("two", two_headed(), data=(2, 8))
checkpoint("words", words(), data=(2, 7))
checkpoint("unknown", sym.GroupNorm(sym.Variable("data"), num_groups=2, name="g"), data=(2, 4, 8, 8))
