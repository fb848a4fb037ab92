"""Planted faults: each is a patch in `seeded/` that breaks one promise, and names the tests that must catch it.

The head of a patch says, in lines of their own before the difference, what it breaks and which tests catch it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "seeded"
PATIENCE_S = 300.0
_COPIED = ("bot_core", "rollbackctl", "schemas", "scripts", "tests", "pyproject.toml")
_HEAD = re.compile(r"^(Breaks|Caught by): (.+)$", re.MULTILINE)
_TARGET = re.compile(r"^\+\+\+ b/(.+)$", re.MULTILINE)
_QUIET = ("no:randomly", "no:xdist", "no:cacheprovider", "no:cov")


@dataclass(frozen=True)
class Seed:
    """One planted fault.

    Attributes:
        path: The patch.
        breaks: What it breaks, in a sentence.
        tests: Node ids of the tests that must fail with it; without parameters, one case of a test is enough.
        files: What it changes.
    """

    path: Path
    breaks: str
    tests: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """The patch's name, in the order in which the table has them."""
        return self.path.stem


@dataclass(frozen=True)
class Verdicts:
    """How tests ended on a copy: the packages that they tried, and `passed`, `caught` or an error by node id."""

    packages: tuple[str, ...]
    by_test: dict[str, str]

    def of(self, test: str) -> set[str]:
        """The verdicts of a test, or of all its cases; none where `make test` does not have it."""
        return {verdict for found, verdict in self.by_test.items() if found == test or found.startswith(f"{test}[")}


def seeds() -> list[Seed]:
    """Every planted fault, by number."""
    return [_read(path) for path in sorted(FOLDER.glob("*.patch"))]


def _read(path: Path) -> Seed:
    text = path.read_text(encoding="utf-8")
    found = _HEAD.findall(text.partition("\n--- ")[0])
    breaks = [value for key, value in found if key == "Breaks"]
    tests = tuple(value for key, value in found if key == "Caught by")
    assert len(breaks) == 1, f"{path.name}: its head must say once what it breaks, as in 'Breaks: …'"
    assert tests, f"{path.name}: its head must name a test, as in 'Caught by: tests/…::test_…'"
    return Seed(path, breaks[0], tests, tuple(_TARGET.findall(text)))


def copied(folder: Path) -> Path:
    """Copy the packages, and their tests, to a folder; what a patch does there the sources never see."""
    copy = folder / "copy"
    copy.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name)
        else:
            shutil.copy2(source, copy / name)
    return copy


@contextmanager
def planted(seed: Seed, copy: Path) -> Iterator[None]:
    """A copy with a fault in it, taken out again at the end."""
    clean = {name: (copy / name).read_bytes() for name in seed.files}
    _apply(seed, copy)
    try:
        yield
    finally:
        for name, data in clean.items():
            (copy / name).write_bytes(data)


def _apply(seed: Seed, copy: Path) -> None:
    command = ["git", "apply", "--recount", "-C1", os.fspath(seed.path)]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": os.fspath(copy.parent)}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"{seed.path.name} does not apply any more: {done.stderr.strip()}\n"
        f"make the same fault by hand in {', '.join(seed.files)}, keep `git diff -U1` below the patch's head, and take "
        "the fault out again"
    )


def tried(tests: Iterable[str], copy: Path) -> Verdicts:
    """Run tests of `make test` on a copy, in a process of their own."""
    report = copy.parent / "verdicts.json"
    report.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST_"))}
    environment |= {"PYTHONPATH": os.fspath(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", "pytest", "-q", "--tb=short", "-m", "not reliability"]
    command += [part for name in _QUIET for part in ("-p", name)]
    command += ["-p", "tests.reliability.verdicts", "--verdicts", os.fspath(report)]
    command += ["--basetemp", os.fspath(copy.parent / "base"), *tests]
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert report.exists(), f"the tests cannot be run on a copy:\n{done.stdout}{done.stderr}"
    found = json.loads(report.read_text())
    return Verdicts(tuple(found["packages"]), found["verdicts"])


def table() -> str:
    """The table of all planted faults, as docs/reliability.md has it."""
    known = seeds()
    lines = [
        f"{len(known)} faults, and what catches each:",
        "",
        "| planted fault | breaks | caught by |",
        "| --- | --- | --- |",
    ]
    for seed in known:
        tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in seed.tests)
        lines.append(f"| {seed.name} | {seed.breaks} | {tests} |")
    return "\n".join(lines)
