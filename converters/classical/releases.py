"""What earlier releases of scikit-learn keep under another name, or not at all.

The families are written for the newest release. Each file is loaded by the release that saved it, so
here are the differences, and the release from which a difference is gone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Sequence

from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np


NEWEST = (1, 9)
"""The release that the families are written for."""


@contextmanager
def explained() -> Iterator[None]:
    """Make a missing attribute a refusal where an earlier release runs: its state is not known in full.

    Raises `UnsupportedModelError`.
    """
    try:
        yield
    except AttributeError as error:
        if release() >= NEWEST:
            raise
        raise UnsupportedModelError(
            f"scikit-learn {'.'.join(map(str, release()))} keeps a part of this model otherwise: {error}",
            hint=f"Fit it again with scikit-learn {'.'.join(map(str, NEWEST))}.",
        ) from error


def release() -> tuple[int, int]:
    """The scikit-learn that runs, as (major, minor)."""
    import sklearn

    major, minor = sklearn.__version__.split(".")[:2]
    return int(major), int(minor)


def class_shares(values: np.ndarray) -> np.ndarray:
    """The shares of the classes in leaves [leaves, classes] of a tree; before 1.4 leaves hold counts."""
    import numpy as np

    if release() >= (1, 4):
        return values
    totals = values.sum(axis=1)[:, np.newaxis]
    totals[totals == 0.0] = 1.0
    shares: np.ndarray = values / totals
    return shares


def node_depths(tree: Any) -> np.ndarray:
    """The number of nodes from the root to each node, both counted (kept by isolation forests since 1.3)."""
    import numpy as np

    depths = np.ones(tree.node_count)
    for node in range(tree.node_count):  # a node comes before its children
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depths[child] = depths[node] + 1
    return depths


def path_lengths(forest: Any, index: int) -> np.ndarray:
    """What each node of a tree of an isolation forest adds to the depth of a row, before ``- 1``."""
    import numpy as np
    from sklearn.ensemble._iforest import _average_path_length

    if hasattr(forest, "_decision_path_lengths"):
        kept = forest._decision_path_lengths[index] + forest._average_path_length_per_tree[index]
        return np.asarray(kept)
    tree = forest.estimators_[index].tree_
    return np.asarray(node_depths(tree) + _average_path_length(tree.n_node_samples))


def link_name(loss: Any) -> str:
    """The link of the loss of histogram boosting; losses before 1.1 have no link object."""
    if hasattr(loss, "link"):
        return type(loss.link).__name__
    old = {"LeastSquares": "IdentityLink", "LeastAbsoluteDeviation": "IdentityLink", "Poisson": "LogLink"}
    return old.get(type(loss).__name__, type(loss).__name__)


def variances(bayes: Any) -> np.ndarray:
    """The variances of a GaussianNB, [classes, features]; `sigma_` before 1.0."""
    import numpy as np

    return np.asarray(bayes.var_ if hasattr(bayes, "var_") else bayes.sigma_)


def fitted_dtype(imputer: Any) -> np.dtype[Any]:
    """The dtype that a SimpleImputer was fitted on; before 1.0 only what it fills in tells it."""
    found: np.dtype[Any] = getattr(imputer, "_fit_dtype", imputer.statistics_.dtype)
    return found


def one_hot_widths(encoder: Any) -> list[int]:
    """The number of columns that a OneHotEncoder gives for each feature (kept since 1.1)."""
    kept = getattr(encoder, "_n_features_outs", None)
    if kept is not None:
        return [int(width) for width in kept]
    dropped = dropped_categories(encoder)
    missing = [0 if dropped is None or one is None else 1 for one in dropped or encoder.categories_]
    return [len(known) - less for known, less in zip(encoder.categories_, missing)]


def dropped_categories(encoder: Any) -> Any:
    """The index of the category that is dropped of each feature, None where none is."""
    found = getattr(encoder, "_drop_idx_after_grouping", encoder.drop_idx_)
    return None if found is None else list(found)


def gives_sparse(encoder: Any) -> bool:
    """Whether an encoder gives a sparse matrix; `sparse_output` was `sparse` before 1.2."""
    return bool(encoder.sparse_output if hasattr(encoder, "sparse_output") else encoder.sparse)


def calibrated(fold: Any) -> Any:
    """The estimator that a fold of CalibratedClassifierCV calibrates; `base_estimator` before 1.2."""
    return fold.estimator if hasattr(fold, "estimator") else fold.base_estimator


def stacked_width(stacking: Any, method: str, index: int) -> int:
    """The columns that a member of a stacking ensemble gives it (kept since 1.1)."""
    if hasattr(stacking, "_n_feature_outs"):
        return int(stacking._n_feature_outs[index])
    classes = len(getattr(stacking, "classes_", ()))
    return classes if method == "predict_proba" or (method == "decision_function" and classes > 2) else 1


def degrees(polynomial: Any) -> tuple[int, int]:
    """The lowest and highest degree of PolynomialFeatures; only the highest could be given before 1.0."""
    if not hasattr(polynomial, "_max_degree"):
        return 0, int(polynomial.degree)
    return int(polynomial._min_degree), int(polynomial._max_degree)


def kernel_gamma(pca: Any) -> float:
    """The gamma that a KernelPCA uses; before 1.3 the parameter, None for one over the features."""
    gamma = pca.gamma_ if hasattr(pca, "gamma_") else pca.gamma
    return float(1.0 / pca.X_fit_.shape[1] if gamma is None else gamma)


def has_parameter(estimator: Any, name: str) -> bool:
    """Whether this release's class knows a parameter; an attribute may be left over from another's."""
    return name in estimator._get_param_names()


def column_names(model: Any) -> Sequence[str]:
    """The columns of the frame that a model was fitted on; before 1.0 only a ColumnTransformer keeps them."""
    names = getattr(model, "feature_names_in_", None)
    if names is None and release() < (1, 0):
        steps = getattr(model, "steps", None)
        names = column_names(steps[0][1]) if steps else getattr(model, "_feature_names_in", None)
    return () if names is None else tuple(map(str, names))
