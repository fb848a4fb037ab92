"""A crash at any act of one command, and then another command: what was held is never taken for what was there."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults import Crash, When, crashing, every_crash
from tests.harness import INCIDENT, PLAN, Site, new_site, quick_folder

OTHER = "INC-2099-0001"
HOLD = ("hold", "--incident", INCIDENT)
APPLY = ("apply", PLAN, "--yes")
CONFIG, SCHEDULE = "config/auto_trader.yaml", "audit/ai_decision/scheduler.json"


def last_run(site: Site) -> str:
    """The newest run that has begun; "none" where there is none."""
    begun = [path for path in site.runs() if (path / "journal.jsonl").exists()]
    return begun[-1].name if begun else "none"


def call(site: Site, *commands: tuple[str, ...]) -> None:
    """Call commands; what a later one cannot do after an earlier one is refused, and says so."""
    for command in commands:
        done = site(*(last_run(site) if arg == "RUN" else arg for arg in command))
        assert done.code in (0, 3, 7, 8), done


def held_state(site: Site) -> Mapping[str, object]:
    """What holds change, as it is; the instant of the last change of the schedule aside."""
    schedule = {key: value for key, value in site.state(SCHEDULE).items() if "updated" not in key}
    serving = site.root / "var/models/serving.json"
    attached = site.state("var/models/serving.json")["attached"] if serving.exists() else True
    return {
        "config": (site.root / CONFIG).read_bytes(),
        "paused": (schedule["paused_until"], schedule["paused_reason"]),
        "attached": attached,
        "status": "Held      nothing" in site("status").out,
    }


def nothing(_: Site) -> None:
    """The workspace as it came."""


def held(site: Site) -> None:
    site.ok(*HOLD)


def applied(site: Site) -> None:
    site.ok(*APPLY)


ABANDON = ("abandon", "RUN", "--reason", "x")
UNDO = ("undo", "RUN", "--yes")
RELEASE = ("hold", "--release", "--incident", INCIDENT)
OTHERS = (("hold", "--incident", OTHER), ("hold", "--release", "--incident", OTHER))
CASES: dict[str, tuple[Callable[[Site], None], tuple[str, ...], tuple[tuple[str, ...], ...]]] = {
    "apply, abandon, apply": (nothing, APPLY, (ABANDON, APPLY)),
    "apply, undo, apply": (nothing, APPLY, (UNDO, APPLY)),
    "apply, another hold and its release, apply": (nothing, APPLY, (*OTHERS, APPLY)),
    "apply, hold, abandon, apply": (nothing, APPLY, (HOLD, ABANDON, APPLY)),
    "hold, abandon, release": (nothing, HOLD, (ABANDON, RELEASE)),
    "hold, another hold and its release, release": (nothing, HOLD, (*OTHERS, HOLD, RELEASE)),
    "release, hold, release": (held, RELEASE, (HOLD, RELEASE)),
    "release, hold, apply": (held, RELEASE, (HOLD, APPLY)),
    "release, another hold and its release, release": (held, RELEASE, (*OTHERS, RELEASE)),
    "undo, abandon or else undo, apply": (applied, UNDO, (ABANDON, UNDO, APPLY)),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


def broken(name: str, folder: Path, part: slice) -> list[str]:
    """Crash the first command at some of its acts, call the others, and name each place where they end otherwise."""
    prepare, command, following = CASES[name]
    before, clean = new_site(folder / "before"), folder / "clean"
    prepare(before)
    target = before.copy(clean)
    with crashing() as acts:
        call(target, command)
    call(target, *following)
    wanted = held_state(target)
    problems = []
    for at, when in tuple(every_crash(acts))[part]:
        found = end_of(before, folder / "crashed", at, when, (command, *following))
        problems += [
            f"{when} act {at} ({acts.names[at - 1]}): {key} is {found[key]!r}"
            for key in wanted
            if found[key] != wanted[key]
        ]
    return problems


def end_of(
    before: Site, root: Path, at: int, when: When, commands: tuple[tuple[str, ...], ...]
) -> Mapping[str, object]:
    shutil.rmtree(root, ignore_errors=True)
    site = before.copy(root)
    with crashing(at=at, when=when) as acts, suppress(Crash):
        call(site, commands[0])
    assert acts.crashed
    call(site, *commands[1:])
    return held_state(site)


@pytest.mark.parametrize("name", CASES)
def test_another_command_after_a_crash_at_some_acts_loses_nothing_of_what_was_held(name: str, folder: Path) -> None:
    assert broken(name, folder, slice(7, None, 67)) == []


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("name", CASES)
def test_another_command_after_a_crash_at_any_act_loses_nothing_of_what_was_held(
    name: str, part: int, folder: Path
) -> None:
    assert broken(name, folder, slice(part, None, 8)) == []
