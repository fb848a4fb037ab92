"""Whatever a change of a file does not understand is still in it afterwards, and what is written is read back equal."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.bundle import generate_model_artifact_bundle, load_model_artifact_bundle
from bot_core.ai.checklist import post_incident_section, set_ticks
from bot_core.ai.manager import AIManager
from bot_core.ai.quarantine import Quarantine
from bot_core.ai.repository import ModelRepository
from bot_core.ai.scheduler import RetrainingScheduler
from bot_core.ai.serving import Serving, change_serving
from bot_core.ai.signoff import update_sign_off
from bot_core.config.auto_trader import set_maintenance
from bot_core.foundation.log_block import append_block_durable
from bot_core.runtime.journal import JsonlTradingDecisionJournal, TradingDecisionEvent

PUBLIC = Path(__file__).parents[1] / "fixtures" / "ws_public"
NOW = datetime(2025, 11, 18, 8, 0, tzinfo=UTC)
AUDIT = "audit/ai_decision"
MODELS = "models/decision_engine"
STRANGE = {"": "", "zażółć": [1, 1.0, -0.0, 1e-300, 2**62, None, {"deep": [True, {}]}]}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(PUBLIC, tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def serve_v9() -> None:
    AIManager(model_dir="var/models").load_decision_artifact("rollback", f"{MODELS}/model-v9.json", set_default=True)


def scheduler() -> RetrainingScheduler:
    return RetrainingScheduler(timedelta(hours=6), clock=lambda: NOW)


def sign(path: str) -> None:
    update_sign_off({"report_path": path}, role="risk", status="waived", signed_by="J. Kowal", now=NOW)


Change = tuple[Callable[[], object], set[str]]
SERVING = "var/models/serving.json"
# By file: what changes it, and the places that the change is about.
CHANGES: dict[str, list[Change]] = {
    f"{AUDIT}/scheduler.json": [
        (lambda: scheduler().pause(until=NOW, reason="x"), {"paused_until", "paused_reason", "next_run", "updated_at"}),
        (lambda: scheduler().resume(), {"paused_until", "paused_reason", "next_run", "updated_at"}),
        (lambda: scheduler().update_interval(timedelta(hours=1)), {"interval", "next_run", "updated_at"}),
        (
            lambda: scheduler().mark_failure(NOW, "x"),
            {
                *("last_failure", "last_failure_reason", "failure_streak", "cooldown_until"),
                *("next_run", "updated_at"),
            },
        ),
        (
            lambda: scheduler().mark_executed(NOW),
            {
                *("last_run", "failure_streak", "cooldown_until", "paused_until", "paused_reason"),
                *("next_run", "updated_at"),
            },
        ),
    ],
    f"{MODELS}/manifest.json": [
        (lambda: ModelRepository(MODELS).promote_version("v9"), {"active"}),
        (lambda: ModelRepository(MODELS).assign_alias("stable", "v7"), {"aliases", "versions.v9", "versions.v7"}),
        (lambda: ModelRepository(MODELS).remove_alias("stable"), {"aliases", "versions.v9"}),
        (lambda: ModelRepository(MODELS).attach_quality_report("v9", {"status": "ok"}), {"versions.v9"}),
        (lambda: ModelRepository(MODELS).remove_version("v6"), {"versions.v6"}),
    ],
    SERVING: [
        (lambda: AIManager(model_dir="var/models").detach_decision_orchestrator(), {"attached", "generation"}),
        (
            lambda: change_serving(Path("var/models"), lambda s: s.next(default_model=None)),
            {"default_model", "generation"},
        ),
    ],
    **{
        str(path.relative_to(PUBLIC)): [
            (lambda path=path: sign(str(path.relative_to(PUBLIC))), {"sign_off", "sign_off_history"})
        ]
        for folder in ("drift", "data_quality", "walk_forward")
        for path in sorted((PUBLIC / AUDIT / folder).iterdir())
    },
}


def places(value: Any) -> dict[str, Any]:
    """The file's values by place: each key at the top, and each version of a manifest."""
    found = {key: item for key, item in value.items() if key != "versions"}
    return found | {f"versions.{key}": item for key, item in value.get("versions", {}).items()}


@pytest.mark.parametrize(("path", "change", "about"), [(p, c, a) for p, all_ in CHANGES.items() for c, a in all_])
def test_a_change_keeps_every_key_that_it_does_not_understand(
    path: str, change: Callable[[], object], about: set[str]
) -> None:
    if path == SERVING:
        serve_v9()
    file = Path(path)
    raw = json.loads(file.read_bytes())
    for holder in (raw, *raw.get("versions", {}).values(), *raw.get("models", {}).values(), *signers(raw)):
        holder["x_unknown"] = STRANGE
    file.write_text(json.dumps(raw, indent=2, ensure_ascii=False))

    change()

    found = json.loads(file.read_bytes())
    before, after = places(raw), places(found)
    assert {key for key in before.keys() | after.keys() if before.get(key, ...) != after.get(key, ...)} <= about
    assert written(found["x_unknown"]) == written(STRANGE)
    for key in ("versions", "models", "sign_off"):
        for name, entry in found.get(key, {}).items():
            if name in raw.get(key, {}) and (key, name) != ("sign_off", "risk"):
                assert written(entry["x_unknown"]) == written(STRANGE)
    for entry in found.get("sign_off_history", ()):
        assert written(entry["x_unknown"]) == written(STRANGE)


