"""Run by the Core ML environment's own Python: ``make_steps.py FOLDER`` saves models of features there.

What scikit-learn fitted comes as JSON on the standard input, and is written as coremltools' own converters
of scikit-learn write it.
"""

import json
import logging
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import coremltools as ct  # noqa: E402
import numpy as np  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.feature_vectorizer import create_feature_vectorizer  # noqa: E402
from coremltools.models.pipeline import PipelineClassifier  # noqa: E402
from coremltools.models.tree_ensemble import TreeEnsembleClassifier, TreeEnsembleRegressor  # noqa: E402

FOLDER = sys.argv[1]
FITTED = json.load(sys.stdin)
BRANCHES = [
    "BranchOnValueLessThanEqual",
    "BranchOnValueLessThan",
    "BranchOnValueGreaterThanEqual",
    "BranchOnValueGreaterThan",
    "BranchOnValueEqual",
    "BranchOnValueNotEqual",
]
random = np.random.default_rng(0)


def save(spec, name):
    ct.utils.save_spec(spec, f"{FOLDER}/{name}.mlmodel")


def spec_of(kind, inputs, output):
    spec = ct.proto.Model_pb2.Model()
    spec.specificationVersion = 1
    for name, type_ in inputs:
        one = spec.description.input.add(name=name)
        datatypes._set_datatype(one.type, type_)
    one = spec.description.output.add(name=output[0])
    datatypes._set_datatype(one.type, output[1])
    getattr(spec, kind).SetInParent()
    return spec


def grown(ensemble, tree, dims, depth=3):
    """A full tree: branches of every kind, each with its own direction for gaps."""
    leaves = 2**depth - 1
    for node in range(leaves):
        number = node + 7 * tree
        ensemble.add_branch_node(
            tree,
            node,
            int(random.integers(4)),
            float(random.integers(-2, 3)) / 2,
            BRANCHES[number % 6],
            2 * node + 1,
            2 * node + 2,
            missing_value_tracks_true_child=bool(number % 2),
        )
    for node in range(leaves, 2 * leaves + 1):
        values = random.normal(size=dims).tolist()
        ensemble.add_leaf_node(tree, node, values[0] if dims == 1 else values)


FEATURES = [("a", datatypes.Array(3)), ("b", datatypes.Double())]

trees = TreeEnsembleRegressor(FEATURES, [("y", datatypes.Double())])
trees.set_default_prediction_value([0.25])
for number in range(6):
    grown(trees, number, 1)
save(trees.spec, "trees")

trees = TreeEnsembleClassifier(FEATURES, ["low", "mid", "high"], ["kind", "chances"])
trees.set_default_prediction_value([0.1, 0.2, -0.3])
for number in range(5):
    grown(trees, number, 3)
trees.set_post_evaluation_transform("Classification_SoftMax")
save(trees.spec, "classes")


def fitted_trees(fitted, name):
    """Trees of scikit-learn, with thresholds in float32 as scikit-learn compares them."""
    width, classes = fitted["width"], fitted["classes"]
    made = TreeEnsembleClassifier([("x", datatypes.Array(width))], classes, ["label", "chances"])
    made.set_default_prediction_value(fitted["base"])
    for number, tree in enumerate(fitted["trees"]):
        for node, left in enumerate(tree["left"]):
            if left < 0:
                value = tree["value"][node]
                value = {int(k): v for k, v in value.items()} if isinstance(value, dict) else value
                made.add_leaf_node(number, node, value)
            else:
                split = (tree["feature"][node], tree["threshold"][node], BRANCHES[0])
                made.add_branch_node(number, node, *split, left, tree["right"][node])
    made.set_post_evaluation_transform(fitted["transform"])
    save(made.spec, name)


for name in ("boosted", "forest", "boosted_three"):
    fitted_trees(FITTED[name], name)


def linear(kind, name, rows, **fields):
    output = ("y", datatypes.Double()) if kind == "glmRegressor" else ("label", datatypes.Int64())
    spec = spec_of(kind, FEATURES, output)
    model = getattr(spec, kind)
    for field, value in fields.items():
        setattr(model, field, getattr(model, value))
    for row in random.normal(size=(rows, 4)):
        model.weights.add().value.extend(row)
    model.offset.extend(random.normal(size=rows))
    return spec, model


for link in ("NoTransform", "Logit", "Probit"):
    save(linear("glmRegressor", link, 1, postEvaluationTransform=link)[0], f"linear_{link}")


