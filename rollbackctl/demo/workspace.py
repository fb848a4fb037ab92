"""Building the demo's workspace: five versions trained, the newest serving, and then the market changes."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.audit import save_drift_report
from bot_core.ai.bundle import generate_model_artifact_bundle
from bot_core.ai.data_monitoring import (
    DataCompletenessWatcher,
    DriftAlertPayload,
    FeatureBoundsValidator,
    export_drift_alert_report,
)
from bot_core.ai.dataset import load_dataset
from bot_core.ai.feature_drift import measure_feature_drift
from bot_core.ai.manager import AIManager
from bot_core.ai.repository import ModelRepository
from bot_core.ai.scheduler import RetrainingScheduler
from bot_core.ai.signoff import update_sign_off_file
from bot_core.ai.training import TrainingSpec, publish_trained_model, train_model
from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.strict_json import encode_json
from bot_core.runtime.journal import JsonlTradingDecisionJournal, TradingDecisionEvent
from rollbackctl.demo import texts
from rollbackctl.demo.market import FEATURES, TARGET, TIME, Bar, simulate, to_csv

REPOSITORY = "models/decision_engine"
DEPLOYED = "var/models/decision_engine"
MODEL_DIR = "var/models"
AUDIT = "audit/ai_decision"
MODEL = "decision-core"
INCIDENT = "INC-DEMO-1"
PLAN, MEASURED_PLAN = "plans/inc-demo-1.yaml", "plans/inc-demo-1-measured.yaml"
RISK, COMPLIANCE = "J. Kowal", "M. Zielinska"
_KEY, _KEY_ID = b"a key that everybody may know", "demo"
_LIVE = "data/market/live.csv"
_WINDOW = timedelta(days=30)  # of rows that a version is trained on
_STRESS = timedelta(hours=18)  # how long the market has been another one
_PSI_LIMIT = 0.25  # the band that is commonly read as a significant shift


@frozen
class Version:
    """A version of the model.

    Attributes:
        name: In the manifest.
        backend: The estimator.
        age: How long ago it was trained.
        aliases: Names that lead to it.
        is_signed: Whether both roles have signed its walk-forward report.
    """

    name: str
    backend: str
    age: timedelta
    aliases: tuple[str, ...] = ()
    is_signed: bool = True


VERSIONS = (
    Version("v1", "ridge", timedelta(days=46), ("baseline",)),
    Version("v2", "gradient_boosting", timedelta(days=36)),
    Version("v3", "ridge", timedelta(days=26), ("stable",)),
    Version("v4", "hist_gradient_boosting", timedelta(days=16), is_signed=False),
    Version("v5", "gradient_boosting", timedelta(days=6), ("champion", "latest")),
)
_PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "ridge": {"alpha": 1.0},
    "gradient_boosting": {"n_estimators": 40, "max_depth": 3, "subsample": 0.7},
    "hist_gradient_boosting": {"max_iter": 30, "max_leaf_nodes": 15},
}


def build(root: Path, now: datetime, tell: Callable[[str], None], *, seed: int = 7) -> None:
    """Make the workspace and let the incident happen in it; its rollback plans are `PLAN` and `MEASURED_PLAN`.

    Args:
        root: An empty folder.
        now: The end of the story; the models were trained in the weeks before.
        tell: Is told what happens.
        seed: Of the market; the same one and the same `now` give the same models.
    """
    end = now.replace(minute=0, second=0, microsecond=0)
    stress_from = end - _STRESS
    start = end - max(version.age for version in VERSIONS) - _WINDOW
    bars = list(simulate(start, (end - start).days, seed=seed, stress_from=stress_from))
    tell(f"market     {len(bars)} bars since {start:%Y-%m-%d}; from {stress_from:%Y-%m-%d %H:%M} on it is another one")
    _write_texts(root, now)
    repository = ModelRepository(root / REPOSITORY)
    for version in VERSIONS:
        artifact = _train(root, repository, version, end - version.age, bars)
        error, side = (artifact.metrics[f"test_{measure}"] for measure in ("mae", "directional_accuracy"))
        tell(
            f"trained    {version.name}   {version.backend:<22} error {error:.2f} bps, right side {side:.0%}"
            + ("" if version.is_signed else "   not signed by Compliance")
        )
    _serve(root, repository)
    live = [bar for bar in bars if bar.time >= stress_from]
    tell(f"serving    {VERSIONS[-1].name} as {MODEL}; its decisions: {_decide(root, live)}")
    artifact = repository.load_model(VERSIONS[-1].name)
    tell("monitor    " + _monitor(root, artifact, _rows(bars, end - VERSIONS[-1].age), live, now))
    _write(root, _LIVE, to_csv(live))
    for plan, text in ((PLAN, texts.PLAN), (MEASURED_PLAN, texts.MEASURED_PLAN)):
        _write(root, plan, text.format(incident=INCIDENT, window=_LIVE))


def _write(root: Path, path: str, content: str | bytes) -> Path:
    file = root / path
    make_folder(file.parent)
    write_atomic(file, content if isinstance(content, bytes) else content.encode())
    return file


def _write_texts(root: Path, now: datetime) -> None:
    """What people have written, and what the engine needs to evaluate a candidate."""
    told = {"incident": INCIDENT, "version": VERSIONS[-1].name, "risk": RISK, "day": f"{now:%Y-%m-%d}"}
    _write(root, "config/auto_trader.yaml", texts.AUTO_TRADER)
    _write(root, "config/demo-signing.key", _KEY)
    _write(root, "config/rollbackctl.yaml", f"hmac_keys:\n  {_KEY_ID}: {{file: config/demo-signing.key}}\n")
    _write(root, "docs/compliance/ai_pipeline_signoff.md", texts.CHECKLIST.format(**told))
    _write(root, f"{AUDIT}/incident_journal.md", texts.INCIDENT_JOURNAL)
    for name, value in texts.PAPER.items():
        _write(root, f"data/decision_engine/paper/{name}.json", encode_json(value, newline=True))


def _rows(bars: Sequence[Bar], trained_at: datetime) -> list[Bar]:
    """What a version was trained on: the days before its training."""
    return [bar for bar in bars if trained_at - _WINDOW <= bar.time < trained_at]


def _train(
    root: Path, repository: ModelRepository, version: Version, trained_at: datetime, bars: Sequence[Bar]
) -> ModelArtifact:
    """Train, publish and sign one version, as the pipeline does."""
    table = _write(root, f"data/market/training-{version.name}.csv", to_csv(_rows(bars, trained_at)))
    dataset = load_dataset(table, features=FEATURES, target=TARGET, time_column=TIME, categories=("symbol",))
    spec = TrainingSpec(version.backend, MODEL, version.name, parameters=_PARAMETERS[version.backend], seed=1)
    trained = train_model(dataset, spec, trained_at=trained_at)
    published = publish_trained_model(
        trained, repository, audit_root=root / AUDIT, aliases=version.aliases, activate=True
    )
    generate_model_artifact_bundle(
        trained.artifact,
        root / AUDIT / "models" / MODEL / f"{trained_at:%Y%m%dT%H%M%SZ}",
        signing_key=_KEY,
        signing_key_id=_KEY_ID,
        signed_at=trained_at,
    )
    signers = {"risk": RISK, "compliance": COMPLIANCE} if version.is_signed else {"risk": RISK}
    for role, person in signers.items():
        _sign(root, published.walk_forward, role, "approved", person, trained_at + timedelta(hours=5))
    return trained.artifact


def _sign(root: Path, report: Path, role: str, status: str, person: str, now: datetime) -> None:
    update_sign_off_file(
        root,
        report.relative_to(root).as_posix(),
        role=role,
        status=status,
        signed_by=person,
        notes=None,
        roles=("risk", "compliance"),
        now=now,
        recorded_by={},
    )


def _serve(root: Path, repository: ModelRepository) -> None:
    """Deploy the newest version, and let it score."""
    newest = VERSIONS[-1]
    artifact = repository.load_model(newest.name)
    copies = ModelRepository(root / DEPLOYED)
    copies.publish(artifact, version=newest.name, filename=f"{MODEL}.json", saved_at=artifact.trained_at)
    manager = AIManager(model_dir=root / MODEL_DIR, audit_root=root / AUDIT)
    manager.load_decision_artifact(MODEL, f"{MODEL}.json", repository_root=root / DEPLOYED, set_default=True)
    scheduler = RetrainingScheduler(timedelta(hours=24), persistence_path=root / AUDIT / "scheduler.json")
    scheduler.mark_executed(artifact.trained_at)


def _decide(root: Path, bars: Sequence[Bar]) -> str:
    """Run the decision loop over the live bars, in a process of its own; return what it says at its end."""
    lines = b"".join(
        json.dumps(
            {
                "id": f"{bar.symbol}-{bar.time:%Y%m%d%H}",
                "strategy": "trend_follow",
                "action": "enter",
                "risk_profile": "balanced",
                "symbol": bar.symbol,
                "notional": 1000.0,
                "expected_return_bps": 8.0,
                "expected_probability": 0.6,
                "metadata": {"model_features": bar.features},
            }
        ).encode()
        + b"\n"
        for bar in bars
    )
    candidates = _write(root, "data/decision_engine/candidates.jsonl", lines)
    command = [sys.executable, "-m", "bot_core.decision.loop", str(candidates.relative_to(root))]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BotCoreError(f"the decision loop failed: {done.stderr}")
    return done.stderr.strip().removeprefix("ended: ")


def _monitor(root: Path, artifact: ModelArtifact, known: Sequence[Bar], live: Sequence[Bar], now: datetime) -> str:
    """Look at the live features as the engine's monitors do; return what they found."""
    score = _measure_drift(root, known, live, now)
    version = str(artifact.metadata["model_version"])
    payload = DriftAlertPayload(MODEL, score, _PSI_LIMIT, len(live), model_version=version)
    alert = export_drift_alert_report(payload, audit_root=root / AUDIT)
    _sign(root, alert, "risk", "rejected", RISK, now)
    reports = {"ai_drift_report": alert, "ai_data_quality_report": _look_at_quality(root, artifact, live)}
    journal = JsonlTradingDecisionJournal(root / "logs/decision_journal")
    for event, report in reports.items():
        journal.record(
            TradingDecisionEvent(
                event_type=event,
                timestamp=now,
                environment="paper-trading",
                portfolio="paper-01",
                risk_profile="balanced",
                metadata={"model_name": MODEL, "report_path": report.relative_to(root).as_posix()},
            )
        )
    return f"data drift of {MODEL} {version}: PSI {score:.2f}, limit {_PSI_LIMIT}; Risk rejects it: roll back"


