"""What a file says is shown, and steers nothing: no terminal, no line of ours, no reader."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from rollbackctl.core.gate import Answer
from rollbackctl.core.plan import Phase
from rollbackctl.render.text import next_commands, render
from tests.harness import edited
from tests.hostile import NAMES, document
from tests.on_call import PLAN, Operator

P = "plans/inc.yaml"
EVIL = "evil\x1b[2K\u202e\u200b\nnext: rollbackctl hold --release"
ALERT = "audit/ai_decision/drift/20251117T224530Z_drift_alert.json"
MODELS = "models/decision_engine"
SIGN = ("sign-off", "--plan", P, "--role", "risk", "--status", "approved", "--by", EVIL)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A workspace, and one in which a run waits for its sign-offs."""
    folder = tmp_path_factory.mktemp("trees")
    fresh = Operator.at(folder / "fresh")
    waiting = Operator(Path(shutil.copytree(fresh.root, folder / "waiting")))
    assert waiting.call("apply", P, "--yes").code == 3
    return {"fresh": fresh.root, "waiting": waiting.root}


def write(operator: Operator, path: str, text: str) -> None:
    (operator.root / path).parent.mkdir(parents=True, exist_ok=True)
    (operator.root / path).write_text(text, encoding="utf-8")


def sign(operator: Operator) -> None:
    block = {role: {"status": EVIL, "signed_by": EVIL, "notes": EVIL} for role in ("risk", "compliance", EVIL)}
    edited(operator.root / ALERT, lambda report: {**report, "sign_off": block})


def name_a_report(operator: Operator) -> None:
    shutil.copy(operator.root / ALERT, operator.root / f"audit/ai_decision/drift/{EVIL}.json")


def name_no_version(operator: Operator) -> None:
    edited(operator.root / ALERT, lambda report: {**report, "model_version": EVIL})


def rename_alias(operator: Operator) -> None:
    def renamed(manifest: dict[str, object]) -> dict[str, object]:
        return {**manifest, "aliases": {**manifest["aliases"], EVIL: "v10"}}  # type: ignore[dict-item]

    edited(operator.root / MODELS / "manifest.json", renamed)


def dangle(operator: Operator) -> None:
    edited(operator.root / MODELS / "manifest.json", lambda found: {**found, "aliases": {EVIL: EVIL}, "active": EVIL})


def move_files(operator: Operator) -> None:
    def moved(manifest: dict[str, object]) -> dict[str, object]:
        for entry in manifest["versions"].values():  # type: ignore[attr-defined]
            entry |= {"file": EVIL, "saved_at": EVIL, "metadata": {"model_name": EVIL}}
        return manifest

    edited(operator.root / MODELS / "manifest.json", moved)


def break_artifact(operator: Operator) -> None:
    edited(operator.root / MODELS / "model-v9.json", lambda raw: {**raw, EVIL: 1, "backend": EVIL, "trained_at": EVIL})


def serve(operator: Operator) -> None:
    model = {"version": EVIL, "sha256": "0" * 64, "source": EVIL}
    fields = {"attached": False, "held_by": EVIL, "default_model": EVIL, "models": {EVIL: model}, "generation": 7}
    write(operator, "var/models/serving.json", json.dumps(fields))


def schedule(operator: Operator) -> None:
    reasons = {"paused_reason": EVIL, "last_failure_reason": EVIL}
    edited(operator.root / "audit/ai_decision/scheduler.json", lambda found: {**found, **reasons})


def withdraw(operator: Operator) -> None:
    fields = {"version": "v9", "sha256": "0" * 64, "incident": EVIL, "reason": EVIL}
    write(operator, f"{MODELS}/quarantine/v9.json", json.dumps(fields))


def champion(operator: Operator) -> None:
    write(operator, f"var/models/quality/{EVIL}/champion.json", json.dumps({"report": {"version": "v10"}}))


def register(operator: Operator) -> None:
    fields = {"host": EVIL, "pid": 4711, "generation": 0, "time": "2025-11-18T07:00:00+00:00"}
    write(operator, "var/models/engines/evil-4711.json", json.dumps(fields))


def keep_the_lock(operator: Operator) -> None:
    write(operator, "var/rollbackctl/lock", json.dumps({"operation": EVIL, "user": EVIL, "host": EVIL, "pid": EVIL}))


def rule(operator: Operator) -> None:
    write(operator, "config/rollbackctl.yaml", json.dumps({EVIL: 1, "operators_group": EVIL, "roles": [EVIL]}))


def rule_for_a_group(operator: Operator) -> None:
    write(operator, "config/rollbackctl.yaml", json.dumps({"operators_group": EVIL}))


def expose(operator: Operator) -> None:
    write(operator, "risk.json", json.dumps({EVIL: {"positions": {EVIL: {"side": EVIL, "notional": EVIL}}}}))


def word_the_plan(operator: Operator) -> None:
    metadata = {"name": EVIL, "incident": EVIL, "reason": EVIL, EVIL: EVIL}
    write(operator, P, PLAN.replace("{name: inc-2025-1117-drift, incident: INC-2025-1117}", json.dumps(metadata)))


