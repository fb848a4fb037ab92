"""Every loader, called on the bytes of a file in its place: it gives a value, or an error that names the file."""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot_core.ai.acknowledgement import read_acks
from bot_core.ai.artifact import ModelArtifact
from bot_core.ai.bundle import load_model_artifact_bundle
from bot_core.ai.quarantine import read_quarantines
from bot_core.ai.reports import KINDS, parse_report, undecided_roles
from bot_core.ai.repository import FilesystemModelRepository, read_manifest
from bot_core.ai.scheduler import read_schedule
from bot_core.ai.serving import Serving, read_serving
from bot_core.ai.walk_forward import link_problems, parse_walk_forward
from bot_core.config.auto_trader import read_maintenance, set_maintenance
from bot_core.config.decision_engine import parse_decision_engine
from bot_core.decision.inputs import parse_candidates, parse_risk_snapshots, parse_tco_report
from bot_core.foundation.cache import DerivedCache
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.strict_json import parse_object
from bot_core.runtime.journal import JsonlTradingDecisionJournal
from rollbackctl.core.document import PlanDocument, _document, read_document
from rollbackctl.core.errors import RollbackError
from rollbackctl.core.report import make_report
from rollbackctl.engine.evidence import _report_fact, observe_checklist
from rollbackctl.engine.exposure import read_exposure
from rollbackctl.engine.history import read_history, read_run
from rollbackctl.engine.journal_index import observe_journal, served_versions
from rollbackctl.engine.registry import load_registry
from rollbackctl.engine.runs import FileRunStore, chain
from rollbackctl.engine.saved import load_document, plan_from_world
from rollbackctl.engine.thresholds import read_thresholds
from rollbackctl.engine.versions import hmac_keys
from rollbackctl.engine.workspace import Workspace, read_spec, this_actor
from rollbackctl.render import json_text, markdown, text
from rollbackctl.render.run import render_report, render_runs
from rollbackctl.spec.document import Policy
from tests.harness import INCIDENT, NOW, PLAN, SAVED
from tests.hostile import unsafe
from tests.reliability import drift_files
from tests.reliability.write_old_runs import OLD_RUNS, restore

KEPT = (Path(__file__).parent / "corpus", Path(__file__).parent / "hostile")
MAX_CPU_S = 1.0
_REGISTRY = load_registry(Policy())
_STATES = _REGISTRY.states
_MODELS = "models/decision_engine"
_REPORT = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"
_WALK = "audit/ai_decision/walk_forward/20251029T041045Z.json"
_BUNDLE = "audit/ai_decision/models/decision-core/20251029T041045Z"
_TRADER = "config/auto_trader.yaml"
_JOURNAL = "logs/decision_journal/decisions-20251118.jsonl"
_INDEXED = "logs/long.jsonl"
_CACHE = "cache/rollbackctl/row.json"
_PAPER = "data/decision_engine/paper"
_CHECKLIST = "docs/compliance/ai_pipeline_signoff.md"
_KEY = "config/signing.key"
_KEY_POLICY = Policy.model_validate({"hmac_keys": {"key": {"file": _KEY}}})
_RUN = "20251118T080000Z-hold-bad50c86"
_RUN_FOLDER = f"var/rollbackctl/runs/{_RUN}"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


@dataclass(frozen=True)
class Loader:
    """A loader.

    Attributes:
        path: Where its file lies in the workspace.
        read: What reads it there.
        named: What an error must name.
        place: Writes the input to that place, in a form that lets it come further than a check of digests or ids.
    """

    path: str
    read: Callable[[Path], object]
    named: str | None = None
    place: Callable[[Path, bytes], None] = _write


def _saved_plan(root: Path) -> None:
    document = load_document(root / SAVED, SAVED)
    assert read_document(document.to_json(), _STATES).plan.id == document.plan.id
    _assert_shown(document)


def _assert_shown(document: PlanDocument) -> None:
    for shown in (text.render(document), markdown.render(document), json_text.render(document)):
        assert unsafe(shown) == []


def _artifact(root: Path) -> None:
    path = root / _MODELS / "model-v9.json"
    artifact = ModelArtifact.from_mapping(parse_object(path.read_bytes(), path.name), path.name)
    artifact.build_model().score({name: mean for name, (mean, _) in artifact.feature_scalers.items()})
    ModelArtifact.from_mapping(artifact.to_dict(), "what was read")


def _manifest(root: Path) -> None:
    manifest = read_manifest(root / _MODELS)
    assert manifest.parse(manifest.encode(), "itself").raw == manifest.raw
    manifest.dangling()
    for version in manifest.ordered():
        manifest.with_active(version).with_alias("stable", version, (version,))
    FilesystemModelRepository(root / _MODELS).load_model()


def _report(root: Path) -> None:
    for kind in KINDS:
        report = parse_report((root / _REPORT).read_bytes(), path=_REPORT, kind=kind)
        _report_fact(report)
        undecided_roles(report, roles=("risk",))


