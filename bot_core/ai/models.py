"""The artifact, its scores and its bundles under the name by which existing callers import them."""

from bot_core.ai.artifact import ModelArtifact, ModelMetrics, ModelScore
from bot_core.ai.bundle import (
    ModelArtifactBundle,
    ModelArtifactIntegrityError,
    generate_model_artifact_bundle,
    load_model_artifact_bundle,
)

__all__ = [
    "ModelArtifact",
    "ModelArtifactBundle",
    "ModelArtifactIntegrityError",
    "ModelMetrics",
    "ModelScore",
    "generate_model_artifact_bundle",
    "load_model_artifact_bundle",
]
