import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot_core.ai.acknowledgement import read_acks
from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.inference import DecisionModelInference
from bot_core.ai.manager import AIManager
from bot_core.ai.repository import ModelRepository
from bot_core.ai.serving import NotServingError, change_serving, read_serving
from bot_core.foundation.digest import canonical_digest, sha256_hex
from bot_core.foundation.errors import FileFormatError, IntegrityError, UnresolvedReferenceError
from bot_core.runtime.journal import InMemoryTradingDecisionJournal

FIXTURES = Path(__file__).parents[2] / "fixtures"
SCORES = json.loads((FIXTURES / "expected_public.json").read_text())["scores"]
PROBE = {"momentum": 0.0, "volume_ratio": 1.0}

# Scores on request: one line in, one line out.
ENGINE = """
import sys
from bot_core.ai import AIManager
from bot_core.foundation.errors import BotCoreError
manager = AIManager(model_dir="var/models")
for line in sys.stdin:
    try:
        print(manager.score_decision_features({}, model_name=line.strip() or None).expected_return_bps, flush=True)
    except BotCoreError as error:
        print(type(error).__name__, flush=True)
"""

# Scores without pause, and says so only when it is told to stop.
BUSY = """
import sys, threading
from bot_core.ai import AIManager
from bot_core.ai.serving import NotServingError
manager = AIManager(model_dir="var/models")
manager.score_decision_features({})
print("busy", flush=True)
scores = 0
while True:
    try:
        manager.score_decision_features({})
        scores += 1
    except NotServingError:
        break
print("stopped", flush=True)
"""


class Orchestrator:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.inferences: dict[str, DecisionModelInference] = {}
        self.default: str | None = None

    def attach_named_inference(
        self, name: str, inference: DecisionModelInference, *, set_default: bool = False
    ) -> None:
        self.inferences[name] = inference
        if set_default:
            self.default = name

    def detach_named_inference(self, name: str) -> None:
        del self.inferences[name]


