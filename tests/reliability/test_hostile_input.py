"""A corpus of hostile files, one folder for each loader: refused or named for the right reason, and nothing changes."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rollbackctl.core.errors import InvalidInputError
from rollbackctl.engine.exposure import read_exposure
from rollbackctl.engine.versions import hmac_keys
from rollbackctl.render.hold import render_hold
from rollbackctl.spec.document import Policy
from tests.harness import PLAN, SAVED, Done, Site, new_site, quick_folder
from tests.hostile import unsafe
from tests.reliability.child import in_child, starve_of_memory
from tests.windows import write_window

CORPUS = Path(__file__).parent / "hostile"
APPLY = ("apply", PLAN, "--yes")
CHECKED = ("plan", PLAN, "--check")
_MEASURED = ("drift", "plans/measured.yaml", "--version", "v9", "--dry-run")
_V9 = "290247a89f8a4e8157d6ad927ca9c985309e58ee6c911f98f28e4b1e3fb9d66c"
_AUDIT = "audit/ai_decision"
_BUNDLE = f"{_AUDIT}/models/decision-core/20251029T041045Z"


@dataclass(frozen=True)
class Loader:
    """Where a loader's file lies, the command that reads it, and what that command makes of a hostile one.

    Attributes:
        path: The file below the workspace; RUN stands for the folder of the run that is unfinished then.
        command: What reads it.
        code: The exit code; 0 where the interface says that the file is named and passed over.
        named: What names it in the output.
        like: The loader whose corpus it shares; "": its own.
    """

    path: str
    command: tuple[str, ...] = APPLY
    code: int = 8
    named: str = ""
    like: str = ""


LOADERS = {
    "plan": Loader(PLAN),
    "saved_plan": Loader(SAVED, ("apply", SAVED)),
    "artifact": Loader("models/decision_engine/model-v9.json", CHECKED, 0, "v9"),
    "manifest": Loader("models/decision_engine/manifest.json"),
    "report": Loader("audit/ai_decision/drift/20251117T224530Z_drift_alert.json", CHECKED, 3),
    "decision_journal": Loader("logs/decision_journal/decisions-20251118.jsonl", CHECKED, 0),
    "scheduler": Loader("audit/ai_decision/scheduler.json"),
    "serving": Loader("var/models/serving.json"),
    "policy": Loader("config/rollbackctl.yaml"),
    "auto_trader": Loader("config/auto_trader.yaml"),
    "run_journal": Loader("RUN/journal.jsonl"),
    "run_plan": Loader("RUN/plan.json"),
    "candidates": Loader("data/decision_engine/paper/candidates.json"),
    "walk_forward": Loader(f"{_AUDIT}/walk_forward/20251029T041045Z.json", CHECKED, 0, "v9", "serving"),
    "signature": Loader(f"{_BUNDLE}/model-v9.sig", CHECKED, 0, _BUNDLE, "serving"),
    "checksums": Loader(f"{_BUNDLE}/checksums.sha256", CHECKED, 0, _BUNDLE, "serving"),
    "acknowledgement": Loader("var/models/engines/host-1.json", ("status",), 0, "host pid 1", "serving"),
    "quarantine": Loader("models/decision_engine/quarantine/v7.json", like="serving"),
    "thresholds": Loader("config/thresholds.yaml", like="policy"),
    "window": Loader("data/window.csv", ("baseline", "v9", "--from", "data/window.csv")),
    "sidecar": Loader(f"models/decision_engine/baselines/of-{_V9}.json", _MEASURED, like="serving"),
}
# What is said of a fault, wherever it is found: a file that is refused for another reason proves nothing.
REASONS = {
    "alias": "the anchor 'a' is not allowed",
    "billion_laughs": "is not allowed; write the value out",
    "byte_order_mark": "byte order mark",
    "deep": "deeper than",
    "duplicate_key": "given twice|stands twice",
    "escape_beyond_unicode": "is no character",
    "huge_integer": "64 bits",
    "infinity": "finite",
    "lone_surrogate": "surrogate",
    "nan": "finite",
    "not_utf8": "not UTF-8",
    "second_document": "second document",
    "tag": "the tag .* is not allowed",
}
# Journals are read line by line and name the line; of the trader's file, only the flag is ours to judge.
OWN_REASONS = {
    "auto_trader": r"neither true nor false|written twice|repeats nothing|not YAML|not UTF-8|more than one document|"
    "deeper than|not a mapping|is missing",
    "decision_journal": "journal.*decisions-20251118.jsonl:1",
    "acknowledgement": r"\(generation -1\)",
    "checksums": "checksums.sha256",
    "run_journal": "journal.jsonl:[12]: the run journal is damaged",
    "window": r"window\.csv has no (column|rows)|window\.csv, line [123]: |is missing in every row|not finite",
}
_LARGE = 1 << 24
THRESHOLDS = """\
max_cost_bps: 20
min_net_edge_bps: 1.5
max_daily_loss_pct: 0.05
max_drawdown_pct: 0.2
max_position_ratio: 0.8
max_open_positions: 8
max_latency_ms: 500
max_trade_notional: 50000
"""
CASES = [
    (name, path) for name, loader in LOADERS.items() for path in sorted((CORPUS / (loader.like or name)).iterdir())
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(scope="module")
def waiting(folder: Path) -> Site:
    """A workspace with a plan that tries candidates, and the same plan saved."""
    site = new_site(folder / "waiting")
    text = (site.root / PLAN).read_text()
    more = "model: {}, checks: {smoke: {}}, serving: {thresholds: config/thresholds.yaml}"
    (site.root / PLAN).write_text(text.replace("spec: {model: {}}", f"spec: {{{more}}}"))
    (site.root / "config/thresholds.yaml").write_text(THRESHOLDS)
    for folder in ("var/models/engines", "models/decision_engine/quarantine", "models/decision_engine/baselines"):
        (site.root / folder).mkdir()
    gates = "model: {}, gates: {data_drift: {window: {path: data/live.csv}}}"
    (site.root / "plans/measured.yaml").write_text(text.replace("spec: {model: {}}", f"spec: {{{gates}}}"))
    write_window(site.root / "data/live.csv")
    site.save()
    return site


@pytest.fixture(scope="module")
def unfinished(folder: Path) -> Site:
    site = new_site(folder / "unfinished")
    assert site.interrupted(9).code == 130
    return site


def everything(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a workspace but the locks, with its mode; links and other sorts as they are."""
    return {
        path.relative_to(root).as_posix(): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() and path.stat().st_size < _LARGE else b"",
        )
        for path in sorted(root.rglob("*"))
        if not path.name.endswith("lock") and not path.is_symlink()
    }


