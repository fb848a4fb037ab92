"""Hand-made measurements of data drift."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rollbackctl.core.data_drift import DataDriftFact, MovedFeature, VersionDrift, WindowFact

WINDOW = "data/features.parquet"
SECTION = {"window": {"path": WINDOW, "time_column": "at"}}


def moved(feature: str = "momentum", *, certain: bool = True, **measures: float) -> MovedFeature:
    """A feature; without measures one that has hardly moved."""
    found = {"psi": 0.01, "ks": 0.02, "missing": 0.0} | measures
    drifted = certain and found["psi"] >= 0.1
    return MovedFeature(feature=feature, measures=found, values=5000, certain=certain, drifted=drifted)


def measured(version: str, *features: MovedFeature, **fields: Any) -> VersionDrift:
    """A version, measured."""
    inputs = {f"baselines/{version}.json": version.encode().hex().rjust(64, "0")}
    return VersionDrift(
        **{"version": version, "source": "baseline of its training", "features": features or (moved(),)}
        | {"inputs": inputs}
        | fields
    )


def measurement(*versions: VersionDrift, rows: int = 5000, digest: str = "d" * 64) -> DataDriftFact:
    """A window of 5,000 rows, and what was found of some versions."""
    return DataDriftFact(window=WindowFact(path=WINDOW, rows=rows, files=1, digest=digest), versions=versions)


def rows_like(artifact: Path, seed: int) -> dict[str, Any]:
    """A thousand rows that look like those an artifact was trained on, by its scalers."""
    random = np.random.default_rng(seed)
    scalers = json.loads(artifact.read_bytes())["feature_scalers"]
    return {name: random.normal(scaler["mean"], scaler["stdev"], 1000) for name, scaler in scalers.items()}