class Engine:
    """An engine in a process of its own."""

    def __init__(self, workspace: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", ENGINE],
            cwd=workspace,
            env={"PYTHONPATH": REPOSITORY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def score(self, name: str = "") -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        self._process.communicate()


REPOSITORY = str(Path(__file__).parents[3])


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FIXTURES / "ws_public", tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


@pytest.fixture
def engine(workspace: Path):
    engine = Engine(workspace)
    yield engine
    engine.stop()


def mean_score(version: str) -> float:
    return SCORES[version]["all_features_at_scaler_mean"][0]


def load(version: str, name: str = "rollback") -> None:
    AIManager(model_dir="var/models").load_decision_artifact(
        name, f"models/decision_engine/model-{version}.json", set_default=True
    )


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_runbooks_restore_works_over_two_processes(workspace: Path) -> None:
    shutil.copy("models/decision_engine/model-v9.json", "models/decision_engine/rollback_target.json")
    load_block = (
        "from pathlib import Path\nfrom bot_core.ai import AIManager\n"
        "AIManager(model_dir=Path('var/models')).load_decision_artifact(name='rollback', "
        "artifact='models/decision_engine/rollback_target.json', set_default=True)"
    )
    env = {"PYTHONPATH": REPOSITORY}

    subprocess.run([sys.executable, "-c", load_block], check=True, env=env)
    orchestrator = Orchestrator()
    manager = AIManager(model_dir="var/models")
    manager.attach_decision_orchestrator(orchestrator, default_model="rollback")
    score = manager.score_decision_features(PROBE, model_name="rollback")

    assert orchestrator.default == "rollback"
    assert orchestrator.inferences["rollback"].is_ready
    assert orchestrator.inferences["rollback"].score(PROBE) == score


def test_loading_keeps_the_bytes_so_that_the_source_may_go(workspace: Path) -> None:
    data = (workspace / "models/decision_engine/model-v9.json").read_bytes()
    load("v9")
    (workspace / "models/decision_engine/model-v9.json").unlink()
    os.chdir("/")

    score = AIManager(model_dir=workspace / "var/models").score_decision_features({})

    model = read_serving(workspace / "var/models").models["rollback"]
    assert (model.version, model.sha256) == ("v9", sha256_hex(data))
    assert model.source == "models/decision_engine/model-v9.json"
    assert score.expected_return_bps == pytest.approx(mean_score("v9"), abs=1e-9)


def test_a_relative_artifact_is_looked_up_in_the_repository_too(workspace: Path) -> None:
    manager = AIManager(model_dir="var/models")

    manager.load_decision_artifact("a", "model-v9.json", repository_root="models/decision_engine")
    manager.configure_decision_repository("models/decision_engine")
    manager.load_decision_artifact("b", "stable")

    served = read_serving(workspace / "var/models")
    assert served.models["a"].sha256 == served.models["b"].sha256
    assert served.default_model is None


def test_loading_the_same_again_changes_nothing(workspace: Path) -> None:
    load("v9")
    before = files(workspace)

    load("v9")

    assert files(workspace) == before


def test_an_artifact_that_cannot_score_is_not_served(workspace: Path) -> None:
    before = files(workspace)

    for artifact in ("models/decision_engine/model-v8.json", "models/decision_engine/feature_config.json"):
        with pytest.raises(FileFormatError):
            AIManager(model_dir="var/models").load_decision_artifact("rollback", artifact)
    with pytest.raises(UnresolvedReferenceError):
        AIManager(model_dir="var/models").load_decision_artifact("rollback", "models/decision_engine/none.json")

    assert files(workspace) == before


@pytest.mark.parametrize("repository", [None, "var/models/decision_core"])
def test_a_quarantined_artifact_is_not_served_under_any_name(workspace: Path, repository: str | None) -> None:
    base = workspace / "models/decision_engine"
    shutil.copy(base / "model-v10.json", base / "rollback_target.json")
    (base / "quarantine").mkdir()
    quarantine = {
        "version": "v10",
        "sha256": canonical_digest(json.loads((base / "model-v10.json").read_text())),
        "incident": "INC-1",
        "reason": "drift",
    }
    (base / "quarantine" / "v10.json").write_text(json.dumps(quarantine))

    with pytest.raises(UnresolvedReferenceError, match="quarantined"):
        AIManager(model_dir="var/models").load_decision_artifact(
            "rollback", "models/decision_engine/rollback_target.json", repository_root=repository
        )


def test_another_process_scores_what_was_loaded_here(engine: Engine, workspace: Path) -> None:
    load("v9")

    assert float(engine.score()) == pytest.approx(mean_score("v9"), abs=1e-9)
    assert engine.score("other") == "NotServingError"


def test_a_running_engine_uses_a_newly_loaded_model_for_its_very_next_score(engine: Engine, workspace: Path) -> None:
    for version in ("v9", "v10", "v5", "v9", "v6"):
        load(version)

        assert float(engine.score()) == pytest.approx(mean_score(version), abs=1e-9)


def test_a_detach_stops_a_running_engine_before_its_very_next_score(engine: Engine, workspace: Path) -> None:
    load("v9")

    for _ in range(5):
        assert engine.score() != "NotServingError"
        AIManager(model_dir="var/models").detach_decision_orchestrator()
        assert engine.score() == engine.score("rollback") == "NotServingError"
        AIManager(model_dir="var/models").attach_decision_orchestrator(Orchestrator())


def test_an_engine_acknowledges_the_generation_it_obeys(engine: Engine, workspace: Path) -> None:
    load("v9")
    engine.score()
    AIManager(model_dir="var/models").detach_decision_orchestrator()
    before = [(ack.pid, ack.generation) for ack in read_acks(Path("var/models"))]

    engine.score()

    assert before == [(engine.pid, 1)]
    assert [(ack.pid, ack.generation) for ack in read_acks(Path("var/models"))] == [(engine.pid, 2)]


def test_a_detach_gets_through_to_engines_that_score_without_pause(workspace: Path) -> None:
    load("v9")
    env = {"PYTHONPATH": REPOSITORY}
    engines = [
        subprocess.Popen([sys.executable, "-c", BUSY], env=env, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for engine in engines:
        assert engine.stdout is not None
        assert engine.stdout.readline() == "busy\n"

    AIManager(model_dir="var/models").detach_decision_orchestrator()

    assert [engine.communicate()[0] for engine in engines] == ["stopped\n"] * 4


def test_an_engine_killed_in_the_middle_of_scoring_leaves_nothing_locked(workspace: Path) -> None:
    load("v9")
    engine = subprocess.Popen(
        [sys.executable, "-c", BUSY], env={"PYTHONPATH": REPOSITORY}, stdout=subprocess.PIPE, text=True
    )
    assert engine.stdout is not None
    engine.stdout.readline()
    engine.send_signal(signal.SIGKILL)
    engine.communicate()

    AIManager(model_dir="var/models").detach_decision_orchestrator()

    assert not read_serving(Path("var/models")).attached


def test_the_orchestrators_inference_obeys_a_detach_from_elsewhere(workspace: Path) -> None:
    load("v9")
    orchestrator = Orchestrator()
    AIManager(model_dir="var/models").attach_decision_orchestrator(orchestrator)
    inference = orchestrator.inferences["rollback"]

    AIManager(model_dir="var/models").detach_decision_orchestrator()

    assert not inference.is_ready
    with pytest.raises(NotServingError, match="detached"):
        inference.score(PROBE)


def test_the_orchestrator_learns_what_others_load(workspace: Path) -> None:
    load("v9", "first")
    orchestrator = Orchestrator()
    manager = AIManager(model_dir="var/models")
    manager.attach_decision_orchestrator(orchestrator)

    load("v10", "second")
    manager.score_decision_features({})

    assert sorted(orchestrator.inferences) == ["first", "second"]
    assert orchestrator.default == "second"
    assert orchestrator.inferences["second"].score({}).expected_return_bps == pytest.approx(mean_score("v10"), abs=1e-9)


def test_a_detach_takes_the_models_from_the_own_orchestrator(workspace: Path) -> None:
    load("v9")
    orchestrator = Orchestrator()
    manager = AIManager(model_dir="var/models")
    manager.attach_decision_orchestrator(orchestrator)

    manager.detach_decision_orchestrator()
    manager.detach_decision_orchestrator()

    assert orchestrator.inferences == {}
    assert read_serving(workspace / "var/models").generation == 2
    assert read_acks(workspace / "var/models")[0].generation == 2


def test_a_second_orchestrator_gets_the_models_as_well(workspace: Path) -> None:
    load("v9")
    manager = AIManager(model_dir="var/models")
    manager.score_decision_features({})
    first, second = Orchestrator(), Orchestrator()

    manager.attach_decision_orchestrator(first)
    manager.attach_decision_orchestrator(second)

    assert list(first.inferences) == list(second.inferences) == ["rollback"]


def test_a_detach_before_anything_is_loaded_holds(workspace: Path) -> None:
    AIManager(model_dir="var/models").detach_decision_orchestrator()
    load("v9")

    with pytest.raises(NotServingError, match="detached"):
        AIManager(model_dir="var/models").score_decision_features({})


def test_attaching_with_an_unknown_default_changes_nothing(workspace: Path) -> None:
    load("v9")
    AIManager(model_dir="var/models").detach_decision_orchestrator()
    orchestrator = Orchestrator()

    with pytest.raises(NotServingError, match="'other'"):
        AIManager(model_dir="var/models").attach_decision_orchestrator(orchestrator, default_model="other")

    assert not read_serving(workspace / "var/models").attached
    assert orchestrator.inferences == {}


def test_bytes_that_differ_from_their_digest_are_not_ready(workspace: Path) -> None:
    AIManager(model_dir="var/models").load_decision_artifact("core", "models/decision_engine/model-v9.json")
    orchestrator = Orchestrator()
    manager = AIManager(model_dir="var/models")
    manager.attach_decision_orchestrator(orchestrator)
    digest = read_serving(workspace / "var/models").models["core"].sha256
    shutil.copy("models/decision_engine/model-v10.json", f"var/models/artifacts/{digest}.json")

    with pytest.raises(IntegrityError, match=digest):
        manager.score_decision_features({}, model_name="core")

    assert not orchestrator.inferences["core"].is_ready


def test_a_default_whose_bytes_differ_is_not_attached(workspace: Path) -> None:
    load("v9")
    AIManager(model_dir="var/models").detach_decision_orchestrator()
    digest = read_serving(workspace / "var/models").models["rollback"].sha256
    (workspace / "var/models/artifacts" / f"{digest}.json").write_bytes(b"{}")

    with pytest.raises(IntegrityError):
        AIManager(model_dir="var/models").attach_decision_orchestrator(Orchestrator())

    assert not read_serving(workspace / "var/models").attached


def test_a_corrupt_serving_file_stops_every_score(workspace: Path) -> None:
    load("v9")
    manager = AIManager(model_dir="var/models")
    manager.score_decision_features({})
    (workspace / "var/models/serving.json").write_text("{")

    with pytest.raises(FileFormatError):
        manager.score_decision_features({})


def test_nothing_is_made_where_there_is_no_model_folder(workspace: Path) -> None:
    with pytest.raises(NotServingError, match="no default model"):
        AIManager(model_dir="none").score_decision_features({})

    assert not (workspace / "none").exists()


def test_a_score_writes_no_report(workspace: Path) -> None:
    load("v9")
    before = files(workspace / "audit")

    AIManager(model_dir="var/models").score_decision_features(PROBE)

    assert files(workspace / "audit") == before


def test_a_forked_engine_acknowledges_for_itself(workspace: Path) -> None:
    load("v9")
    manager = AIManager(model_dir="var/models")
    manager.score_decision_features({})

    child = os.fork()
    if child == 0:
        manager.score_decision_features({})
        os._exit(0)
    os.waitpid(child, 0)

    assert sorted(ack.pid for ack in read_acks(workspace / "var/models")) == sorted([os.getpid(), child])


def test_a_change_of_model_is_recorded_once(workspace: Path) -> None:
    journal = InMemoryTradingDecisionJournal()
    manager = AIManager(model_dir="var/models", decision_journal=journal, decision_journal_context={"portfolio": "p"})

    for version in ("v9", "v9", "v10"):
        manager.load_decision_artifact("core", f"models/decision_engine/model-{version}.json")

    records = [dict(record) for record in journal.export()]
    assert [(r["model_version"], r.get("model_previous_version")) for r in records] == [("v9", None), ("v10", "v9")]
    assert {(r["environment"], r["portfolio"]) for r in records} == {("ai-monitoring", "p")}


def test_the_newest_reports_are_found_below_the_audit_root(workspace: Path) -> None:
    manager = AIManager(audit_root=workspace / "audit/ai_decision")

    drift, quality = manager.load_last_drift_report(), manager.load_last_data_quality_report()

    assert manager.get_audit_root() == workspace / "audit/ai_decision"
    assert drift is not None
    assert quality is not None
    assert manager.list_drift_report_paths(limit=1)[0].name == Path(str(drift["report_path"])).name
    assert manager.list_data_quality_report_paths(limit=1)[0].name == Path(str(quality["report_path"])).name


def test_an_artifact_saved_by_the_repository_is_served(workspace: Path) -> None:
    raw = json.loads((workspace / "models/decision_engine/model-v9.json").read_text())
    repository = ModelRepository("elsewhere")
    repository.save_model(ModelArtifact.from_mapping(raw, "v9"), version="v9", activate=True)

    AIManager(model_dir="var/models").load_decision_artifact("core", "v9", repository_root="elsewhere")

    assert read_serving(workspace / "var/models").models["core"].version == "v9"


def test_an_engine_that_starts_while_serving_is_held_scores_only_after_the_hold(workspace: Path) -> None:
    manager = AIManager(model_dir="var/models")
    manager.load_decision_artifact("rollback", "models/decision_engine/model-v9.json", set_default=True)
    change_serving(Path("var/models"), lambda now: now.next(attached=False, held_by="held by somebody"))

    manager.attach_decision_orchestrator(Orchestrator(), default_model="rollback")
    with pytest.raises(NotServingError, match="held by somebody"):
        manager.score_decision_features(PROBE)
    change_serving(Path("var/models"), lambda now: now.next(attached=True, held_by=None))

    assert manager.score_decision_features(PROBE).success_probability > 0