@pytest.fixture
def placed(waiting: Site, unfinished: Site) -> Iterator[Callable[[str, Callable[[Path], object]], Site]]:
    """Put something in the place of a loader's file; the file comes back after the test."""
    restored: list[tuple[Path, bytes | None]] = []

    def place(name: str, write: Callable[[Path], object]) -> Site:
        loader = LOADERS[name]
        site = unfinished if loader.path.startswith("RUN/") else waiting
        run = site.runs()[0] if site is unfinished else site.root
        path = run / loader.path.removeprefix("RUN/")
        restored.append((path, path.read_bytes() if path.exists() else None))
        path.unlink(missing_ok=True)
        write(path)
        return site

    yield place
    for path, data in restored:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)


def assert_refused(name: str, done: Done, code: int | None = None) -> None:
    loader = LOADERS[name]
    assert "Traceback" not in done.err
    assert done.code == (loader.code if code is None else code), done
    assert (loader.named or Path(loader.path).name) in done.out + done.err
    assert unsafe(done.out + done.err) == []
    assert "\nnext: " in done.err or not done.code


def test_every_loader_has_its_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == {loader.like or name for name, loader in LOADERS.items()}


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}-{case.stem}" for name, case in CASES])
def test_a_hostile_file_is_refused_for_its_reason_and_nothing_changes(name: str, case: Path, placed) -> None:
    site = placed(name, lambda path: path.write_bytes(case.read_bytes()))
    before = everything(site.root)

    done = site(*LOADERS[name].command)

    assert_refused(name, done)
    reason = OWN_REASONS.get(name) or REASONS.get(case.stem, "")
    assert re.search(reason, done.out + done.err), done
    assert everything(site.root) == before