def linear_classifier(name, rows, classes, **fields):
    spec, model = linear("glmClassifier", name, rows, **fields)
    model.int64ClassLabels.vector.extend(classes)
    one = spec.description.output.add(name="chances")
    datatypes._set_datatype(one.type, datatypes.Dictionary(datatypes.Int64()))
    spec.description.predictedFeatureName = "label"
    spec.description.predictedProbabilitiesName = "chances"
    save(spec, name)


linear_classifier("binary", 1, [5, 3], classEncoding="OneVsRest", postEvaluationTransform="Logit")
linear_classifier("probit", 1, [0, 1], classEncoding="ReferenceClass", postEvaluationTransform="Probit")
linear_classifier("rest", 3, [2, 0, 1], classEncoding="OneVsRest", postEvaluationTransform="Logit")
linear_classifier("reference", 2, [0, 1, 2], classEncoding="ReferenceClass", postEvaluationTransform="Logit")
linear_classifier("misfit", 2, [0, 1, 2], classEncoding="OneVsRest", postEvaluationTransform="Logit")


def vectors(name, kernel, **fields):
    spec = spec_of("supportVectorRegressor", [("x", datatypes.Array(3))], ("y", datatypes.Double()))
    model = spec.supportVectorRegressor
    chosen = getattr(model.kernel, kernel)
    chosen.SetInParent()
    for field, value in fields.items():
        setattr(chosen, field, value)
    for row in random.normal(size=(12, 3)):
        model.denseSupportVectors.vectors.add().values.extend(row)
    model.coefficients.alpha.extend(random.normal(size=12))
    model.rho = 0.3
    save(spec, name)


vectors("svr_rbf", "rbfKernel", gamma=0.5)
vectors("svr_poly", "polyKernel", degree=3, gamma=0.5, c=1.0)


# --- a pipeline: gaps, scales, categories, then trees ----------------------------------------------------

inputs = [("numbers", datatypes.Array(3)), ("town", datatypes.String()), ("code", datatypes.Double())]
pipe = PipelineClassifier(inputs, [0, 1], ["label", "chances"])

step = spec_of("imputer", inputs[:1], ("filled", datatypes.Array(3)))
step.imputer.imputedDoubleArray.vector.extend([1.0, -1.0, 0.5])
step.imputer.replaceDoubleValue = float("nan")
pipe.add_model(step)

step = spec_of("scaler", [("filled", datatypes.Array(3))], ("scaled", datatypes.Array(3)))
step.scaler.shiftValue.extend([-0.5, 0.25, 1.0])
step.scaler.scaleValue.extend([2.0, 0.1, 3.0])
pipe.add_model(step)

step = spec_of("oneHotEncoder", [("town", datatypes.String())], ("towns", datatypes.Array(3)))
step.oneHotEncoder.stringCategories.vector.extend(["Bern", "Köln", "Graz"])
step.oneHotEncoder.handleUnknown = 1
pipe.add_model(step)

step = spec_of("arrayFeatureExtractor", [("code", datatypes.Double())], ("codes", datatypes.Int64()))
step.arrayFeatureExtractor.extractIndex.append(0)
pipe.add_model(step)

keyed = datatypes.Dictionary(datatypes.Int64())
step = spec_of("oneHotEncoder", [("codes", datatypes.Int64())], ("codes", keyed))
step.oneHotEncoder.int64Categories.vector.extend([1, 4, 9])
step.oneHotEncoder.outputSparse = True
step.oneHotEncoder.handleUnknown = 1
pipe.add_model(step)

parts = [("scaled", datatypes.Array(3)), ("towns", datatypes.Array(3)), ("codes", keyed)]
pipe.add_model(create_feature_vectorizer(parts, "row", {"codes": 3})[0])

trees = TreeEnsembleClassifier([("row", datatypes.Array(9))], [0, 1], ["label", "chances"])
trees.set_default_prediction_value([0.0])
for number in range(4):
    for node in range(7):
        feature, split = int(random.integers(9)), 0.5
        trees.add_branch_node(number, node, feature, split, BRANCHES[0], 2 * node + 1, 2 * node + 2)
    for node in range(7, 15):
        trees.add_leaf_node(number, node, float(random.normal()))
trees.set_post_evaluation_transform("Regression_Logistic")
pipe.add_model(trees.spec)
save(pipe.spec, "pipeline")

step = spec_of("normalizer", [("x", datatypes.Array(3))], ("y", datatypes.Array(3)))
save(step, "normalizer")

trees = TreeEnsembleRegressor([("x", datatypes.Array(1))], [("y", datatypes.Double())])
trees.set_default_prediction_value([0.0])
trees.add_branch_node(0, 0, 0, 0.0, BRANCHES[0], 1, 0)
trees.add_leaf_node(0, 1, 1.0)
save(trees.spec, "circle")
