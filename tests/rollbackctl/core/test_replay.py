import pytest

from rollbackctl.core.gate import Answer
from rollbackctl.core.replay import ReplayFact, ReplayPart, judge, words


def part(flipped: int = 0, rows: int = 1000, change_bps: float = 0.0, name: str = "") -> ReplayPart:
    column, value = ("symbol", name) if name else ("", "")
    return ReplayPart(
        column=column,
        value=value,
        rows=rows,
        flipped=flipped,
        taken_before=1200,
        taken_after=800,
        change_bps=change_bps,
    )


def replay(whole: ReplayPart | None, *parts: ReplayPart, problem: str | None = None) -> ReplayFact:
    return ReplayFact(before="v10", after="v9", window="w", whole=whole, parts=parts, problem=problem)


def test_the_share_that_flips_is_of_the_rows_and_nothing_without_any() -> None:
    assert part(flipped=250).flips == 0.25
    assert part(rows=0).flips == 0.0


@pytest.mark.parametrize(
    ("item", "sampled", "said"),
    [
        (
            part(250, change_bps=1.5),
            1,
            "25.0% of 1,000 decisions flip; taken 1,200 -> 800; expected value +1.50 bps a row",
        ),
        (
            part(1, name="BTC", change_bps=-0.25),
            2,
            "symbol BTC: 0.1% of 1,000 decisions (1 in 2 rows) flip; "
            "taken 1,200 -> 800; expected value -0.25 bps a row",
        ),
    ],
)
def test_what_a_replay_changes_is_one_line(item: ReplayPart, sampled: int, said: str) -> None:
    assert words(item, sampled) == said


def test_all_rows_were_decided_about_unless_it_is_said() -> None:
    assert words(part()) == words(part(), 1)


@pytest.mark.parametrize(
    ("fact", "limits", "answer", "reasons"),
    [
        (replay(None), {}, Answer.BLOCK, ("nothing was replayed",)),
        (replay(None, problem="no column rsi"), {}, Answer.BLOCK, ("no column rsi",)),
        (replay(part(rows=99)), {}, Answer.BLOCK, ("99 rows were replayed, at least 100",)),
        (replay(part(rows=100)), {}, Answer.PASS, ()),
        (replay(part(flipped=1000, change_bps=-9.0)), {}, Answer.PASS, ()),
        (replay(part(flipped=250)), {"flips": 0.25}, Answer.PASS, ()),
        (replay(part(flipped=251)), {"flips": 0.25}, Answer.BLOCK, ("25.1% of the decisions flip, limit 25.0%",)),
        (replay(part(change_bps=-2.5)), {"change_bps": 2.5}, Answer.PASS, ()),
        (
            replay(part(change_bps=-2.75)),
            {"change_bps": 2.5},
            Answer.BLOCK,
            ("the expected value changes by -2.75 bps a row, limit 2.5",),
        ),
        (replay(part(), part(flipped=25, rows=100, name="BTC")), {"part_flips": 0.25}, Answer.PASS, ()),
        (replay(part(), part(flipped=99, rows=99, name="BTC")), {"part_flips": 0.25}, Answer.PASS, ()),
        (
            replay(part(flipped=300), part(flipped=26, rows=100, name="BTC"), part(flipped=900, name="ETH")),
            {"flips": 0.25, "part_flips": 0.25, "change_bps": 1.0},
            Answer.BLOCK,
            (
                "30.0% of the decisions flip, limit 25.0%",
                "symbol BTC: 26.0% flip, limit 25.0%",
                "symbol ETH: 90.0% flip, limit 25.0%",
            ),
        ),
    ],
)
def test_a_replay_passes_within_its_limits_and_where_it_can_be_told(
    fact: ReplayFact, limits: dict[str, float], answer: Answer, reasons: tuple[str, ...]
) -> None:
    assert judge(fact, limits, min_rows=100) == (answer, reasons)
