"""Small models of random make: no bound was chosen by looking at them.

`subject(number)` is the same each time; the framework goes by turns.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from tests.verification.planted.harness import Subject
from zoo.records import TensorSpec

FRAMEWORKS = ("PyTorch", "Keras", "scikit-learn")


def framework(number: int) -> str:
    return FRAMEWORKS[number % 3]


def subject(number: int) -> Subject:
    """The model of a number, asked and ready to judge."""
    random = np.random.default_rng(10_000 + number)
    make = (_torch, _keras, _sklearn)[number % 3]
    return make(random, Path(mkdtemp(prefix=f"random-{number}-")))


def pick(random, *choices):
    return choices[int(random.integers(len(choices)))]


# --- PyTorch ---------------------------------------------------------------------------------------


def _torch(random, folder):
    import torch

    from converters.from_torch import TorchConverter

    torch.manual_seed(int(random.integers(1 << 30)))
    make = pick(random, _torch_table, _torch_image, _torch_series, _torch_tokens)
    model, inputs, options = make(random)
    _settled(model, random)
    return Subject(TorchConverter(), model.eval(), folder, options, inputs)


def _settled(model, random):
    """Running statistics as after training."""
    import torch

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.copy_(torch.tensor(random.normal(0, 0.3, module.num_features)))
                module.running_var.copy_(torch.tensor(random.uniform(0.05, 2, module.num_features)))


def _activation(random):
    from torch import nn

    return pick(random, nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Hardswish, nn.Softplus)()


def _torch_table(random):
    from torch import nn

    width = first = int(random.integers(3, 30))
    layers = []
    for _ in range(int(random.integers(1, 4))):
        wider = int(random.integers(4, 40))
        layers += [nn.Linear(width, wider), _activation(random)]
        layers += [pick(random, nn.LayerNorm, nn.BatchNorm1d)(wider)] if random.random() < 0.5 else []
        width = wider
    layers.append(nn.Linear(width, int(random.integers(1, 8))))
    layers += [pick(random, nn.Softmax(-1), nn.Sigmoid(), nn.LogSoftmax(-1))] if random.random() < 0.6 else []
    return nn.Sequential(*layers), (TensorSpec("x", "float32", ("batch", first)),), {}


def _torch_image(random):
    from torch import nn

    channels, side = int(random.integers(1, 4)), int(random.integers(9, 20))
    layers, width = [], channels
    for _ in range(int(random.integers(1, 4))):
        wider, kernel = int(random.integers(3, 12)), pick(random, 1, 3, 5)
        padding = pick(random, kernel // 2, 0) if side > 10 else kernel // 2
        layers.append(
            nn.Conv2d(width, wider, kernel, pick(random, 1, 2), padding, bias=random.random() < 0.5)
        )
        layers += [pick(random, nn.BatchNorm2d(wider), nn.GroupNorm(1, wider), nn.Identity())]
        layers.append(_activation(random))
        width, side = wider, max(1, side // 2)
    layers.append(pick(random, nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)))
    layers += [nn.Flatten(), nn.Linear(width, int(random.integers(2, 9)))]
    return nn.Sequential(*layers), (TensorSpec("x", "float32", ("batch", channels, *[20] * 2)),), {}


def _torch_series(random):
    from torch import nn

    width, hidden = int(random.integers(2, 8)), int(random.integers(3, 12))
    cell = pick(random, nn.GRU, nn.LSTM, nn.RNN)
    both = bool(random.integers(2))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = cell(width, hidden, int(random.integers(1, 3)), batch_first=True, bidirectional=both)
            self.head = nn.Linear(hidden * (1 + both), 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0].mean(dim=1))

    return Net(), (TensorSpec("x", "float32", ("batch", int(random.integers(3, 12)), width)),), {}


def _torch_tokens(random):
    from torch import nn

    words, size = int(random.integers(10, 60)), 4 * int(random.integers(2, 5))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(words, size)
            self.block = nn.TransformerEncoderLayer(
                size, 2, 2 * size, batch_first=True, activation=pick(random, "relu", "gelu")
            )
            self.head = nn.Linear(size, int(random.integers(2, 6)))

        def forward(self, ids):
            return self.head(self.block(self.table(ids)).mean(dim=1))

    options = {"feeds": {"ids": {"low": 0, "high": words - 1}}}
    return Net(), (TensorSpec("ids", "int64", ("batch", 9)),), options


# --- Keras -----------------------------------------------------------------------------------------


def _keras(random, folder):
    import keras

    from converters.from_tensorflow import TensorFlowConverter

    keras.utils.set_random_seed(int(random.integers(1 << 30)))
    model = keras.Sequential(pick(random, _keras_table, _keras_image, _keras_series)(random))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            moved = random.normal(0, 0.3, mean.shape), random.uniform(0.05, 2, variance.shape)
            layer.set_weights([gamma, beta, *moved])
    return Subject(TensorFlowConverter(), model, folder)


ACTIVATIONS = ("relu", "gelu", "tanh", "swish", "elu", "selu", "softplus", "hard_sigmoid", "leaky_relu")


def _keras_table(random):
    from keras import Input, layers

    found = [Input((int(random.integers(3, 30)),))]
    for _ in range(int(random.integers(1, 4))):
        found.append(layers.Dense(int(random.integers(4, 40)), activation=pick(random, *ACTIVATIONS)))
        found += [pick(random, layers.LayerNormalization, layers.BatchNormalization)()]
    return [
        *found,
        layers.Dense(int(random.integers(1, 8)), activation=pick(random, "softmax", "sigmoid", None)),
    ]


def _keras_image(random):
    from keras import Input, layers

    found = [Input((16, 16, int(random.integers(1, 4))))]
    for _ in range(int(random.integers(1, 4))):
        kind = pick(random, layers.Conv2D, layers.SeparableConv2D, layers.Conv2D)
        options = {"padding": pick(random, "same", "same", "valid"), "strides": pick(random, 1, 2)}
        options["activation"] = pick(random, *ACTIVATIONS)
        found.append(kind(int(random.integers(3, 12)), pick(random, 1, 2, 3), **options))
        found += [layers.BatchNormalization()] if random.random() < 0.5 else []
    found.append(pick(random, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)())
    return [*found, layers.Dense(int(random.integers(2, 9)))]


def _keras_series(random):
    from keras import Input, layers

    cell = pick(random, layers.GRU, layers.LSTM, layers.SimpleRNN)(int(random.integers(3, 12)))
    cell = layers.Bidirectional(cell) if random.random() < 0.4 else cell
    first = Input((int(random.integers(3, 12)), int(random.integers(2, 8))))
    return [first, cell, layers.Dense(int(random.integers(1, 5)), activation=pick(random, "tanh", None))]


# --- scikit-learn ----------------------------------------------------------------------------------


def _sklearn(random, folder):
    from sklearn.pipeline import make_pipeline

    from converters.from_sklearn import SklearnConverter

    np.random.seed(int(random.integers(1 << 30)))  # scikit-learn's own, where no estimator has one
    rows = random.normal(size=(int(random.integers(60, 200)), int(random.integers(2, 10))))
    rows *= 10.0 ** random.integers(-2, 3, rows.shape[1])
    target = rows / np.abs(rows).max(axis=0) @ random.normal(size=rows.shape[1]) + random.normal(
        0, 0.1, len(rows)
    )
    steps = [_scaler(random)] if random.random() < 0.7 else []
    if random.random() < 0.5:
        model, target = _classifier(random), np.digitize(target, np.quantile(target, [0.3, 0.7]))
    else:
        model = _regressor(random)
    return Subject(SklearnConverter(), make_pipeline(*steps, model).fit(rows, target), folder)


def _scaler(random):
    from sklearn import preprocessing as p
    from sklearn.decomposition import PCA

    return pick(
        random, p.StandardScaler(), p.MinMaxScaler(), p.RobustScaler(), p.QuantileTransformer(n_quantiles=20),
        p.PowerTransformer(), p.PolynomialFeatures(2), PCA(2), p.KBinsDiscretizer(4, encode="onehot-dense"),
    )  # fmt: skip


def _classifier(random):
    from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    return pick(
        random, RandomForestClassifier(8, max_depth=4, random_state=0), LogisticRegression(max_iter=5000),
        GradientBoostingClassifier(n_estimators=8), AdaBoostClassifier(n_estimators=8), GaussianNB(),
        KNeighborsClassifier(), SVC(), RidgeClassifier(), MLPClassifier((8,), solver="lbfgs", max_iter=9000),
    )  # fmt: skip


def _regressor(random):
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
    from sklearn.linear_model import BayesianRidge, ElasticNet, Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.svm import SVR
    from sklearn.tree import DecisionTreeRegressor

    return pick(
        random, ExtraTreesRegressor(6, max_depth=5), HistGradientBoostingRegressor(max_iter=8), Ridge(),
        BayesianRidge(), ElasticNet(0.01), KNeighborsRegressor(), SVR(), DecisionTreeRegressor(max_depth=6),
    )  # fmt: skip
