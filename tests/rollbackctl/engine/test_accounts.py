"""Several accounts on one workspace: colleagues of the operators' group continue each other's runs, nobody else may."""

import grp
import json
import os
import pwd
import socket
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rollbackctl.engine.runs import FileRunStore
from tests.faults import Crash, count_acts, crashing
from tests.harness import INCIDENT, PLAN, STEPS, STORE, Done, Site, names, new_site, quick_folder

GROUP = "users"
FIRST, COLLEAGUE, STRANGER = "daemon", "games", "nobody"
HOST = socket.gethostname()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account reaches; only root can be several accounts."""
    if os.geteuid() != 0:
        pytest.fail("several accounts can only be tried as root; run this test as root, as CI does")
    with quick_folder() as path:
        path.chmod(0o755)
        yield path


@pytest.fixture
def site(folder: Path) -> Site:
    """A workspace of the operators' group, readable by everybody."""
    site = new_site(folder / "ws")
    (site.root / "config/rollbackctl.yaml").write_text(f"operators_group: {GROUP}\n")
    site.copy(folder / "warm").ok(
        "apply", PLAN, "--yes"
    )  # the accounts cannot read root's own Python: import it all now
    hand_over(site.root, group=GROUP)
    return site


def hand_over(root: Path, *, group: str | None) -> None:
    account = pwd.getpwnam(FIRST)
    gid = grp.getgrnam(group).gr_gid if group else account.pw_gid
    for path in (root, *root.rglob("*")):
        os.chown(path, account.pw_uid, gid)
        path.chmod(0o2775 if path.is_dir() else 0o664)


def as_account(name: str, act: Callable[[], Done], *, in_group: bool = True) -> Done:
    """Do something as another account, in a child of this process."""
    account, reader_writer = pwd.getpwnam(name), os.pipe()
    reader, writer = reader_writer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of xdist do not matter to the child
        child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.close(reader)
            os.setgroups([grp.getgrnam(GROUP).gr_gid] if in_group else [])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            os.umask(0o027)
            done = act()
            with open(writer, "w") as pipe:
                json.dump([done.code, done.out, done.err], pipe)
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return Done(*json.loads(answer))


def modes(site: Site) -> dict[str, tuple[str, str]]:
    """Mode and group of everything in the run store that is not as it should be for the operators."""
    found = {}
    for path in (site.root / STORE, *(site.root / STORE).rglob("*")):
        status = path.stat()
        mode, group = f"{stat.S_IMODE(status.st_mode):o}", grp.getgrgid(status.st_gid).gr_name
        if (mode, group) != ("2770" if path.is_dir() else "660", GROUP):
            found[path.relative_to(site.root).as_posix()] = mode, group
    return found


@pytest.mark.parametrize("step", [1, 7, 14, 17])
def test_a_colleague_continues_the_run_and_the_report_names_both(step: int, site: Site) -> None:
    stopped = as_account(FIRST, lambda: site.interrupted(step))
    done = as_account(COLLEAGUE, site.apply)

    report = json.loads((site.runs()[0] / "report.json").read_bytes())

    assert (stopped.code, done.code) == (130, 0), (stopped, done)
    assert report["started_by"] == f"{FIRST}@{HOST}"
    assert report["continued_by"] == [f"{COLLEAGUE}@{HOST}"]
    assert names(done.out, [f"{FIRST}@{HOST}", f"{COLLEAGUE}@{HOST}"]) == []
    assert [event["actor"] for event in site.events()] == [f"{FIRST}@{HOST}", f"{COLLEAGUE}@{HOST}"]
    assert len(site.entries("done")) == STEPS
    assert modes(site) == {}


def test_the_files_of_the_workspace_stay_the_groups(site: Site) -> None:
    before = {path: (path.stat().st_mode, path.stat().st_gid) for path in site.root.rglob("*") if path.is_file()}

    as_account(FIRST, lambda: site.interrupted(9))
    done = as_account(COLLEAGUE, site.apply)

    assert done.code == 0, done
    kept = {path: (path.stat().st_mode, path.stat().st_gid) for path in before}
    assert kept == before
    added = [p for p in site.root.rglob("*") if p not in before and not p.is_relative_to(site.root / STORE)]
    closed = [p.name for p in added if p.stat().st_gid != grp.getgrnam(GROUP).gr_gid or not p.stat().st_mode & 0o060]
    assert closed == []


