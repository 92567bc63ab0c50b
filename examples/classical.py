"""A scikit-learn pipeline, trained on a data set that scikit-learn ships, pickled and converted."""

from __future__ import annotations

from pathlib import Path

import zoo


def run(cache: Path, folder: Path) -> zoo.VerifiedModel:
    """Train, pickle, convert the pickle, and classify some wines with ONNX Runtime."""
    import joblib
    import numpy as np
    from sklearn.datasets import load_wine
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    print("wine: a scikit-learn pipeline from its pickle")
    wine = load_wine(as_frame=True)
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(50, random_state=0))
    pipeline.fit(wine.data, wine.target)
    joblib.dump(pipeline, folder / "wine.joblib")
    model = zoo.convert(folder / "wine.joblib", folder / "wine.onnx")
    rows = wine.data.sample(5, random_state=1)
    columns = {name: rows[[name]].to_numpy() for name in rows.columns}
    labels = zoo.load(model.path)(columns)["label"]
    agreed = int(np.sum(labels.ravel() == pipeline.predict(rows)))
    print(f"  ONNX Runtime: {labels.ravel().tolist()}   scikit-learn agrees on {agreed} of {len(rows)}")
    return model
