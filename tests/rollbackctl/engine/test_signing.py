"""A role's decision in all reports of a plan, one of which cannot be read."""

import os
from pathlib import Path

import pytest

from tests.harness import PLAN, Site, new_site

DRIFT = "audit/ai_decision/drift"
SIGN = ("--role", "risk", "--status", "approved", "--by", "J. Kowal")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path / "ws", signed=False)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        (b"20251118T030000Z_x.json", b"{", "20251118T030000Z_x.json, line 1: Expecting"),
        (b"20251118T030000Z_x.json", b'{"drift_score": "\xff"}', "20251118T030000Z_x.json, line 1: not UTF-8"),
        (b"20251118T030000Z_x.json", b"{}", "20251118T030000Z_x.json: it says neither drift_score"),
        (b"20251118T030000Z_x.json", b'{"drift_score": 9, "sign_off": []}', "sign_off is not an object"),
        (b"20251118T03\xff.json", b'{"drift_score": 9}', "its name is not UTF-8"),
    ],
)
def test_none_is_signed_where_one_cannot_be_read_and_it_is_named(
    site: Site, name: bytes, data: bytes, reason: str
) -> None:
    Path(os.fsdecode(os.path.join(os.fsencode(site.root / DRIFT), name))).write_bytes(data)
    before = site.files()

    done = site("sign-off", "--plan", PLAN, *SIGN)

    assert (done.code, done.out) == (8, "")
    assert "1 of 5 reports cannot be read; none is signed" in done.err
    assert reason in done.err
    assert site.files() == before


def test_the_others_can_be_signed_with_the_command_that_is_shown(site: Site) -> None:
    (site.root / DRIFT / "20251118T030000Z_x.json").write_bytes(b"{")

    done = site("sign-off", "--plan", PLAN, *SIGN)
    shown = next(line for line in done.err.splitlines() if "sign the others alone" in line)
    others = [word for word in shown.split() if word.endswith(".json")]

    assert len(others) == 4
    assert site.ok("sign-off", *others, *SIGN).out.count("risk approved by J. Kowal") == 4


def test_one_that_is_named_and_cannot_be_read_is_refused(site: Site) -> None:
    (site.root / DRIFT / "20251118T030000Z_x.json").write_bytes(b"[]")

    done = site("sign-off", f"{DRIFT}/20251118T030000Z_x.json", *SIGN)

    assert done.code == 8
    assert "the top level is not an object" in done.err
    assert "the others" not in done.err
