"""Honest conversions by our own converters, framework by framework: none is rejected."""

from __future__ import annotations

import numpy as np
import pytest

from tests.verification.planted.harness import Subject
from tests.verification.planted.sklearn_faults import CLASSES, SCORES, X
from zoo import plugins
from zoo.records import TensorSpec
from zoo.verification.report import text

pytestmark = pytest.mark.filterwarnings("ignore")


def proven(framework, model, folder, inputs=()):
    subject = Subject(plugins.converter(framework), model, folder, inputs=inputs)
    report = subject.judge(subject.convert())
    assert report.passed, text(report)
    return report


def test_scikit_learn_is_exact_behind_a_scaler(tmp_path):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = X.astype(np.float64)
    forest = RandomForestClassifier(12, random_state=0)
    report = proven("sklearn", make_pipeline(StandardScaler(), forest).fit(rows, CLASSES), tmp_path)
    errors = [o.max_abs for case in report.cases for o in case.outputs if o.max_abs is not None]
    assert max(errors) < 1e-15


def test_scikit_learn_regression(tmp_path):
    from sklearn.linear_model import Ridge

    proven("sklearn", Ridge().fit(X, SCORES), tmp_path)


def test_torch_recurrent_and_convolutional(tmp_path):
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 8, 5, padding=2)
            self.rnn = nn.LSTM(8, 12, batch_first=True, bidirectional=True)
            self.head = nn.Linear(24, 3)

        def forward(self, x):
            hidden, _ = self.rnn(torch.relu(self.conv(x)).transpose(1, 2))
            return torch.log_softmax(self.head(hidden), dim=-1)

    torch.manual_seed(0)
    proven("torch", Net().eval(), tmp_path, (TensorSpec("x", "float32", ("batch", 4, 20)),))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["convolutional", "recurrent"])
def test_keras(tmp_path, kind):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = {
        "convolutional": [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(8, 3, activation="swish", padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, activation="softmax"),
        ],
        "recurrent": [keras.Input((12, 5)), keras.layers.GRU(16), keras.layers.Dense(2, activation="gelu")],
    }
    proven("tensorflow", keras.Sequential(layers[kind]), tmp_path)
