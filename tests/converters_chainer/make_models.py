"""Run by the Chainer environment's own Python, in the folder of ``nets.py``: saves the models there."""

import pickle
from pathlib import Path

import chainer
import nets
import numpy as np
from chainer import links, serializers

np.random.seed(0)
for build in (nets.Pictures, nets.Recurrent, nets.Normalised):
    serializers.save_npz(f"{build.__name__}.npz", build())
serializers.save_npz("Classifier.npz", links.Classifier(nets.Pictures()))
Path("Pictures.pickle").write_bytes(pickle.dumps(nets.Pictures()))


class Uninitialised(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear = links.Linear(None, 3)


serializers.save_npz("Uninitialised.npz", Uninitialised())
