import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bot_core.ai.drift.windows import write_parquet
from tests.cluster import Members, running
from tests.harness import PLAN, Done, Site, new_site
from tests.measurements import rows_like

WINDOW = "data/features"
V9 = "models/decision_engine/model-v9.json"
SPEC = f"""\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {{name: inc-2025-1117-drift, incident: INC-2025-1117}}
spec:
  model: {{}}
  gates:
    data_drift: {{window: {{path: {WINDOW}}}}}
  checks: {{data_drift: {{}}}}
"""
MEASURING = [
    ("observe", PLAN),
    ("plan", PLAN, "--format", "json"),
    ("targets", PLAN, "--format", "json"),
    ("drift", PLAN, "--version", "v9"),
    ("baseline", "v9", "--from", WINDOW),
    ("export-target", PLAN),
    ("sign-off", "--plan", PLAN, "--role", "risk", "--status", "approved", "--by", "J. Kowal"),
]


@dataclass(frozen=True)
class Named(Site):
    """A workspace whose operator's environment names a scheduler."""

    scheduler: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"ROLLBACKCTL_SCHEDULER": self.scheduler}


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    with running(tmp_path_factory.mktemp("cluster"), workers=2) as found:
        yield found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A workspace with production rows that look like the training rows of v9, in four files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = new_site(tmp_path / "ws", signed=False)
    for number in range(4):
        write_parquet(site.root / WINDOW / f"{number}.parquet", rows_like(site.root / V9, seed=number))
    (site.root / PLAN).write_text(SPEC)
    return site


@pytest.mark.parametrize("command", MEASURING, ids=lambda command: command[0])
def test_a_command_gives_the_same_on_a_cluster(members: Members, site: Site, command: tuple[str, ...]) -> None:
    other = site.copy(site.root.parent / "other" / "ws")

    on_cluster = other(*command, "--scheduler", members.url)

    here = site(*command)
    assert (on_cluster.code, on_cluster.out) == (here.code, here.out)
    assert on_cluster.code == 0
    assert other.files() == site.files()


@pytest.mark.parametrize("command", [*MEASURING, ("apply", PLAN, "--yes")], ids=lambda command: command[0])
def test_a_command_that_measures_has_the_rows_counted_there_and_nowhere_else(
    site: Site, command: tuple[str, ...]
) -> None:
    files = site.files()

    for done in (
        site(*command, "--scheduler", "tls://127.0.0.1:1"),
        Named(site.root, scheduler="tls://127.0.0.1:1")(*command),
    ):
        # An observation is of use without its window; what is wrong with that is in it.
        assert done.code == (0 if command[0] == "observe" else 8)
        assert "tls://127.0.0.1:1 needs certificates" in done.err + done.out
    assert site.files() == files


def test_a_rollback_is_checked_on_the_cluster(members: Members, site: Site) -> None:
    replay = f"replay: {{window: {{path: {WINDOW}}}}}"
    (site.root / PLAN).write_text(SPEC.replace("  checks:", f"    {replay}\n  checks:"))
    site.sign()

    done = site("apply", PLAN, "--yes", "--scheduler", members.url)

    assert done.code == 0, done
    assert "gate replay: pass" in done.err
    assert re.search("check data_drift: pass, v9.* against 4,000 rows", done.err)


def test_what_the_command_names_beats_the_environment(site: Site) -> None:
    named = Named(site.root, scheduler="tls://127.0.0.1:1")

    assert "tls://127.0.0.1:2 needs" in named("targets", PLAN, "--scheduler", "tls://127.0.0.1:2").err


@pytest.mark.parametrize("command", [("hold",), ("status",)], ids=lambda command: command[0])
def test_a_scheduler_is_in_nobodys_way_who_does_not_need_it(site: Site, command: tuple[str, ...]) -> None:
    done = Named(site.root, scheduler="tcp://10.0.0.1:8786")(*command)

    assert done.code == 0, done


def refused(done: Done) -> str:
    assert done.code == 64
    return done.err


def test_an_address_that_is_not_safe_is_wrong_use(site: Site) -> None:
    text = refused(site("targets", PLAN, "--scheduler", "tcp://10.0.0.1:8786"))

    assert "error: tcp://10.0.0.1:8786 is not on this machine" in text
    assert "next: start the scheduler with certificates and name tls://10.0.0.1:8786" in text


def test_a_password_is_not_repeated(site: Site) -> None:
    assert "secret" not in refused(site("plan", PLAN, "--scheduler", "tls://ops:secret@scheduler:8786"))
