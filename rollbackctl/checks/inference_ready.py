"""The stored copy of the target loads and can score."""

from typing import ClassVar

from bot_core.foundation.digest import sha256_hex
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.safe_file import read_inside
from rollbackctl.checks import Bench
from rollbackctl.core.gate import Outcome, Result


class InferenceReady:
    """`DecisionModelInference.is_ready` on the copy named by its digest."""

    name: ClassVar[str] = "inference_ready"
    section: ClassVar[str] = "inference_ready"
    always: ClassVar[bool] = True

    def run(self, bench: Bench) -> Outcome:
        """Load it; the bytes must have the planned digest."""
        from bot_core.ai.inference import DecisionModelInference  # what scores is loaded where something is scored
        from bot_core.ai.repository import ModelRepository

        target = bench.facts.target
        try:
            found = sha256_hex(read_inside(bench.root, bench.artifact))
            if found != target.sha256:
                return Outcome(
                    self.name, Result.FAIL, f"{bench.artifact} has sha256 {found[:12]}, not {target.sha256[:12]}"
                )
            inference = DecisionModelInference(ModelRepository(bench.root / bench.facts.repository))
            inference.load_weights(bench.root / bench.artifact)
        except BotCoreError as error:
            return Outcome(self.name, Result.FAIL, error.problem)
        result = Result.PASS if inference.is_ready else Result.FAIL
        return Outcome(self.name, result, f"{target.version} is {'ready' if inference.is_ready else 'not ready'}")