def test_a_colleague_may_hold_release_lead_back_and_abandon(site: Site) -> None:
    as_account(FIRST, lambda: site.interrupted(9))

    held = as_account(COLLEAGUE, lambda: site("hold", "--incident", INCIDENT))
    run = site.runs()[0].name
    closed = as_account(COLLEAGUE, lambda: site("abandon", run, "--reason", "another target"))
    again = as_account(FIRST, site.apply)
    (second,) = [path.name for path in site.runs() if path.name != run]
    undone = as_account(COLLEAGUE, lambda: site("undo", second, "--yes"))

    assert [done.code for done in (held, closed, again, undone)] == [0, 0, 0, 0], (held, closed, again, undone)
    assert modes(site) == {}


def test_a_colleague_is_told_who_works_there(site: Site) -> None:
    def first() -> Done:
        refused = []
        done = site.disturbed(9, lambda: refused.append(as_colleague_of(site)))
        return Done(done.code, "", refused[0].err)

    told = as_account(FIRST, first)

    assert told.code == 0
    assert f"locked by apply of {FIRST} on {HOST}, pid " in told.err


def as_colleague_of(site: Site) -> Done:
    """A second call from the same account: what it is told does not depend on who asks."""
    return site("hold", "--release")


def test_the_account_is_not_taken_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "somebody-else")

    done = as_account(FIRST, site.apply)

    assert done.code == 0, done
    assert site.events()[0]["actor"] == f"{FIRST}@{HOST}"


@pytest.mark.parametrize("command", [("apply", PLAN, "--yes"), ("hold",), ("status",)], ids=lambda command: command[0])
def test_an_account_without_the_group_is_refused(command: tuple[str, ...], site: Site) -> None:
    as_account(FIRST, lambda: site.interrupted(9))
    before = site.files()

    refused = as_account(STRANGER, lambda: site(*command), in_group=False)

    assert refused.code == 8, refused
    assert names(refused.err, [STORE, "belongs to another account", FIRST, "operators_group"]) == []
    assert site.files() == before


def test_without_a_group_in_the_policy_the_store_is_the_first_accounts_own(site: Site) -> None:
    (site.root / "config/rollbackctl.yaml").unlink()
    as_account(FIRST, lambda: site.interrupted(9))
    store = site.root / STORE
    found = {f"{stat.S_IMODE(path.stat().st_mode) & 0o777:o}" for path in (store, *store.rglob("*"))}

    refused = as_account(COLLEAGUE, site.apply)

    assert found == {"700", "600"}
    assert refused.code == 8, refused
    assert names(refused.err, ["belongs to another account", FIRST, "operators_group"]) == []


@pytest.mark.parametrize(("mode", "grouped"), [(0o777, True), (0o2772, True), (0o770, False), (0o702, False)])
@pytest.mark.parametrize("command", [("apply", PLAN, "--yes"), ("status",), ("runs",)], ids=lambda command: command[0])
def test_a_store_that_others_may_write_is_refused(
    mode: int, grouped: bool, command: tuple[str, ...], site: Site
) -> None:
    if not grouped:
        (site.root / "config/rollbackctl.yaml").unlink()
    as_account(FIRST, lambda: site.interrupted(9))
    (site.root / STORE).chmod(mode)
    before = site.files()

    refused = as_account(FIRST, lambda: site(*command))

    assert refused.code == 8, refused
    assert names(refused.err, [STORE, "may be written by others", f"{mode:o}", "chmod"]) == []
    assert site.files() == before


def test_a_store_that_is_a_link_is_refused(site: Site, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (site.root / STORE).symlink_to(folder / "elsewhere")

    refused = site.apply()

    assert refused.code == 8
    assert list((folder / "elsewhere").iterdir()) == []


def test_a_group_that_does_not_exist_is_named(site: Site) -> None:
    (site.root / "config/rollbackctl.yaml").write_text("operators_group: no-such-group\n")

    refused = site.apply()

    assert refused.code == 8
    assert "there is no group no-such-group" in refused.err


def test_a_crash_while_the_store_is_made_does_not_lock_the_colleagues_out(site: Site, folder: Path) -> None:
    def begin(root: Path) -> None:
        store = FileRunStore(root, GROUP)
        with store.lock({"operation": "apply"}, 0.0) as name_holder:
            store.create("r1", {})
            name_holder()

    clean = folder / "clean"
    clean.mkdir()
    for at in range(1, count_acts(lambda: begin(clean)) + 1):
        crashed = Site(folder / f"crashed{at}")
        crashed.root.mkdir()
        with crashing(at=at, when="after") as acts, suppress(Crash):
            begin(crashed.root)

        begin(crashed.root)

        assert acts.crashed
        assert modes(crashed) == {}, acts.names
