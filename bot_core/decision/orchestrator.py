"""The decision orchestrator: which models are attached to it, and which thresholds hold for whom."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from bot_core.config.models import DecisionEngineConfig, DecisionOrchestratorThresholds

if TYPE_CHECKING:
    from bot_core.ai.inference import DecisionModelInference

DEFAULT_INFERENCE_NAME = "__default__"


class DecisionOrchestrator:
    """Holds the models that score candidates, by name, one of them the default."""

    def __init__(self, config: DecisionEngineConfig, *, inference: "DecisionModelInference | None" = None) -> None:
        self._config = config
        self._inferences: dict[str, DecisionModelInference] = {}
        self._default: str | None = None
        self.attach_inference_service(inference)

    def attach_inference_service(self, inference: "DecisionModelInference | None") -> None:
        """Make `inference` the unnamed default; None takes the unnamed one away."""
        if inference is None:
            self.detach_named_inference(DEFAULT_INFERENCE_NAME)
        else:
            self.attach_named_inference(DEFAULT_INFERENCE_NAME, inference, set_default=True)

    def attach_named_inference(
        self, name: str, inference: "DecisionModelInference", *, set_default: bool = False
    ) -> None:
        """Attach a model under a name, in place of an earlier one; it is the default only where that is asked for."""
        self._inferences[name] = inference
        if set_default:
            self._default = name

    def detach_named_inference(self, name: str) -> None:
        """Take a model away; with the default one goes the default. An unknown name is fine."""
        self._inferences.pop(name, None)
        if self._default == name:
            self._default = None

    def inference(self, name: str | None = None) -> "DecisionModelInference | None":
        """The model attached under `name`, or the default one; None when there is none."""
        wanted = self._default if name is None else name
        return None if wanted is None else self._inferences.get(wanted)

    def thresholds_for_profile(self, profile: str) -> DecisionOrchestratorThresholds:
        """The thresholds of a risk profile: its override, else those for everybody."""
        return self._config.profile_overrides.get(profile, self._config.orchestrator)

    def threshold_snapshot(self, thresholds: DecisionOrchestratorThresholds) -> Mapping[str, float | None]:
        """The thresholds by name; None for a limit that is not set."""
        return asdict(thresholds)
