"""Releases of scikit-learn that have no environment of their own, and the one that answers as they did.

0.22 and 0.23 have no wheels for Python 3.9, the oldest that a worker runs on. Their models were fitted and
saved by them, and asked there and by 0.24: the answers were the same for all of `MEASURED`. Not so histogram
gradient boosting (0.22, 0.23) and support vector machines (0.22), which 0.24 cannot use.
"""

from __future__ import annotations

_SAME = """
compose._column_transformer: ColumnTransformer
dummy: DummyClassifier DummyRegressor
ensemble._bagging: BaggingClassifier
ensemble._forest: ExtraTreesClassifier RandomForestClassifier RandomForestRegressor
ensemble._gb: GradientBoostingClassifier GradientBoostingRegressor
ensemble._gb_losses: BinomialDeviance LeastSquaresError MultinomialDeviance
ensemble._iforest: IsolationForest
ensemble._voting: VotingClassifier
ensemble._weight_boosting: AdaBoostClassifier
feature_extraction.text: TfidfTransformer TfidfVectorizer
impute._base: SimpleImputer
linear_model._base: LinearRegression
linear_model._logistic: LogisticRegression
linear_model._sgd_fast: Hinge
linear_model._stochastic_gradient: SGDClassifier
naive_bayes: GaussianNB
neighbors._classification: KNeighborsClassifier
neighbors._dist_metrics: EuclideanDistance
neighbors._kd_tree: KDTree
neighbors._regression: KNeighborsRegressor
neural_network._multilayer_perceptron: MLPClassifier
neural_network._stochastic_optimizers: AdamOptimizer
pipeline: Pipeline
preprocessing._data: StandardScaler
preprocessing._encoders: OneHotEncoder
preprocessing._label: LabelBinarizer LabelEncoder
tree._classes: DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor
tree._tree: Tree
utils: Bunch
"""


def _named(text: str) -> frozenset[str]:
    lines = (line.partition(": ") for line in text.split("\n") if line)
    return frozenset(f"sklearn.{module}.{name}" for module, _, names in lines for name in names.split())


MEASURED: dict[str, tuple[str, frozenset[str]]] = {
    "0.22": ("0.24", _named(_SAME)),
    "0.23": ("0.24", _named(f"{_SAME}svm._classes: SVC SVR")),
}
"""Release → the release whose environment loads it, and the classes of which that was measured."""
