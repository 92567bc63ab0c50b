"""TargetEncoder.

Source: sklearn/preprocessing/_target_encoder.py (1.9).

- comparison of categories as the other encoders: text by equality, numbers in float64, NaN equals NaN.
- value: the category's encoding in float64; unseen (a missing value that was not fitted too) the target's
  mean.
- several classes: one column for each feature and class, the classes running fastest.
"""

from __future__ import annotations

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns
from converters.classical.families.encoding import Encoder, encoded


class TargetEncoder(Encoder):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, parts = self.estimator, []
        classes = len(source.classes_) if source.target_type_ == "multiclass" else 1
        means = np.broadcast_to(np.asarray(source.target_mean_, dtype=np.float64).ravel(), (classes,))
        for index, column in enumerate(columns(self.graph, X)):
            for place in range(classes):
                values = np.asarray(source.encodings_[index * classes + place], dtype=np.float64)
                known = source.categories_[index]
                parts.append(encoded(self.graph, column.value, known, values, float(means[place])))
        return Matrix(idioms.concat(self.graph, parts), len(parts))


EMITTERS = {"sklearn.preprocessing.TargetEncoder": TargetEncoder}