def _walk_forward(root: Path) -> None:
    walk = parse_walk_forward((root / _WALK).read_bytes(), path=_WALK)
    link_problems(walk, json.loads((root / _MODELS / "model-v9.json").read_bytes()), "v9")


def _decision_journal(root: Path) -> None:
    found = observe_journal(root, _JOURNAL)
    served_versions(found)
    journal = JsonlTradingDecisionJournal(root / _JOURNAL)
    assert all(isinstance(value, str) for event in journal.export() for value in event.values())
    # A line that looks whole and is of no interest is not parsed.
    assert set(found.fact.malformed) <= {f"{_JOURNAL}:{line}" for _, line in journal.malformed}


def _cached_journal(root: Path) -> None:
    served_versions(observe_journal(root, _INDEXED))


def _scheduler(root: Path) -> None:
    state = read_schedule(root / "audit/ai_decision/scheduler.json", root=root)
    assert state is not None
    state.encode(now=NOW)


def _serving(root: Path) -> None:
    serving = read_serving(root / "var/models")
    assert Serving.parse(serving.encode(), "itself") == serving


def _workspace(root: Path) -> Workspace:
    return Workspace(root, lambda: NOW, this_actor())


def _trader(root: Path) -> None:
    data = (root / _TRADER).read_bytes()
    flag = read_maintenance(data, _TRADER)
    changed = set_maintenance(data, _TRADER, "true")
    assert read_maintenance(changed, _TRADER).value
    assert set_maintenance(changed, _TRADER, flag.token) == data


def _run(root: Path) -> None:
    store = FileRunStore(root)
    store.last_order()
    facts = read_history(store).facts
    assert unsafe(render_runs(facts)) == []
    if not facts:
        return  # of a run that has not begun nothing is shown
    document, checkpoint = read_run(store, _RUN, _STATES)
    report = make_report(document.plan, _RUN, checkpoint)
    assert unsafe(render_report(report)) == []
    json.dumps(report.to_json(), allow_nan=False)
    _assert_shown(document)


def _world(root: Path) -> None:
    _assert_shown(plan_from_world(root / PLAN, root / "world.json", lambda: NOW, PLAN))


def _bundle(root: Path) -> None:
    load_model_artifact_bundle(root / _BUNDLE, signing_keys={"ai-signing": b"key"})


def _hmac_key(root: Path) -> None:
    (key,) = hmac_keys(_KEY_POLICY, root).values()
    assert key


def _place_with_id(path: Path, data: bytes) -> None:
    """A saved plan with the id of its content, as whoever forges one would give it."""
    path.write_bytes(data)
    try:
        value = parse_object(data, path.name)
        value["id"] = _document(value, _STATES).plan.id
        path.write_bytes(json.dumps(value).encode())
    except (BotCoreError, ValueError, KeyError, TypeError, AttributeError):
        return


def _place_run_plan(path: Path, data: bytes) -> None:
    """A run's plan with its own id, and a journal that names that id."""
    _place_with_id(path, data)
    journal = path.with_name("journal.jsonl")
    _place_chained(journal, b"\n".join(journal.read_bytes().splitlines()))


