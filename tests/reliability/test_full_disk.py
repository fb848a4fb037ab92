"""A disk that is full, read-only, somebody else's or far away: the old state stays, and the run ends as ever."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot_core.foundation.file_system import network_file_system
from tests.harness import PLAN, STORE, Done, Site, names, new_site, quick_folder
from tests.reliability.child import in_child, starve_of_disk
from tests.reliability.same_end import unlike
from tests.rollbackctl.engine.test_accounts import FIRST, as_account, hand_over

PARTS = 8
_FULL = "No space left on device"


@contextmanager
def filling(free: int) -> Iterator[list[int]]:
    """A disk with so many bytes free: the write that would need more is short, the next one fails; so does a new file.

    Yields:
        The bytes that each write has asked for.
    """
    asked: list[int] = []
    real = {name: getattr(os, name) for name in ("write", "pwrite", "open", "mkdir")}

    def full() -> bool:
        return sum(asked) >= free

    def write(name: str):
        def act(descriptor: int, data: bytes, *rest: int) -> int:
            left = free - sum(asked)
            if left <= 0:
                raise OSError(errno.ENOSPC, _FULL)
            written: int = real[name](descriptor, memoryview(data)[:left], *rest)
            asked.append(written)
            return written

        return act

    def new_file(path: str, flags: int, *args: int, **more: int) -> int:
        if flags & os.O_CREAT and full() and not os.path.lexists(path) and more.get("dir_fd") is None:
            raise OSError(errno.ENOSPC, _FULL, path)
        descriptor: int = real["open"](path, flags, *args, **more)
        return descriptor

    os.write, os.pwrite, os.open = write("write"), write("pwrite"), new_file  # type: ignore[assignment]
    try:
        yield asked
    finally:
        for name, function in real.items():
            setattr(os, name, function)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="module")
def before(folder: Path) -> Site:
    return new_site(folder / "before")


@pytest.fixture(scope="module")
def clean(before: Site, folder: Path) -> Site:
    site = before.copy(folder / "clean")
    site.ok("apply", PLAN, "--yes")
    return site


def wrong(site: Site, done: Done, clean: Site, word: str) -> Iterator[str]:
    """Say what is wrong with a run that met a disk without room, and with the one that follows when there is some."""
    if done.code != 0 and (
        done.code != 1 or names(done.err, [f"error: {word}", "\nnext: "]) or "Traceback" in done.err
    ):
        yield f"exit {done.code}: {done.err}"
    again = site.apply()
    if again.code != 0:
        yield f"the second call exits {again.code}: {again.err}"
    yield from unlike(site, clean)


def bounded(limit: int, before: Site, clean: Site, folder: Path) -> list[str]:
    site = Site(folder / "bounded")
    shutil.rmtree(site.root, ignore_errors=True)
    site = before.copy(site.root)

    def act() -> Done:
        starve_of_disk(limit)
        return site.apply()

    return [f"{limit} bytes: {problem}" for problem in wrong(site, in_child(act), clean, "File too large")]


def full_after(free: int, before: Site, clean: Site, folder: Path) -> list[str]:
    root = folder / "filling"
    shutil.rmtree(root, ignore_errors=True)
    site = before.copy(root)
    with filling(free):
        done = site.apply()
    if done.code == 0:
        return [f"{free} bytes: the full disk was not met"]
    return [f"{free} bytes: {problem}" for problem in wrong(site, done, clean, _FULL)]


def limits(clean: Site) -> list[int]:
    """Lengths to cut a file at: the middle, the last byte and the end of each entry, and of each other file."""
    found = {0, 1}
    run = clean.runs()[0]
    for path in (*run.rglob("*"), *(clean.root / "var/models").rglob("*.json")):
        data = path.read_bytes() if path.is_file() else b""
        end = 0
        for part in data.splitlines(keepends=True) if path.name == "journal.jsonl" else [data]:
            found |= {end + len(part) // 2, end + len(part) - 1, end + len(part)}
            end += len(part)
    return sorted(found - {-1})


def frees(before: Site, folder: Path) -> list[int]:
    """How many bytes may be free: up to each write, to its middle, and to the byte before its end."""
    site = before.copy(folder / "counted")
    with filling(1 << 40) as asked:
        assert site.apply().code == 0
    shutil.rmtree(site.root)
    ends = [sum(asked[:number]) for number in range(len(asked))]
    return sorted({end + part for end, size in zip(ends, asked, strict=True) for part in (0, size // 2, size - 1)})


def test_files_that_may_not_grow_at_some_lengths(before: Site, clean: Site, folder: Path) -> None:
    some = limits(clean)
    problems = [problem for limit in some[:: len(some) // 8] for problem in bounded(limit, before, clean, folder)]

    assert "\n".join(problems) == ""


def test_a_disk_that_is_full_after_some_bytes(before: Site, clean: Site, folder: Path) -> None:
    some = frees(before, folder)
    problems = [problem for free in some[:: len(some) // 8] for problem in full_after(free, before, clean, folder)]

    assert "\n".join(problems) == ""


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(PARTS))
def test_files_that_may_not_grow_at_every_length(part: int, before: Site, clean: Site, folder: Path) -> None:
    problems = [problem for limit in limits(clean)[part::PARTS] for problem in bounded(limit, before, clean, folder)]

    assert "\n".join(problems) == ""


@pytest.mark.reliability
@pytest.mark.parametrize("part", range(PARTS))
def test_a_disk_that_is_full_after_every_write(part: int, before: Site, clean: Site, folder: Path) -> None:
    some = frees(before, folder)[part::PARTS]
    problems = [problem for free in some for problem in full_after(free, before, clean, folder)]

    assert "\n".join(problems) == ""


@pytest.mark.parametrize(
    "place", [STORE, "var/models", "config", "audit/ai_decision", "models/decision_engine", "logs/decision_journal"]
)
def test_a_folder_that_may_not_be_written_is_named_and_the_run_goes_on_when_it_may(
    place: str, before: Site, folder: Path
) -> None:
    site = before.copy(folder / f"read-only-{place.replace('/', '-')}")
    hand_over(site.root, group=None)
    (site.root / place).mkdir(exist_ok=True)
    os.chown(site.root / place, 0, 0)
    (site.root / place).chmod(0o755)

    refused = as_account(FIRST, site.apply)
    hand_over(site.root / place, group=None)
    if place == STORE:
        (site.root / place).chmod(0o700)
    again = as_account(FIRST, site.apply)

    assert refused.code in (1, 8), refused
    assert "Traceback" not in refused.err
    assert "\nnext: " in refused.err
    assert again.code == 0, again
    assert len(set(site.keys())) == len(site.keys()) == 2


def test_a_run_folder_of_somebody_else_is_refused_and_untouched(before: Site, folder: Path) -> None:
    site = before.copy(folder / "foreign")
    hand_over(site.root, group=None)
    assert as_account(FIRST, lambda: site.interrupted(9)).code == 130
    run = site.runs()[0]
    os.chown(run, 0, 0)
    was = site.files()

    refused = as_account(FIRST, site.apply)

    assert refused.code in (1, 8), refused
    assert "Traceback" not in refused.err
    assert "\nnext: " in refused.err
    assert site.files() == was


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_run_store_on_a_network_file_system_is_refused(
    kind: str, before: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = before.copy(folder / f"far-{kind}")
    mounts = folder / f"mounts-{kind}"
    mounts.write_text(f"1 1 0:1 / / rw - {kind} server:/x rw\n")
    monkeypatch.setitem(network_file_system.__kwdefaults__, "mounts", mounts)
    was = site.files()

    refused = site.apply()

    assert refused.code == 8, refused
    assert kind in refused.err
    assert site.files() == was
