import subprocess
from pathlib import Path

import pytest

from scripts.check_docs import main


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)  # noqa: S607
    return tmp_path


def test_links_that_lead_somewhere_are_fine(repository: Path) -> None:
    (repository / "docs").mkdir()
    (repository / "docs" / "a b.md").write_text("[up](../README.md#top) [out](https://example.org) [here](#here)\n")
    (repository / "README.md").write_text("[a](docs/a%20b.md) [docs](docs) `[x](none.md)`\n```\n[x](none.md)\n```\n")

    assert main(repository) == 0


def test_a_dead_link_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "README.md").write_text("[a](docs/none.md)\n\n[b]: other.md\n")

    assert main(repository) == 1
    assert capsys.readouterr().err.splitlines() == [
        "README.md: link to docs/none.md, which does not exist",
        "README.md: link to other.md, which does not exist",
    ]


def test_a_folder_outside_is_not_referred_to(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outside = "../" + "shared"
    (repository / "a.py").write_text(f"open('{outside}/x')\n")
    (repository / "b.bin").write_bytes(b"\xff" + outside.encode())
    (repository / ".gitignore").write_text("c.txt\n")
    (repository / "c.txt").write_text(outside)

    assert main(repository) == 1
    assert capsys.readouterr().err == f"a.py: refers to {outside}, which is not in the repository\n"
