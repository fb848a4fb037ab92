"""One engine process on a model folder: it loads models, scores with them and obeys `serving.json`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bot_core.ai.artifact import ModelScore
from bot_core.ai.engine import Engine, not_loaded
from bot_core.ai.inference import DecisionModelInference
from bot_core.ai.repository import ModelRepository
from bot_core.ai.serving import ServedModel, Serving, change_serving, store_artifact
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import parse_object
from bot_core.runtime.journal import TradingDecisionJournal, log_model_change_event

if TYPE_CHECKING:
    from bot_core.ai.walk_forward_validation import FeatureDataset

_JOURNAL_CONTEXT = {"environment": "ai-monitoring", "portfolio": "ai-manager", "risk_profile": "ai-monitoring"}


class Orchestrator(Protocol):
    """What a decision orchestrator must be able to do to be given models."""

    def attach_named_inference(
        self, name: str, inference: DecisionModelInference, *, set_default: bool = False
    ) -> None:
        """Use `inference` under `name`."""

    def detach_named_inference(self, name: str) -> None:
        """Use nothing under `name` any more."""


class AIManager:
    """The models of one folder, as this process uses them.

    What serves is in `model_dir/serving.json`, for every process on that folder alike. Each score looks at that file
    again, under a lock that a change of it takes alone: once a change has returned, no engine makes a score by the
    state before. An inference that this class gives away obeys in the same way, whoever calls it.

    Attributes:
        ai_threshold_bps: For the engine's own rules.
        model_dir: The folder of `serving.json`.
        engine: This process on that folder; its permission covers several scores, and what is written of them.
    """

    def __init__(
        self,
        *,
        ai_threshold_bps: float = 5.0,
        model_dir: str | Path = "models",
        audit_root: str | Path | None = None,
        decision_journal: TradingDecisionJournal | None = None,
        decision_journal_context: Mapping[str, object] | None = None,
    ) -> None:
        """Begin; nothing is read or written yet.

        Args:
            ai_threshold_bps: Kept as an attribute for the engine's own rules; no score depends on it.
            model_dir: The folder of `serving.json`.
            audit_root: Folder of the reports; None: `audit/ai_decision` below the working folder.
            decision_journal: Where a change of model is recorded; None: nowhere.
            decision_journal_context: `environment`, `portfolio` and `risk_profile` of those records.
        """
        self.ai_threshold_bps = ai_threshold_bps
        self.model_dir = Path(model_dir)
        self._audit_root: Path | None = None
        self.set_audit_root(audit_root)
        self._journal = decision_journal
        self._journal_context = {**_JOURNAL_CONTEXT, **(decision_journal_context or {})}
        self._repository: ModelRepository | None = None
        self._orchestrator: Orchestrator | None = None
        self._given: set[str] = set()
        self.engine = Engine(self.model_dir, self._give_all)

    def load_decision_artifact(
        self, name: str, artifact: str | Path, *, repository_root: str | Path | None = None, set_default: bool = False
    ) -> DecisionModelInference:
        """Load an artifact to serve under `name` in every process on this folder.

        Its bytes are kept in `model_dir/artifacts`, so that nothing depends on where it came from. After a crash the
        name serves what it did before, or the new artifact. Whether serving is attached does not change.

        Args:
            name: The name to serve under.
            artifact: A path, looked up from the working folder and then in the repository; or a version or alias of it.
            repository_root: The repository; None: the one configured, else the artifact's own folder.
            set_default: Serve it also where no name is asked for.

        Raises:
            FileFormatError: The artifact is invalid or cannot score.
            UnresolvedReferenceError: It cannot be found, or is quarantined.
        """
        if repository_root is not None:
            repository = ModelRepository(repository_root)
        else:
            repository = self._repository or ModelRepository(Path(artifact).parent)
        path = repository.resolve(str(artifact))
        data = read_inside(path.parent, path.name)
        raw = parse_object(data, str(path))
        if path.parent != repository.base_path:
            ModelRepository(path.parent).load(raw)  # its own folder may hold it in quarantine
        DecisionModelInference(repository).load_weights(raw, source=str(path))
        metadata = raw["metadata"]
        version = metadata.get("model_version") if isinstance(metadata, dict) else None
        model = ServedModel(str(version) if version else None, store_artifact(self.model_dir, data), str(artifact))
        self._serve(name, model, set_default=set_default)
        return self.engine.inference(name)

    def attach_decision_orchestrator(self, orchestrator: Orchestrator, *, default_model: str | None = None) -> None:
        """Let the models of this folder score again, in every process, and give them all to `orchestrator`.

        After a crash serving is attached or as before. While somebody holds serving (`held_by` in serving.json), it
        stays detached: an engine that starts meanwhile scores as soon as the hold is released.

        Args:
            orchestrator: Gets each model by name, now and whenever this process sees that others are loaded.
            default_model: Becomes the default; None: the default stays.

        Raises:
            NotServingError: No model is loaded under the default's name; serving stays as it was.
            IntegrityError: The default's bytes are not those that were loaded; serving stays as it was.
        """

        def attached(serving: Serving) -> Serving:
            if serving.held_by is not None:
                return serving
            default = serving.default_model if default_model is None else default_model
            if default is not None:
                if default not in serving.models:
                    raise not_loaded(self.model_dir, default)
                self.engine.load(default, serving.models[default])
            if serving.attached and serving.default_model == default:
                return serving
            return serving.next(attached=True, default_model=default)

        serving = change_serving(self.model_dir, attached)
        self._orchestrator, self._given = orchestrator, set()
        self.engine.obey(serving, again=True)

    def detach_decision_orchestrator(self) -> None:
        """Stop every score of the models of this folder, in every process; when this returns, none is made any more.

        After a crash serving is detached or as before.
        """

        def detached(serving: Serving) -> Serving:
            return serving.next(attached=False) if serving.attached else serving

        serving = change_serving(self.model_dir, detached)
        self._give_to_orchestrator((), None)
        self._orchestrator = None
        if self.engine.has_obeyed:
            self.engine.obey(serving)

    def score_decision_features(self, features: Mapping[str, float], *, model_name: str | None = None) -> ModelScore:
        """What the model named, or the default one, expects; features left out are filled in and no report is written.

        Raises:
            NotServingError: Serving is detached, or no such model is loaded.
            IntegrityError: The bytes kept are not those that were loaded.
        """
        return self.engine.inference(model_name).score(features)

    def configure_decision_repository(self, base_path: str | Path) -> ModelRepository:
        """Look up artifacts in this repository where a call names none."""
        self._repository = ModelRepository(base_path)
        return self._repository

    def configure_model_repository(self, base_path: str | Path) -> ModelRepository:
        """The same as `configure_decision_repository`, under the name that other callers use."""
        return self.configure_decision_repository(base_path)

    def set_audit_root(self, audit_root: str | Path | None) -> None:
        """Read reports from this folder; None: from `audit/ai_decision` below the working folder."""
        self._audit_root = None if audit_root is None else Path(audit_root)

    def get_audit_root(self) -> Path | None:
        """The folder set for reports; None when it is the default one."""
        return self._audit_root

    def list_drift_report_paths(self, limit: int | None = None) -> list[Path]:
        """Paths of the drift reports, newest first."""
        from bot_core.ai.audit import list_audit_reports

        return list_audit_reports("drift", audit_root=self._audit_root, limit=limit)

    def list_data_quality_report_paths(self, limit: int | None = None) -> list[Path]:
        """Paths of the data-quality reports, newest first."""
        from bot_core.ai.audit import list_audit_reports

        return list_audit_reports("data_quality", audit_root=self._audit_root, limit=limit)

    def load_last_drift_report(self) -> Mapping[str, object] | None:
        """The newest drift report; None when there is none."""
        from bot_core.ai.audit import load_latest_drift_report

        return load_latest_drift_report(audit_root=self._audit_root)

    def load_last_data_quality_report(self) -> Mapping[str, object] | None:
        """The newest data-quality report; None when there is none."""
        from bot_core.ai.audit import load_latest_data_quality_report

        return load_latest_data_quality_report(audit_root=self._audit_root)

    def build_decision_engine_payload(
        self,
        *,
        strategy: str,
        action: str,
        risk_profile: str,
        symbol: str,
        notional: float,
        features: Mapping[str, float],
        model_name: str | None = None,
    ) -> Mapping[str, object]:
        """A candidate as the decision engine's input files hold it, with the score of `features`; see there for errors.

        Args:
            strategy: Who proposes it.
            action: What is proposed, for example `enter`.
            risk_profile: Whose limits it must keep.
            symbol: What is traded.
            notional: In the account's currency.
            features: By name; kept in `metadata.model_features`.
            model_name: As in `score_decision_features`.
        """
        with self.engine.permitted(model_name) as permitted:
            score = self.score_decision_features(features, model_name=model_name)
        return {
            "strategy": strategy,
            "action": action,
            "risk_profile": risk_profile,
            "symbol": symbol,
            "notional": notional,
            "expected_return_bps": score.expected_return_bps,
            "expected_probability": score.success_probability,
            "metadata": {"model_features": dict(features), "model_name": permitted.name},
        }

    def record_data_quality_issues(
        self,
        issues: Sequence[Mapping[str, object]] | Mapping[str, object],
        *,
        dataset: "FeatureDataset | None" = None,
        job_name: str | None = None,
        source: str | None = None,
        summary: Mapping[str, object] | None = None,
        tags: Sequence[str] | None = None,
        generated_at: datetime | None = None,
    ) -> Path | None:
        """Write the pipeline's data-quality report (`save_data_quality_report`); None where there is nothing to say."""
        from bot_core.ai.audit import save_data_quality_report

        if not issues and not summary:
            return None
        return save_data_quality_report(
            issues,
            job_name=job_name,
            dataset=dataset,
            audit_root=self._audit_root,
            generated_at=generated_at,
            source=source,
            summary=summary,
            tags=tags,
        )

    def detect_drift(
        self,
        baseline: Mapping[str, Sequence[float | None]],
        recent: Mapping[str, Sequence[float | None]],
        feature_cols: Iterable[str] | None = None,
        *,
        threshold: float = 0.35,
    ) -> Mapping[str, object]:
        """Measure how far features have moved, write the pipeline's drift report, and give it with its `report_path`.

        Args:
            baseline: Values by feature in the window that the model knows, shape (rows,).
            recent: Values by feature now, shape (rows,).
            feature_cols: Only these; None: every feature of the baseline.
            threshold: Population stability index in nats; see `measure_feature_drift`.
        """
        from bot_core.ai.audit import load_audit_report, save_drift_report
        from bot_core.ai.feature_drift import measure_feature_drift

        names = list(baseline if feature_cols is None else feature_cols)
        before, now = ({name: window[name] for name in names} for window in (baseline, recent))
        path = save_drift_report(
            measure_feature_drift(before, now, psi_threshold=threshold),
            audit_root=self._audit_root,
            baseline_window={"rows": max(map(len, before.values()), default=0)},
            production_window={"rows": max(map(len, now.values()), default=0)},
            detector="ai_manager.detect_drift",
            threshold=threshold,
        )
        return {**load_audit_report(path), "report_path": path.as_posix()}

    def _serve(self, name: str, model: ServedModel, *, set_default: bool) -> None:
        """Let `model` serve under `name`, and record it in the journal where it is another one than before."""
        previous: ServedModel | None = None

        def served(serving: Serving) -> Serving:
            nonlocal previous
            previous = serving.models.get(name)
            default = name if set_default else serving.default_model
            if previous == model and default == serving.default_model:
                return serving
            return serving.next(default_model=default, models={**serving.models, name: model})

        serving = change_serving(self.model_dir, served)
        self.engine.load(name, model)
        if self._orchestrator is not None:
            self.engine.obey(serving)
        if previous != model:
            self._record_change(name, model, previous)

    def _record_change(self, name: str, model: ServedModel, previous: ServedModel | None) -> None:
        log_model_change_event(
            self._journal,
            environment=str(self._journal_context["environment"]),
            portfolio=str(self._journal_context["portfolio"]),
            risk_profile=str(self._journal_context["risk_profile"]),
            model_name=name,
            new_version=model.version or model.sha256,
            previous_version=None if previous is None else previous.version or previous.sha256,
            source=model.source,
        )

    def _give_all(self, serving: Serving) -> None:
        self._give_to_orchestrator(serving.models, serving.default_model)

    def _give_to_orchestrator(self, names: Iterable[str], default: str | None) -> None:
        if self._orchestrator is None:
            return
        given = set(names)
        for name in sorted(self._given - given):
            self._orchestrator.detach_named_inference(name)
        for name in sorted(given):
            self._orchestrator.attach_named_inference(name, self.engine.inference(name), set_default=name == default)
        self._given = given
