"""What unit tests of kinds, gates and checks start from: the incident of `ws_public` as values."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from bot_core.foundation.digest import canonical_digest, sha256_hex
from rollbackctl.core.facts import Facts, Pinned
from rollbackctl.core.observation import RepositoryFact
from rollbackctl.core.plan import Desired
from rollbackctl.core.state import State, resolve
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec

FIXTURE = Path(__file__).parent / "fixtures" / "ws_public"
REPOSITORY = "models/decision_engine"
DEPLOYED = "var/models/decision_engine"
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
RUN = "20251118T080000Z-inc-2025-1117"
VALUES = {
    "id": RUN,
    "time": "2025-11-18T08:00:00+00:00",
    "actor": "ops@host-1",
    "signers": "risk: J. Kowal",
    "engine": "none seen",
}

K = TypeVar("K")


def make_spec(**sections: Any) -> Spec:
    """Return a rollback plan of the incident, with these sections under `spec`."""
    value = {
        "apiVersion": "rollbackctl/v1alpha1",
        "kind": "RollbackPlan",
        "metadata": {"name": "inc-2025-1117-drift", "incident": "INC-2025-1117"},
        "spec": {"model": {}, **sections},
    }
    return Spec.model_validate_json(json.dumps(value))


@cache
def pin(version: str) -> Pinned:
    """Return a version of the fixture with its digests."""
    source = f"{REPOSITORY}/model-{version}.json"
    data = (FIXTURE / source).read_bytes()
    return Pinned(version, source, sha256_hex(data), canonical_digest(json.loads(data)))


def make_repository(
    path: str, files: dict[str, str], holds: dict[str, str], *, active: str | None, aliases: dict[str, str]
) -> RepositoryFact:
    """Return a manifest as a fact.

    Args:
        path: Its folder.
        files: The file of each version.
        holds: The canonical digest of what each version's file holds.
        active: The active version.
        aliases: What each alias leads to.
    """
    listed = {version: tuple(sorted(a for a, v in aliases.items() if v == version)) for version in files}
    return RepositoryFact(
        path=path,
        active=active,
        aliases=aliases,
        files=files,
        resolved={**dict.fromkeys(files), **holds},
        listed=listed,
    )


def make_facts(**changes: Any) -> Facts:
    """Return what the plan of the incident decides: v10 is withdrawn, v9 is the target."""
    v9, v10 = pin("v9"), pin("v10")
    own = make_repository(
        REPOSITORY,
        {"v9": "model-v9.json", "v10": "model-v10.json"},
        {"v9": v9.canonical, "v10": v10.canonical},
        active="v10",
        aliases={"baseline": "v5", "champion": "v10", "latest": "v10", "stable": "v9"},
    )
    deployed = make_repository(
        DEPLOYED, {"v10": "decision-core.json"}, {"v10": v10.canonical}, active="v10", aliases={"deployed": "v10"}
    )
    facts = Facts(
        incident="INC-2025-1117",
        trigger="audit/ai_decision/drift/20251117T224530Z_drift_alert.json",
        withdrawn=v10,
        target=v9,
        serve_as=("decision-core", "rollback"),
        pinned=(
            "audit/ai_decision/data_quality/20251117T221000Z_completeness.json",
            "audit/ai_decision/drift/20251117T224530Z_drift_alert.json",
        ),
        cutoff="2025-11-18T02:00:00+00:00",
        repository=REPOSITORY,
        repositories=(own, deployed),
    )
    return replace(facts, **changes)


def bind(root: Path, spec: Spec | None = None, *, run: str | None = RUN, now: datetime = NOW) -> Binding:
    """Tie a kind to a workspace, within a run (None: outside one); it can fetch v9 and v10."""
    blobs = {pin(version).sha256: (FIXTURE / pin(version).source).read_bytes() for version in ("v9", "v10")}
    values = {} if run is None else {"id": run, "plan": "0" * 64}
    return Binding(root=root, spec=spec or make_spec(), fetch=blobs.__getitem__, now=lambda: now, run=values)


def aims(wish: Desired, base: State | None) -> tuple[State | None, State | None]:
    """Return what a wish makes of a state: held, and at its end, with the run's values filled in."""
    return resolve(wish.hold(base), VALUES) if wish.hold else None, resolve(wish.after(base), VALUES)