def _measure_drift(root: Path, known: Sequence[Bar], live: Sequence[Bar], now: datetime) -> float:
    """Write the pipeline's drift report; return the largest population stability index of a feature."""
    before, after = ({name: [bar.features[name] for bar in bars] for name in FEATURES} for bars in (known, live))
    metrics = measure_feature_drift(before, after)
    save_drift_report(
        metrics,
        job_name=MODEL,
        audit_root=root / AUDIT,
        generated_at=now,
        baseline_window=_window(known),
        production_window=_window(live),
        detector="psi",
        threshold=_PSI_LIMIT,
    )
    return float(str(metrics["feature_drift"]["psi"]))


def _window(bars: Sequence[Bar]) -> dict[str, object]:
    return {"rows": len(bars), "start": bars[0].time.isoformat(), "end": bars[-1].time.isoformat()}


def _look_at_quality(root: Path, artifact: ModelArtifact, live: Sequence[Bar]) -> Path:
    """Have both watchers look at the wildest bar, one of them when a feature is missing; return the bounds' report."""
    bounds, completeness = FeatureBoundsValidator(), DataCompletenessWatcher()
    bounds.configure_from_metadata(artifact.metadata)
    completeness.configure(FEATURES)
    worst = max(live, key=lambda bar: bar.features["atr_pct"])
    context = {"model": MODEL, "symbol": worst.symbol}
    incomplete = {name: value for name, value in worst.features.items() if name != "spread_bps"}
    completeness.observe(incomplete, context=context, audit_root=root / AUDIT)
    report = bounds.observe(worst.features, context=context, audit_root=root / AUDIT)
    return Path(str(report["report_path"]))