def signers(raw: dict[str, Any]) -> list[dict[str, Any]]:
    return list((raw.get("sign_off") or {}).values())


def written(value: Any) -> str:
    """The JSON text, in which 1, 1.0 and -0.0 differ."""
    return json.dumps(value)


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_keeps_the_layout_of_the_file(path: str) -> None:
    if path == SERVING:
        serve_v9()
    before = Path(path).read_bytes()
    for change, _ in CHANGES[path][:1]:
        change()

    after = Path(path).read_bytes()
    original = json.loads(before)
    keys = [key for key in json.loads(after) if key in original]
    assert keys == list(original)
    assert after.endswith(b"\n") is before.endswith(b"\n")
    assert after == json.dumps(json.loads(after), indent=2, ensure_ascii=False).encode() + b"\n" * after.endswith(b"\n")


@pytest.mark.parametrize("version", ["v5", "v6", "v7", "v9", "v10"])
def test_an_artifact_is_written_back_as_it_was_read(version: str) -> None:
    path = Path(f"{MODELS}/model-{version}.json")
    raw = json.loads(path.read_bytes())
    raw["metadata"]["x_unknown"] = raw["model_state"]["x_unknown"] = STRANGE

    again = ModelArtifact.from_mapping(raw, str(path)).to_dict()

    assert written(again) == written(raw)


@pytest.mark.parametrize("version", ["v6", "v9"])
def test_an_artifact_that_is_published_is_read_back_equal(version: str, tmp_path: Path) -> None:
    artifact = ModelRepository(MODELS).load(version)
    there = ModelRepository(tmp_path / "models")

    path = there.publish(artifact, version=version, saved_at=NOW)

    assert there.load(version) == artifact
    assert path.read_bytes() == Path(f"{MODELS}/model-{version}.json").read_bytes()


def test_a_bundle_is_read_back_equal(tmp_path: Path) -> None:
    artifact = ModelRepository(MODELS).load("v9")

    written_bundle = generate_model_artifact_bundle(artifact, tmp_path / "b", signing_key=b"k" * 32, signing_key_id="k")
    found = load_model_artifact_bundle(tmp_path / "b", signing_keys={"k": b"k" * 32})

    assert found.artifact == artifact
    assert found.checksums == written_bundle.checksums
    assert found.metadata_payload == json.loads(json.dumps(written_bundle.metadata_payload))


def test_a_quarantine_and_a_serving_state_are_read_back_equal() -> None:
    quarantine = Quarantine("v10", "0" * 64, "INC-1", "zażółć")
    serve_v9()
    data = Path(SERVING).read_bytes()

    assert Quarantine.parse(quarantine.encode(), "q.json") == quarantine
    assert Serving.parse(data, SERVING).encode() == data


def test_an_event_is_read_back_equal_and_the_journal_before_it_stands() -> None:
    files = sorted(Path("logs/decision_journal").iterdir())
    before = {path: path.read_bytes() for path in files}
    journal = JsonlTradingDecisionJournal("logs/decision_journal")
    event = TradingDecisionEvent(
        "x", NOW, "paper", "p", "r", quantity=0.1, metadata={"ż": "ć", "status": "a", "list": [1, "b"]}
    )

    journal.record(event)

    assert list(journal.export())[-1] == event.as_dict()
    assert all(path.read_bytes().startswith(data) for path, data in before.items())


def test_one_line_of_the_configuration_changes_and_the_very_token_comes_back() -> None:
    data = Path("config/auto_trader.yaml").read_bytes()

    held = set_maintenance(data, "auto_trader.yaml", "true")

    lines = list(zip(data.splitlines(), held.splitlines(), strict=True))
    assert len([1 for before, after in lines if before != after]) == 1
    assert set_maintenance(held, "auto_trader.yaml", "false") == data


def test_a_tick_changes_one_line_of_the_checklist() -> None:
    text = Path("docs/compliance/ai_pipeline_signoff.md").read_text()
    section = post_incident_section(text, "INC-2025-1117")
    assert section is not None
    box = section.box("Rollback executed")
    assert box is not None

    ticked = set_ticks(text, {box.line: (True, "done")})

    lines = list(zip(text.splitlines(), ticked.splitlines(), strict=True))
    assert [number for number, (before, after) in enumerate(lines, 1) if before != after] == [box.line]


def test_an_incident_entry_is_appended_and_all_before_it_stands() -> None:
    path = Path(f"{AUDIT}/incident_journal.md")
    before = path.read_bytes()

    append_block_durable(path, b"## INC-2025-1117\n- rolled back\n")

    assert path.read_bytes().startswith(before)
    assert path.read_bytes().endswith(b"\n\n## INC-2025-1117\n- rolled back\n")
