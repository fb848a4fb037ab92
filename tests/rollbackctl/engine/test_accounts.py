"""Several accounts and hosts on one workspace: who may continue a run, and who is told what."""

import grp
import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_core.foundation.lock import FileLock
from rollbackctl.core.errors import LockedError
from rollbackctl.engine.rollback import find_run
from rollbackctl.engine.runs import STORE
from rollbackctl.engine.session import Session
from rollbackctl.engine.workspace import Actor, Workspace, read_spec
from tests.on_call import Answer, Operator

GROUP = "users"
FIRST, SECOND = "daemon", "games"


@pytest.fixture
def shared() -> Iterator[Operator]:
    """A workspace that two accounts of one group share, at a place that both can reach."""
    assert os.geteuid() == 0, "this test changes accounts: run it as root, as CI does"
    folder = Path(tempfile.mkdtemp(prefix="rollbackctl-accounts-"))
    folder.chmod(0o755)
    operator = Operator.at(folder / "ws")
    (operator.root / "config/rollbackctl.yaml").write_text(f"operators_group: {GROUP}\n", encoding="utf-8")
    gid = grp.getgrnam(GROUP).gr_gid
    for path in (operator.root, *operator.root.rglob("*")):
        os.chown(path, 0, gid)
        path.chmod(0o2775 if path.is_dir() else 0o664)
    try:
        yield operator
    finally:
        shutil.rmtree(folder)


def _as(account: str, operator: Operator, *argv: str, groups: bool = True) -> Answer:
    """Run a command as another account, in a child of this process."""
    operator.call("plan", "plans/inc.yaml")  # the child may not be able to import what was not imported before
    entry, gid = pwd.getpwnam(account), grp.getgrnam(GROUP).gr_gid
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setgroups([gid] if groups else [])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.environ.update(LOGNAME=account, USER=account)
            os.umask(0o022)
            answer = operator.call(*argv)
            with os.fdopen(writer, "w", encoding="utf-8") as stream:
                json.dump([answer.code, answer.out, answer.err], stream)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        told = stream.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return Answer(*json.loads(told))


def test_a_colleague_of_the_operators_group_continues_a_run_and_the_report_names_both(shared: Operator) -> None:
    begun = _as(FIRST, shared, "apply", "plans/inc.yaml", "--yes")
    for role in ("risk", "compliance", "data_governance"):
        arguments = ("--plan", "plans/inc.yaml", "--role", role, "--status", "approved", "--by", "A. Nowak")
        assert _as(SECOND, shared, "sign-off", *arguments).code == 0
    ended = _as(SECOND, shared, "apply", "plans/inc.yaml")

    assert (begun.code, ended.code) == (3, 0), ended.err
    (run,) = (shared.root / STORE / "runs").iterdir()
    report = json.loads((run / "report.json").read_bytes())
    assert report["started_by"].partition("@")[0] == FIRST
    assert [person.partition("@")[0] for person in report["continued_by"]] == [SECOND]


def test_the_store_of_a_group_is_open_to_the_group_and_to_nobody_else(shared: Operator) -> None:
    _as(FIRST, shared, "apply", "plans/inc.yaml", "--yes")

    paths = [shared.root / STORE, *(shared.root / STORE).rglob("*")]
    assert {oct(path.stat().st_mode & 0o7777) for path in paths if path.is_dir()} == {"0o2770"}
    assert {oct(path.stat().st_mode & 0o7777) for path in paths if path.is_file()} == {"0o660"}
    assert {grp.getgrgid(path.stat().st_gid).gr_name for path in paths} == {GROUP}


def test_without_a_group_the_store_belongs_to_one_account(shared: Operator) -> None:
    (shared.root / "config/rollbackctl.yaml").unlink()
    _as(FIRST, shared, "apply", "plans/inc.yaml", "--yes")

    answer = _as(SECOND, shared, "apply", "plans/inc.yaml", "--yes")

    assert answer.code == 8
    assert f"the run store {STORE} belongs to another account" in answer.err
    assert "have the policy name an operators_group" in answer.err


def test_a_store_that_anybody_may_write_is_refused(shared: Operator) -> None:
    shared.call("apply", "plans/inc.yaml", "--yes")
    (shared.root / STORE).chmod(0o777)

    answer = shared.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 8
    assert "may be written by others (mode 777)" in answer.err
    assert f"chmod 700 {STORE}" in answer.err


def test_a_run_is_continued_on_its_own_host_only(tmp_path: Path) -> None:
    operator = Operator.at(tmp_path / "ws")
    operator.call("apply", "plans/inc.yaml", "--yes")
    workspace = Workspace(operator.root, lambda: operator.now, Actor("a.nowak", 1, "host-b", 2))
    session = Session.open(workspace, lambda _: None, lambda: None)
    spec = read_spec(operator.root / "plans/inc.yaml", workspace.registry)

    with pytest.raises(LockedError, match=r"was begun on host .*; this is host-b") as refusal:
        find_run(session, spec)

    assert f"on {os.uname().nodename}: rollbackctl apply PLAN" in refusal.value.hint


def test_whoever_meets_the_lock_is_told_who_holds_it(tmp_path: Path) -> None:
    operator = Operator.at(tmp_path / "ws")
    operator.call("hold")
    lock = FileLock(operator.root / STORE / "lock")
    holder = {
        "operation": "apply",
        "user": "j.kowal",
        "host": "host-a",
        "pid": 4711,
        "since": "08:00",
        "version": "0.1.0",
    }

    with lock.hold():
        lock.write_holder(holder)
        answer = operator.call("apply", "plans/inc.yaml", "--yes")
    after = operator.call("apply", "plans/inc.yaml", "--yes")

    assert answer.code == 7
    assert "locked by apply of j.kowal on host-a, pid 4711, since 08:00, version 1" in answer.err
    assert after.code == 3
