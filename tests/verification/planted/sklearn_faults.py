"""Faults in conversions of scikit-learn models: planted by hand, and those skl2onnx makes by itself."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, numpy_helper

from tests.verification.planted.edits import (
    add_constant,
    array,
    attribute,
    bypass,
    maker,
    nodes,
    replace,
    set_attribute,
    stored,
    wrap_input,
    wrap_output,
)

SEED = np.random.RandomState(0)
X = SEED.randn(200, 4).astype(np.float32)
SCORES = X @ np.array([1.0, -0.7, 0.4, 0.2]) + 0.3 * SEED.randn(200)
CLASSES = np.digitize(SCORES, [-0.7, 0.6])
COUNTS = np.exp(0.5 * SCORES).round()
TEXTS = [
    "good great café naïve",
    "bad awful cafe dull",
    "great fun très bien",
    "awful boring tres mal",
    "C++ is good",
    "привет мир хорошо",
    "мир плохо",
    "a b c good",
] * 8
MOODS = np.tile([1, 0, 1, 0, 1, 1, 0, 1], 8)


def forest():
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(12, max_depth=5, random_state=0).fit(X, CLASSES)


def forest_with_nan():
    from sklearn.ensemble import RandomForestRegressor

    holes = np.where(SEED.rand(*X.shape) < 0.1, np.nan, X)
    return RandomForestRegressor(12, max_depth=5, random_state=0).fit(holes, SCORES)


def logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, CLASSES + 10**10)


def poisson():
    from sklearn.linear_model import PoissonRegressor

    return PoissonRegressor(alpha=1e-3).fit(X, COUNTS)


def boosted_poisson():
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(loss="poisson", max_iter=20, random_state=0).fit(X, COUNTS)


def discriminant():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis().fit(X, CLASSES > 0)


def text():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(CountVectorizer(), LogisticRegression()).fit(TEXTS, MOODS)


def tree_node(graph):
    return nodes(graph, "TreeEnsemble")[0]


def tree_table(graph, name):
    return numpy_helper.to_array(attribute(tree_node(graph), name).t).copy()


def threshold_rounded_up(graph, model):
    """One float32 step up at every split: what rounding to nearest does to half of them."""
    splits = tree_table(graph, "nodes_splits")
    higher = np.nextafter(splits.astype(np.float32), np.float32(9)).astype(splits.dtype)
    set_attribute(tree_node(graph), "nodes_splits", numpy_helper.from_array(higher))
    return graph


def less_for_less_or_equal(graph, model):
    modes = np.ones_like(tree_table(graph, "nodes_modes"))
    set_attribute(tree_node(graph), "nodes_modes", numpy_helper.from_array(modes))
    return graph


def leaf_off_by_a_thousandth(graph, model):
    """In the table of what each leaf gives."""
    name = next(tensor.name for tensor in graph.graph.initializer if list(tensor.dims)[1:] == [3])
    table = array(graph, name)
    table[5, 1] += 1e-3
    return replace(graph, name, table)


def nan_sent_to_the_wrong_leaf(graph, model):
    sides = attribute(tree_node(graph), "nodes_missing_value_tracks_true").ints
    set_attribute(tree_node(graph), "nodes_missing_value_tracks_true", [1 - side for side in sides])
    return graph


def labels_exchanged(graph, model):
    node = nodes(graph, "ArgMax")[0]
    order = add_constant(graph, "exchanged", np.array([1, 0, 2]))
    return wrap_output(graph, node, ("Gather", order))


def labels_cut_to_int32(graph, model):
    node = maker(graph, "label")
    return wrap_input(graph, node, 0, ("Cast", [], {"to": TensorProto.INT32}), ("Cast", [], {"to": 7}))


def coefficient_off_by_a_thousandth(graph, model):
    name = nodes(graph, "MatMul", "Gemm")[0].input[1]
    weights = array(graph, name)
    weights[2, 1] += 1e-3
    return replace(graph, name, weights)


def intercept_lost(graph, model):
    adding = next(node for node in graph.graph.node if node.op_type in ("Add", "Gemm"))
    name = adding.input[-1]
    return replace(graph, name, np.zeros_like(array(graph, name)))


def link_lost(graph, model):
    return bypass(graph, nodes(graph, "Exp")[0])


def sigmoid_of_twice_the_score(graph, model):
    node = nodes(graph, "Neg")[0]
    return wrap_input(graph, node, 0, ("Add", [node.input[0]], {}))


def rows_rounded_to_half(graph, model):
    """Feeds rounded to float16 on the way in."""
    node = nodes(graph, "MatMul", "Gemm")[0]
    half = ("Cast", [], {"to": TensorProto.FLOAT16})
    return wrap_input(graph, node, 0, half, ("Cast", [], {"to": stored(graph, node.input[1]).data_type}))


# What skl2onnx 1.20 gets wrong by itself, measured: these need no planting.
UPSTREAM = {
    "skl2onnx_forest_with_nan": (forest_with_nan, "NaN sent to the wrong leaf"),
    "skl2onnx_boosted_poisson": (boosted_poisson, "missing link function"),
    "skl2onnx_discriminant": (discriminant, "sigmoid of twice the score"),
    "skl2onnx_words": (text, "tokenizer drops accents and scripts"),
}

FAULTS = {
    "forest": (
        forest,
        (threshold_rounded_up, less_for_less_or_equal, leaf_off_by_a_thousandth, labels_exchanged),
    ),
    "forest_with_nan": (forest_with_nan, (nan_sent_to_the_wrong_leaf, threshold_rounded_up)),
    "logistic": (
        logistic,
        (labels_cut_to_int32, coefficient_off_by_a_thousandth, intercept_lost, rows_rounded_to_half),
    ),
    "poisson": (poisson, (link_lost,)),
    "boosted_poisson": (boosted_poisson, (link_lost,)),
    "discriminant": (discriminant, (sigmoid_of_twice_the_score,)),
}


def _classifiers():
    from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    yield "support_vectors", SVC(probability=True, random_state=0)
    yield "neighbours", KNeighborsClassifier()
    yield "naive_bayes", GaussianNB()
    yield (
        "perceptron",
        MLPClassifier(hidden_layer_sizes=(32, 16), solver="lbfgs", max_iter=5000, tol=1e-2, random_state=0),
    )
    yield "boosted_trees", GradientBoostingClassifier(n_estimators=20, random_state=0)
    yield "boosted_stumps", AdaBoostClassifier(n_estimators=10, random_state=0)


def _regressors():
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, WhiteKernel
    from sklearn.linear_model import GammaRegressor, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures
    from sklearn.svm import SVR

    yield "gaussian_process", GaussianProcessRegressor(RBF() + WhiteKernel(), random_state=0)
    yield "support_vector_regression", SVR()
    yield "polynomial", make_pipeline(PolynomialFeatures(3), Ridge())
    yield "extra_trees", ExtraTreesRegressor(10, random_state=0)
    yield "gamma", GammaRegressor()


def honest():
    """Fitted models without a fault."""
    for name, model in _classifiers():
        yield name, lambda model=model: model.fit(X, CLASSES)
    yield "words", text
    for name, model in _regressors():
        target = COUNTS + 1 if name == "gamma" else SCORES
        yield name, lambda model=model, target=target: model.fit(X, target)