def _place_chained(path: Path, data: bytes) -> None:
    """A run's journal whose entries follow each other and are of its plan, whatever else they say."""
    try:
        plan = json.loads(path.with_name("plan.json").read_bytes())["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        plan = ""
    whole, previous = b"", ""
    for number, line in enumerate(data.splitlines(), 1):
        try:
            value = parse_object(line, path.name) | {"seq": number, "run": _RUN, "plan": plan, "prev": previous}
            line = json.dumps(value, ensure_ascii=False).encode()
        except BotCoreError:
            pass
        whole, previous = whole + line + b"\n", chain(line)
    path.write_bytes(whole)


def _place_row(path: Path, data: bytes) -> None:
    """A row of the cache, where the index of a long journal is looked for."""
    indexed = path.parents[2] / _INDEXED
    key = f"journal-1:{DerivedCache.file_key(indexed.stat())}"
    value = data.decode(errors="replace")
    with closing(sqlite3.connect(path.with_name("cache.db"), isolation_level=None)) as connection:
        connection.execute("UPDATE Cache SET key = ?, value = ?", (key, value))


def _parsed(path: str, parse: Callable[[bytes, str], object]) -> Loader:
    return Loader(path, lambda root: parse((root / path).read_bytes(), path))


LOADERS = {
    "plan": Loader(PLAN, lambda root: read_spec(root / PLAN, _REGISTRY, PLAN)),
    "saved_plan": Loader(SAVED, _saved_plan, place=_place_with_id),
    "world": Loader("world.json", _world, named=""),
    "artifact": Loader(f"{_MODELS}/model-v9.json", _artifact),
    "manifest": Loader(f"{_MODELS}/manifest.json", _manifest, named=_MODELS),
    "report": Loader(_REPORT, _report),
    "walk_forward": Loader(_WALK, _walk_forward),
    "decision_journal": Loader(_JOURNAL, _decision_journal),
    "cache": Loader(_CACHE, _cached_journal, place=_place_row),
    "scheduler": Loader("audit/ai_decision/scheduler.json", _scheduler),
    "serving": Loader("var/models/serving.json", _serving),
    "acknowledgement": Loader("var/models/engines/host-1.json", lambda root: read_acks(root / "var/models")),
    "policy": Loader("config/rollbackctl.yaml", lambda root: _workspace(root).policy),
    "auto_trader": Loader(_TRADER, _trader),
    "decision_engine": _parsed("config/decision_engine.yaml", parse_decision_engine),
    "thresholds": Loader("config/thresholds.yaml", lambda root: read_thresholds(root, "config/thresholds.yaml")),
    "run_journal": Loader(f"{_RUN_FOLDER}/journal.jsonl", _run, named=_RUN),
    "checkpoint": Loader(f"{_RUN_FOLDER}/journal.jsonl", _run, named=_RUN, place=_place_chained),
    "run_plan": Loader(f"{_RUN_FOLDER}/plan.json", _run, named=_RUN, place=_place_run_plan),
    "quarantine": Loader(f"{_MODELS}/quarantine/v9.json", lambda root: read_quarantines(root / _MODELS)),
    "candidates": _parsed(f"{_PAPER}/candidates.json", parse_candidates),
    "risk_snapshot": _parsed(f"{_PAPER}/risk_snapshot.json", parse_risk_snapshots),
    "tco_report": _parsed(f"{_PAPER}/tco_report.json", parse_tco_report),
    "exposure": Loader(
        f"{_PAPER}/risk_snapshot.json", lambda root: read_exposure(root / _PAPER / "risk_snapshot.json")
    ),
    "baseline": Loader(drift_files.BASELINE, drift_files.baseline),
    "baseline_sidecar": Loader(drift_files.SIDECAR, drift_files.sidecar, named=_MODELS),
    "training_figures": Loader(drift_files.ARTIFACT, drift_files.training_figures, named="v9"),
    "training_rows": Loader(drift_files.TRAINING, drift_files.training_rows),
    "window": Loader(drift_files.CSV, drift_files.csv_window),
    "window_parquet": Loader(drift_files.PARQUET, drift_files.parquet_window),
    "window_journal": Loader(drift_files.JOURNAL, drift_files.journal_window),
    "cached_counts": Loader(drift_files.CACHED, drift_files.cached_counts, place=drift_files.place_counts),
    "signature": Loader(f"{_BUNDLE}/model-v9.sig", _bundle, named=_BUNDLE),
    "checksums": Loader(f"{_BUNDLE}/checksums.sha256", _bundle, named=_BUNDLE),
    "hmac_key": Loader(_KEY, _hmac_key),
    "checklist": Loader(_CHECKLIST, lambda root: observe_checklist(root, _CHECKLIST, INCIDENT)),
}


def desk(folder: Path) -> Path:
    """A workspace with a file for every loader, and the cache of its user."""
    root = restore(OLD_RUNS / "0.1.0" / "held.json", folder / "ws").root
    for loader in LOADERS.values():
        (root / loader.path).parent.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(root / "cache")
    DerivedCache(root / "cache/rollbackctl").put("key", None)
    with open(root / _INDEXED, "wb") as file:
        file.truncate(4 << 20)
    drift_files.write_drift_files(root)
    return root


def seeds(name: str, root: Path) -> list[bytes]:
    """A loader's own file in a new workspace, and the inputs that are kept for it."""
    paths = [root / LOADERS[name].path, *(path for kept in KEPT for path in sorted((kept / name).glob("*")))]
    return [path.read_bytes() for path in paths if path.is_file()]


def judge(name: str, root: Path, data: bytes) -> str:
    """Give a loader these bytes; what it does that no loader may do is the failure of this call.

    Returns:
        Why it refuses them; "" where it takes them.
    """
    loader = LOADERS[name]
    loader.place(root / loader.path, data)
    begun = time.process_time()
    try:
        with _only_read():
            loader.read(root)
        reason = ""
    except (BotCoreError, RollbackError) as error:
        reason = "; ".join([str(error), getattr(error, "path", None) or "", *map(str, getattr(error, "problems", ()))])
        named = Path(loader.path).name if loader.named is None else loader.named
        assert named in reason, f"it does not name its file: {reason}"
    assert time.process_time() - begun < MAX_CPU_S, "it takes too long"
    return reason


_CHANGES = (
    "os.chmod",
    "os.chown",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
)
_changed: list[str] | None = None


@contextmanager
def _only_read() -> Iterator[None]:
    """Whatever is changed on the disk in here is a failure, also where the loader catches it."""
    global _changed
    _changed = found = []
    try:
        yield
    finally:
        _changed = None
    assert found == [], f"a loader changes the disk: {found}"


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _changed is None:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if (writes or event in _CHANGES) and not any(place in str(arguments[0]) for place in ("__pycache__", "/cache")):
        _changed.append(f"{event} {arguments}")


sys.addaudithook(_watch)
