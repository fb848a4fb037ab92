"""The target is the artifact that was validated, bundled and signed, and it may be put to work."""

from typing import ClassVar

from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Phase
from rollbackctl.core.target import refusals
from rollbackctl.gates import Case
from rollbackctl.spec.resolve import demands


class ArtifactIntegrity:
    """Guards the restore phase."""

    name: ClassVar[str] = "artifact_integrity"
    guards: ClassVar[Phase] = Phase.RESTORE
    always: ClassVar[bool] = True

    def judge(self, case: Case) -> Verdict:
        """Answer; an artifact that changed since the plan was made blocks."""
        target = case.facts.target
        found = next((fact for fact in case.observation.versions if fact.version == target.version), None)
        if found is None:
            reasons = [f"{target.version} is no longer in the manifest of {case.facts.repository}"]
            return Verdict(self.name, self.guards, Answer.BLOCK, f"{target.version} is gone", tuple(reasons))
        reasons = [
            f"{target.version} {reason}"
            for reason in refusals(found, demands(case.spec, case.policy, case.observation))
        ]
        if found.sha256 is not None and found.sha256 != target.sha256:
            reasons.insert(
                0,
                f"{target.source} has changed since the plan: sha256 {found.sha256[:12]}, planned {target.sha256[:12]}",
            )
        attestation = found.attestation
        bundle = "no bundle" if attestation is None or attestation.state == "unattested" else "bundle"
        hmac = f", HMAC {attestation.hmac}" if attestation and bundle == "bundle" else ""
        summary = f"{target.version} sha256 {target.sha256[:4]}…{target.sha256[-2:]}, {bundle}{hmac}"
        answer = Answer.BLOCK if reasons else Answer.PASS
        return Verdict(self.name, self.guards, answer, summary, tuple(reasons))