def observe(operator: Operator) -> None:
    world = json.loads(operator.call("observe", P).out)
    for report in world["reports"]:
        report |= {"summary": EVIL, "severity": EVIL, "category": EVIL, "path": EVIL}
    for version in world["versions"]:
        version |= {"quarantine": EVIL, "served": EVIL, "problems": [EVIL]} if version["version"] != "v9" else {}
    world["journal"]["malformed"] = [EVIL]
    write(operator, "world.json", json.dumps(world))


LOOKS = (("plan", P, "--check"), ("status",), ("apply", P, "--yes"), ("hold", "--incident", "INC-2025-1117"))
# What has a say, in which workspace, and the commands that show it.
SAYINGS: dict[str, tuple[Callable[[Operator], None], str, tuple[tuple[str, ...], ...]]] = {
    "a sign-off": (sign, "fresh", (*LOOKS, SIGN)),
    "the name of a report": (name_a_report, "fresh", LOOKS),
    "a report of no version": (name_no_version, "fresh", LOOKS),
    "an alias": (rename_alias, "fresh", LOOKS),
    "an alias that leads nowhere": (dangle, "fresh", LOOKS),
    "the files of a manifest": (move_files, "fresh", LOOKS),
    "an artifact": (break_artifact, "fresh", LOOKS),
    "serving.json": (serve, "fresh", LOOKS),
    "the scheduler": (schedule, "fresh", (*LOOKS, ("hold", "--release"))),
    "the scheduler in a run": (schedule, "waiting", LOOKS),
    "a quarantine": (withdraw, "fresh", LOOKS),
    "a quality record": (champion, "fresh", (("plan", P),)),
    "an engine": (register, "fresh", LOOKS),
    "the policy": (rule, "fresh", (*LOOKS, ("runs",))),
    "the operators' group": (rule_for_a_group, "fresh", LOOKS),
    "open exposure": (expose, "fresh", (("hold", "--risk-snapshot", "risk.json"),)),
    "the rollback plan": (word_the_plan, "fresh", (("plan", P), ("validate", P), ("apply", P, "--yes"))),
    "an observation": (observe, "fresh", (("plan", P, "--world", "world.json"),)),
}


def steering(text: str) -> list[str]:
    """What of an output is not one of our own lines in characters that show themselves."""
    hidden = [hex(ord(sign)) for sign in text if sign != "\n" and unicodedata.category(sign)[0] == "C"]
    return hidden + [line for line in text.splitlines() if line.strip().casefold() == EVIL.splitlines()[1]]


@pytest.mark.parametrize("saying", SAYINGS)
def test_what_a_file_says_is_shown_as_text(trees: dict[str, Path], tmp_path: Path, saying: str) -> None:
    tell, tree, commands = SAYINGS[saying]
    operator = Operator(Path(shutil.copytree(trees[tree], tmp_path / "ws")))
    tell(operator)

    answers = [operator.call(*argv) for argv in commands]

    shown = "".join(answer.out + answer.err for answer in answers)
    assert steering(shown) == []
    assert "\\x1b[2" in shown
    assert "Traceback" not in shown


def test_the_names_of_account_and_host_are_shown_as_text(
    trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator(Path(shutil.copytree(trees["fresh"], tmp_path / "ws")))
    monkeypatch.setattr("rollbackctl.engine.workspace.account_name", lambda _: EVIL)
    answers = [operator.call("hold", "--incident", "INC-2025-1117", "--reason", EVIL)]
    answers += [operator.call(*argv) for argv in [("apply", P, "--yes"), ("apply", P, "--yes"), ("status",), ("runs",)]]
    run = answers[-1].out.splitlines()[1].split()[0]
    (operator.root / "plans/other.yaml").write_text(PLAN.replace("inc-2025-1117-drift", "other"))
    answers += [operator.call(*argv) for argv in [("apply", "plans/other.yaml", "--yes"), ("report", run), SIGN]]
    answers += [operator.call("abandon", run, "--reason", EVIL)]
    monkeypatch.setattr("socket.gethostname", lambda: EVIL)
    answers += [operator.call(*argv) for argv in [("plan", P), ("hold", "--incident", "INC-B"), ("apply", P, "--yes")]]

    assert [steering(answer.out + answer.err) for answer in answers] == [[]] * len(answers)
    assert "continuing run" in answers[2].err
    assert "begun by evil\\x1b[2K" in answers[2].err


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("answer", "phase"), [(Answer.WAITS, Phase.RELEASE), (Answer.BLOCK, Phase.SECURE), (Answer.BLOCK, Phase.RESTORE)]
)
def test_a_plan_in_text_has_no_line_but_its_own(name: str, answer: Answer, phase: Phase) -> None:
    hostile, harmless = document(NAMES[name], answer, phase), document("x", answer, phase)

    assert steering(render(hostile)) == []
    assert len(render(hostile).splitlines()) == len(render(harmless).splitlines())
    assert steering("".join(next_commands(hostile, NAMES[name]))) == []
