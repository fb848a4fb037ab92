from typing import Any

import pytest

from rollbackctl.core.facts import Pinned
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.observation import AttestationFact, WalkForwardFact
from rollbackctl.gates import Case
from rollbackctl.gates.artifact_integrity import ArtifactIntegrity
from rollbackctl.spec.document import HmacKey, Policy
from tests.examples import make_facts, make_spec
from tests.observations import digest, observation, run, sign_off, version, versions

V9 = Pinned("v9", "models/decision_engine/model-v9.json", digest("v9"), digest("canonicalv9"))
WALK_FORWARD = "audit/ai_decision/walk_forward/v9.json"
SUMMARY = f"v9 sha256 {V9.sha256[:4]}…{V9.sha256[-2:]}"
REQUIRED = Policy(bundle="required")
KEYED = Policy(hmac_keys={"demo": HmacKey(env="KEY")})


def judge(policy: Policy | None = None, *, model: Any = None, runs: Any = (), **fields: Any) -> Verdict:
    """Judge v9 with these fields changed."""
    seen = observation(versions=(version("v9", "2025-10-29T00:00:00+00:00", **fields), versions()[2]), runs=runs)
    spec = make_spec(model=model or {})
    return ArtifactIntegrity().judge(Case(spec, policy or Policy(), make_facts(target=V9), seen, {}))


def walk_forward(*problems: str, **roles: str) -> WalkForwardFact:
    return WalkForwardFact(path=WALK_FORWARD, digest=digest("wf"), problems=problems, sign_off=sign_off(**roles))


def bundle(state: Any, hmac: str = "valid", *problems: str) -> AttestationFact:
    return AttestationFact(state=state, hmac=hmac, folder="audit/ai_decision/models/m/1", problems=problems)


@pytest.mark.parametrize(
    ("attestation", "shown"),
    [
        (bundle("attested", "valid"), "bundle, HMAC valid"),
        (bundle("attested", "not configured"), "bundle, HMAC not configured"),
        (bundle("unattested", "no signature"), "no bundle"),
        (None, "no bundle"),
    ],
)
def test_a_sound_target_passes_and_its_attestation_is_shown(attestation: AttestationFact | None, shown: str) -> None:
    verdict = judge(attestation=attestation)

    assert (verdict.answer, verdict.summary, verdict.reasons) == (Answer.PASS, f"{SUMMARY}, {shown}", ())


@pytest.mark.parametrize(
    ("policy", "fields", "reason"),
    [
        (None, {"quarantine": "INC-2025-1: bad labels"}, "v9 quarantined: INC-2025-1: bad labels"),
        (None, {"problems": ("metrics.test is missing",)}, "v9 metrics.test is missing"),
        (None, {"attestation": bundle("failed", "invalid", "x.json: checksum differs")}, "v9 x.json: checksum differs"),
        (REQUIRED, {"attestation": bundle("unattested")}, "v9 has no bundle, and the policy requires one"),
        (
            KEYED,
            {"attestation": bundle("attested", "no signature")},
            "v9 bundle audit/ai_decision/models/m/1 is signed with no key of the policy: no signature",
        ),
        (
            KEYED,
            {"attestation": bundle("attested", "unknown key demo-2024")},
            "v9 bundle audit/ai_decision/models/m/1 is signed with no key of the policy: unknown key demo-2024",
        ),
        (None, {"walk_forward": None}, "v9 no walk-forward report is linked to it"),
        (
            None,
            {"walk_forward": walk_forward("metrics differ", risk="approved", compliance="waived")},
            f"v9 {WALK_FORWARD}: metrics differ",
        ),
        (
            None,
            {"walk_forward": walk_forward(risk="rejected", compliance="waived")},
            f"v9 {WALK_FORWARD}: risk rejected",
        ),
        (None, {"walk_forward": walk_forward(risk="approved")}, f"v9 {WALK_FORWARD}: compliance missing"),
        (
            None,
            {"walk_forward": walk_forward(risk="approved", compliance="approved", model_validation="pending")},
            f"v9 {WALK_FORWARD}: model_validation pending",
        ),
        (
            Policy(roles=("risk", "compliance", "security")),
            {"walk_forward": walk_forward(risk="approved", compliance="approved")},
            f"v9 {WALK_FORWARD}: security missing",
        ),
        (
            None,
            {"sha256": "f" * 64},
            f"models/decision_engine/model-v9.json has changed since the plan: "
            f"sha256 ffffffffffff, planned {V9.sha256[:12]}",
        ),
    ],
)
def test_what_is_wrong_with_the_target_blocks_and_is_named(
    policy: Policy | None, fields: dict[str, Any], reason: str
) -> None:
    verdict = judge(policy, **fields)

    assert (verdict.answer, verdict.reasons) == (Answer.BLOCK, (reason,))


def test_a_target_that_the_rollback_plan_excludes_blocks() -> None:
    verdict = judge(model={"target": {"select": "last-stable", "exclude": ["v9"]}})

    assert verdict.reasons == ("v9 excluded by the rollback plan",)


def test_a_target_that_failed_a_check_of_this_incident_blocks() -> None:
    failed = run("r1", failed_check=True, status="abandoned")
    elsewhere = failed.model_copy(update={"incident": "INC-2025-1"})

    assert judge(runs=(failed,)).reasons == ("v9 failed a check of this incident",)
    assert judge(runs=(elsewhere,)).answer is Answer.PASS


def test_a_change_since_the_plan_is_named_before_everything_else() -> None:
    verdict = judge(sha256="f" * 64, problems=("it does not load",), walk_forward=None)

    assert [reason.split()[0] for reason in verdict.reasons] == ["models/decision_engine/model-v9.json", "v9", "v9"]


def test_a_target_that_is_no_longer_in_the_manifest_blocks() -> None:
    verdict = ArtifactIntegrity().judge(
        Case(make_spec(), Policy(), make_facts(target=V9), observation(versions=versions()[2:]), {})
    )

    assert (verdict.answer, verdict.summary) == (Answer.BLOCK, "v9 is gone")
    assert verdict.reasons == ("v9 is no longer in the manifest of models/decision_engine",)
