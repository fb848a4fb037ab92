"""What a released version leaves in a workspace: run folders in every standing, and saved plans.

Usage, once for each release, before it: python -m tests.reliability.write_old_runs

It writes `old_runs/<version>/<case>.json`, the digest of each file of the workspace by its path, and the bytes that are
not in the public workspace under their digest. Those of an earlier version are never written again: they are what
people have on their disks.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from bot_core.foundation.digest import sha256_hex
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


def restore(case: Path, root: Path) -> Site:
    """Return the workspace that a case was written from."""
    public = {sha256_hex(data): data for data in _files(PUBLIC).values()}
    for name, digest in json.loads(case.read_bytes()).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(public[digest] if digest in public else (case.parent / "bytes" / digest).read_bytes())
    if (root / STORE).exists():
        (root / STORE).chmod(0o700)
    return Site(root, NOW + timedelta(hours=1), HOST)


def main() -> None:
    """Write every case of the present version."""
    version = OLD_RUNS / VERSION
    shutil.rmtree(version, ignore_errors=True)
    (version / "bytes").mkdir(parents=True)
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(shutil.copytree(PUBLIC, Path(folder) / "ws"))
            (root / PLAN).parent.mkdir()
            (root / PLAN).write_text(_SPEC)
            case(Site(root, NOW, HOST))
            _write(root, version / f"{name}.json")
        print(f"wrote {version / name}.json")


def _write(root: Path, case: Path) -> None:
    public, files = {sha256_hex(data) for data in _files(PUBLIC).values()}, _files(root)
    for data in files.values():
        if (digest := sha256_hex(data)) not in public:
            (case.parent / "bytes" / digest).write_bytes(data)
    case.write_text(json.dumps({name: sha256_hex(data) for name, data in files.items()}, indent=1) + "\n")


def _files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


if __name__ == "__main__":
    main()
