"""Hand-made observations: a small incident whose every value a test may replace."""

from typing import Any

from rollbackctl.core.observation import (
    AttestationFact,
    ChecklistFact,
    JournalFact,
    Observation,
    ReportFact,
    RepositoryFact,
    RunFact,
    SignOff,
    VersionFact,
    WalkForwardFact,
)

REPOSITORY = "models/decision_engine"
INCIDENT = "INC-2025-1117"
PLAN_NAME = "inc-2025-1117-drift"


def digest(name: str) -> str:
    """Give a digest that is different for every name."""
    return name.encode().hex().rjust(64, "0")


def sign_off(**roles: str) -> dict[str, SignOff]:
    return {role: SignOff(status=status) for role, status in roles.items()}


def version(name: str, trained_at: str | None, /, **fields: Any) -> VersionFact:
    """Give a version that may be put to work."""
    walk_forward = WalkForwardFact(
        path=f"audit/ai_decision/walk_forward/{name}.json",
        digest=digest(f"wf{name}"),
        sign_off=sign_off(risk="approved", compliance="waived"),
    )
    return VersionFact(
        **{
            "version": name,
            "file": f"model-{name}.json",
            "sha256": digest(name),
            "canonical": digest(f"canonical{name}"),
            "trained_at": trained_at,
            "model_name": "decision-core",
            "attestation": AttestationFact(state="attested", hmac="not configured", folder=f"bundles/{name}"),
            "walk_forward": walk_forward,
        }
        | fields
    )


def versions() -> tuple[VersionFact, ...]:
    return (
        version("v8", "2025-10-19T00:00:00+00:00"),
        version("v9", "2025-10-29T00:00:00+00:00"),
        version("v10", "2025-11-08T00:00:00+00:00"),
    )


def report(name: str, time: str | None, /, **fields: Any) -> ReportFact:
    """Give a drift report that is an alert."""
    kind = fields.get("kind", "drift")
    return ReportFact(
        **{
            "path": f"audit/ai_decision/{kind}/{name}.json",
            "kind": kind,
            "time": time,
            "is_alert": True,
            "severity": "alert",
            "category": kind,
            "summary": name,
            "digest": digest(name),
        }
        | fields
    )


def run(name: str, /, **fields: Any) -> RunFact:
    """Give a finished run of the plan, from v10 to v9."""
    return RunFact(
        **{
            "run": name,
            "operation": "rollback",
            "status": "finished",
            "name": PLAN_NAME,
            "incident": INCIDENT,
            "spec_digest": digest("spec"),
            "plan": digest("plan"),
            "at": "2025-11-18T00:00:00+00:00",
            "by": "anna",
            "host": "host",
            "withdrawn": "v10",
            "target": "v9",
        }
        | fields
    )


def repository(**fields: Any) -> RepositoryFact:
    return RepositoryFact(
        **{
            "path": REPOSITORY,
            "active": "v10",
            "aliases": {"champion": "v10", "stable": "v9"},
            "files": {},
            "resolved": {},
            "listed": {},
        }
        | fields
    )


def observation(**fields: Any) -> Observation:
    return Observation(
        **{
            "scope": {},
            "policy": {},
            "policy_digest": "none",
            "repository": REPOSITORY,
            "versions": versions(),
            "repositories": (repository(),),
            "reports": (report("newest", "2025-11-17T22:45:30+00:00", model_version="v10"),),
            "journal": JournalFact(),
            "checklist": ChecklistFact(path="docs/compliance/ai_pipeline_signoff.md"),
            "quality_records": {},
        }
        | fields
    )