def twin(path: Path) -> Path:
    """A file beside the workspace, for a second name in it."""
    other = next(folder for folder in path.parents if (folder / "audit").is_dir()).with_suffix(".twin")
    other.write_bytes(b"{}")
    return other


SORTS: dict[str, Callable[[Path], object]] = {
    "link": lambda path: path.symlink_to("/etc/hostname"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "hard link": lambda path: path.hardlink_to(twin(path)),
    "fifo": os.mkfifo,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "folder": Path.mkdir,
    # More than any file of ours may have, and no block of it on the disk.
    "huge file": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
}
# Of a file that the operator names, only the size is ours to bound.
_NAMED = ("plan", "saved_plan")
_CASES_OF_SORT = [(name, sort) for name in LOADERS for sort in SORTS if name not in _NAMED or sort == "huge file"]


@pytest.mark.parametrize(("name", "sort"), _CASES_OF_SORT)
def test_what_is_no_plain_file_of_a_bounded_size_is_refused_in_bounded_memory(name: str, sort: str, placed) -> None:
    def act() -> Done:
        starve_of_memory()
        return site(*LOADERS[name].command)

    site = placed(name, SORTS[sort])
    before = everything(site.root)

    done = in_child(act)

    assert_refused(name, done, 8 if name == "decision_journal" else None)
    assert everything(site.root) == before


def test_a_risk_snapshot_that_cannot_be_read_is_a_line_that_says_so(tmp_path: Path) -> None:
    shown = []
    for case in sorted((CORPUS / "serving").iterdir()):
        (tmp_path / "risk_snapshot.json").write_bytes(case.read_bytes())
        shown += [render_hold(None, (), (), read_exposure(tmp_path / "risk_snapshot.json"), (), (), ())]
        reason = REASONS.get(case.stem)
        assert reason is None or re.search(f"risk_snapshot.json, line 1: .*({reason})", shown[-1])

    assert unsafe("".join(shown)) == []


def test_a_risk_snapshot_without_end_is_not_read(tmp_path: Path) -> None:
    def act() -> Done:
        starve_of_memory()
        return Done(0, "\n".join(read_exposure(path)), "")

    path = tmp_path / "risk_snapshot.json"
    SORTS["huge file"](path)

    assert in_child(act).out == "risk_snapshot.json is larger than 16777216 bytes"


@pytest.mark.parametrize("sort", ["dangling link", "link to itself", "fifo", "socket", "folder", "huge file"])
def test_a_key_that_is_no_file_of_a_keys_size_is_refused(sort: str, tmp_path: Path) -> None:
    def act() -> Done:
        starve_of_memory()
        try:
            hmac_keys(policy, tmp_path)
        except InvalidInputError as error:
            return Done(error.exit_code, "", str(error))
        return Done(0, "", "")

    policy = Policy.model_validate({"hmac_keys": {"ai": {"file": "signing.key"}}})
    SORTS[sort](tmp_path / "signing.key")

    done = in_child(act)

    assert done.code == 8
    assert "config/rollbackctl.yaml: hmac_keys.ai: signing.key" in done.err


def test_a_key_whose_place_is_no_path_is_refused(tmp_path: Path) -> None:
    policy = Policy.model_validate({"hmac_keys": {"ai": {"file": "a\0b"}}})

    with pytest.raises(InvalidInputError, match=r"hmac_keys\.ai"):
        hmac_keys(policy, tmp_path)
