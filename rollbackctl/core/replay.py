"""What a rollback changes in the decisions, as observed and judged: the same rows, decided by both models."""

from collections.abc import Mapping

from rollbackctl.core.fact import Fact
from rollbackctl.core.gate import Answer

LIMITS: Mapping[str, str] = {
    "flips": "share of decisions that flip",
    "change_bps": "change of the expected value",
    "part_flips": "share that flips in a part",
}


class ReplayPart(Fact):
    """Some rows: how many decisions flip, how many are taken before and after, how the expected value changes."""

    column: str = ""
    value: str = ""
    rows: int
    flipped: int
    taken_before: int
    taken_after: int
    change_bps: float

    @property
    def flips(self) -> float:
        """The share of decisions that flip; 0 without rows."""
        return self.flipped / self.rows if self.rows else 0.0


class ReplayFact(Fact):
    """Rows of the window, decided by the version that goes and by the one that comes.

    One row in `sampled` was decided about; `problem` says why that could not be done.
    """

    before: str
    after: str
    window: str
    sampled: int = 1
    whole: ReplayPart | None = None
    parts: tuple[ReplayPart, ...] = ()
    problem: str | None = None


def words(part: ReplayPart, sampled: int = 1) -> str:
    """Say what changes, in one line; one row in `sampled` was decided about."""
    name = f"{part.column} {part.value}: " if part.column else ""
    which = f" (1 in {sampled:,} rows)" if sampled > 1 else ""
    return (
        f"{name}{part.flips:.1%} of {part.rows:,} decisions{which} flip; "
        f"taken {part.taken_before:,} -> {part.taken_after:,}; expected value {part.change_bps:+.2f} bps a row"
    )


def judge(fact: ReplayFact, limits: Mapping[str, float], min_rows: int) -> tuple[Answer, tuple[str, ...]]:
    """Hold a replay against limits; what cannot be told does not pass.

    Args:
        fact: The replay.
        limits: By name, as in `LIMITS`; none: it is shown, and always passes.
        min_rows: With fewer rows there is no answer; a part with fewer is shown and not held to its limit.

    Returns:
        The answer, and each limit that is broken.
    """
    if fact.whole is None:
        return Answer.BLOCK, (fact.problem or "nothing was replayed",)
    if fact.whole.rows < min_rows:
        return Answer.BLOCK, (f"{fact.whole.rows:,} rows were replayed, at least {min_rows:,}",)
    broken = []
    for name, limit in limits.items():
        if name == "part_flips":
            parts = [part for part in fact.parts if part.rows >= min_rows and part.flips > limit]
            broken += [f"{part.column} {part.value}: {part.flips:.1%} flip, limit {limit:.1%}" for part in parts]
        elif name == "flips" and fact.whole.flips > limit:
            broken.append(f"{fact.whole.flips:.1%} of the decisions flip, limit {limit:.1%}")
        elif name == "change_bps" and abs(fact.whole.change_bps) > limit:
            broken.append(f"the expected value changes by {fact.whole.change_bps:+.2f} bps a row, limit {limit:g}")
    return (Answer.BLOCK if broken else Answer.PASS), tuple(broken)
