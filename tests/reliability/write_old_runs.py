"""What a released version leaves in a workspace: run folders in every standing, and saved plans.

Usage, once for each release, before it: python -m tests.reliability.write_old_runs

It writes `old_runs/<version>/<case>/`: what differs from the public workspace, in `files`, and what is gone, in `gone`.
Never write those of an earlier version again: they are what people have on their disks.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from rollbackctl import VERSION
from tests.faults import Crash, count_acts, crashing
from tests.harness import INCIDENT, NOW, PLAN, SAVED, STEPS, STORE, TESTS, Site

PUBLIC = TESTS / "fixtures" / "ws_public"
OLD_RUNS = Path(__file__).parent / "old_runs"
HOST = "host-1"
_SPEC = f"""\
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata: {{name: inc-2025-1117-drift, incident: {INCIDENT}, reason: data_drift_alert}}
spec: {{model: {{}}}}
"""


def finished(site: Site) -> None:
    """A run that ended."""
    site.sign()
    assert site.apply().code == 0


def waiting(site: Site) -> None:
    """A run that waits for sign-offs, with its holds in place."""
    assert site.apply().code == 3


def interrupted(site: Site) -> None:
    """A run that was asked to stop in the middle."""
    site.sign()
    assert site.interrupted(STEPS // 2).code == 130


def crashed(site: Site) -> None:
    """A run whose process was gone while it wrote a line of its journal, in the middle."""
    site.sign()
    with tempfile.TemporaryDirectory() as folder:
        acts = count_acts(site.copy(Path(folder) / "ws").apply)
    for act in range(acts // 2, acts):
        with tempfile.TemporaryDirectory() as folder:
            copy = site.copy(Path(folder) / "ws")
            with suppress(Crash), crashing(at=act, when="midway"):
                copy.apply()
            if not (copy.runs()[-1] / "journal.jsonl").read_bytes().endswith(b"\n"):
                shutil.rmtree(site.root)
                copy.copy(site.root)
                return


def held(site: Site) -> None:
    """A hold in force."""
    assert site("hold", "--incident", INCIDENT, "--reason", "drift alert 5.12").code == 0


def abandoned(site: Site) -> None:
    """A run that was closed, with its holds in place."""
    waiting(site)
    assert site("abandon", site.runs()[-1].name, "--reason", "another target").code == 0


def undone(site: Site) -> None:
    """A run that was led back."""
    finished(site)
    assert site("undo", site.runs()[-1].name, "--yes").code == 0


def saved(site: Site) -> None:
    """A saved plan that nobody has applied."""
    site.save()


def saved_and_begun(site: Site) -> None:
    """A saved plan whose run waits."""
    site.save()
    assert site("apply", SAVED).code == 3


CASES: dict[str, Callable[[Site], None]] = {
    case.__name__: case
    for case in (finished, waiting, interrupted, crashed, held, abandoned, undone, saved, saved_and_begun)
}


def restore(written: Path, root: Path) -> Site:
    """Return the workspace that a case was written from."""
    shutil.copytree(PUBLIC, root)
    shutil.copytree(written / "files", root, dirs_exist_ok=True)
    for name in (written / "gone").read_text().splitlines():
        (root / name).unlink()
    if (root / STORE).exists():
        (root / STORE).chmod(0o700)  # git keeps no modes
    return Site(root, NOW + timedelta(hours=1), HOST)


def main() -> None:
    """Write every case of the present version."""
    version = OLD_RUNS / VERSION
    shutil.rmtree(version, ignore_errors=True)
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(shutil.copytree(PUBLIC, Path(folder) / "ws"))
            (root / PLAN).parent.mkdir()
            (root / PLAN).write_text(_SPEC)
            case(Site(root, NOW, HOST))
            _write(root, version / name)
        print(f"wrote {version / name}")


def _write(root: Path, written: Path) -> None:
    files = {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    for name, data in files.items():
        if not (PUBLIC / name).is_file() or (PUBLIC / name).read_bytes() != data:
            (written / "files" / name).parent.mkdir(parents=True, exist_ok=True)
            (written / "files" / name).write_bytes(data)
    public = (path.relative_to(PUBLIC) for path in sorted(PUBLIC.rglob("*")) if path.is_file())
    (written / "gone").write_text("".join(f"{name}\n" for name in public if name not in files))


if __name__ == "__main__":
    main()
