"""Faults in conversions of scikit-learn models: planted by hand, and those skl2onnx makes by itself."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from tests.verification.planted.edits import attribute, bypass, insert_before, nodes, set_attribute

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
    return next(node for node in graph.graph.node if node.op_type.startswith("TreeEnsemble"))


def threshold_rounded_up(graph, model):
    """One float32 step up at every split: what rounding to nearest does to half of them."""
    values = attribute(tree_node(graph), "nodes_values")
    leaf = [mode == b"LEAF" for mode in attribute(tree_node(graph), "nodes_modes").strings]
    old = np.array(values.floats, np.float32)
    higher = np.where(leaf, old, np.nextafter(old, np.float32(9)))
    set_attribute(tree_node(graph), "nodes_values", higher.tolist())
    return graph


def less_for_less_or_equal(graph, model):
    modes = attribute(tree_node(graph), "nodes_modes").strings
    set_attribute(tree_node(graph), "nodes_modes", [b"BRANCH_LT" if m == b"BRANCH_LEQ" else m for m in modes])
    return graph


def leaf_off_by_a_thousandth(graph, model):
    node = tree_node(graph)
    name = "class_weights" if attribute(node, "class_weights") else "target_weights"
    weights = list(attribute(node, name).floats)
    weights[5] += 1e-3
    set_attribute(node, name, weights)
    return graph


def labels_exchanged(graph, model):
    node = tree_node(graph)
    labels = list(attribute(node, "classlabels_int64s").ints)
    set_attribute(node, "classlabels_int64s", [labels[1], labels[0], *labels[2:]])
    return graph


def labels_cut_to_int32(graph, model):
    name = graph.graph.output[0].name
    maker = next(node for node in graph.graph.node if name in node.output)
    maker.output[list(maker.output).index(name)] = "uncut"
    graph.graph.node.append(helper.make_node("Cast", ["uncut"], ["cut"], to=TensorProto.INT32))
    graph.graph.node.append(helper.make_node("Cast", ["cut"], [name], to=TensorProto.INT64))
    return graph


def coefficient_off_by_a_thousandth(graph, model):
    node = nodes(graph, "LinearClassifier")[0]
    weights = list(attribute(node, "coefficients").floats)
    weights[2] += 1e-3
    set_attribute(node, "coefficients", weights)
    return graph


def intercept_lost(graph, model):
    set_attribute(nodes(graph, "LinearClassifier")[0], "intercepts", [0.0, 0.0, 0.0])
    return graph


def link_lost(graph, model):
    return bypass(graph, nodes(graph, "Exp")[0])


def as_converted(graph, model):
    """skl2onnx's own conversion, as it is."""
    return graph


def rows_rounded_to_half(graph, model):
    """Feeds rounded to float16 on the way in."""
    name = graph.graph.input[0].name
    for node in graph.graph.node:
        node.input[:] = ["short" if item == name else item for item in node.input]
    first = graph.graph.node[0]
    made = [
        helper.make_node("Cast", [name], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["short"], to=TensorProto.FLOAT),
    ]
    return insert_before(graph, first, *made)


# What skl2onnx 1.20 gets wrong by itself, measured: these need no planting.
UPSTREAM = {
    "forest_with_nan": (forest_with_nan, {"nan": True}, "NaN sent to the wrong leaf"),
    "boosted_poisson": (boosted_poisson, {}, "missing link function"),
    "discriminant": (discriminant, {}, "sigmoid of twice the score"),
    "words": (text, {"text": True}, "tokenizer drops accents and scripts"),
}

FAULTS = {
    "forest": (
        forest,
        (threshold_rounded_up, less_for_less_or_equal, leaf_off_by_a_thousandth, labels_exchanged),
    ),
    "logistic": (
        logistic,
        (labels_cut_to_int32, coefficient_off_by_a_thousandth, intercept_lost, rows_rounded_to_half),
    ),
    "poisson": (poisson, (link_lost,)),
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
    """Fitted models whose conversion by skl2onnx 1.20 is right."""
    for name, model in _classifiers():
        yield name, lambda model=model: model.fit(X, CLASSES)
    for name, model in _regressors():
        target = COUNTS + 1 if name == "gamma" else SCORES
        yield name, lambda model=model, target=target: model.fit(X, target)
