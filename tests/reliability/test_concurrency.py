"""Many at work on one workspace: one wins, nobody loses a write; and holders that freeze, die, or lose their lock."""

import time
from collections.abc import Callable

import pytest

from rollbackctl.engine.history import read_history
from rollbackctl.engine.runs import FileRunStore
from tests.harness import PLAN, Site, new_site, quick_folder
from tests.reliability.rounds import DEALS, SCHEDULE, Rounds, deals
from tests.reliability.same_end import require_none

Figures = Callable[[str, dict[str, int]], None]


@pytest.mark.parametrize("number", [len(DEALS), pytest.param(100, marks=pytest.mark.reliability)])
def test_of_many_at_once_one_works_and_no_write_is_lost_or_doubled(number: int, figures: Figures) -> None:
    with quick_folder() as folder:
        rounds, begun = Rounds(new_site(folder / "ws")), time.monotonic()
        pause = rounds.site.state(SCHEDULE)["paused_reason"]
        for place, deal in enumerate(deals(number)):
            rounds.play(place, deal)
        ms = round(1000 * (time.monotonic() - begun))

        require_none(rounds.problems())
        assert rounds.end().code == 0
        assert is_at_the_end(rounds.site, pause)

    counted = {"rounds": number, "trials": 8 * number, "winners": rounds.winners, "waits": rounds.waits}
    figures("concurrency", counted | {"ms": ms})


def is_at_the_end(site: Site, pause: str) -> bool:
    """Whether the target serves and nothing is held; what was paused before is paused again."""
    serving, schedule = site.state("var/models/serving.json"), site.state(SCHEDULE)
    return (
        site("plan", PLAN, "--detailed-exitcode").out.startswith("No changes.")
        and read_history(FileRunStore(site.root)).holds == ()
        and site.state("models/decision_engine/manifest.json")["active"] == "v9"
        and (serving["attached"], {model["version"] for model in serving["models"].values()}) == (True, {"v9"})
        and b"maintenance: false" in (site.root / "config/auto_trader.yaml").read_bytes()
        and schedule["paused_reason"] == pause
    )
