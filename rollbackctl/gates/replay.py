"""What the target would decide about the rows of now does not differ from today's decisions by more than is allowed."""

from typing import ClassVar

from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Phase
from rollbackctl.core.replay import judge, words
from rollbackctl.gates import Case
from rollbackctl.spec.document import Document
from rollbackctl.spec.replay import ReplaySettings, replay_settings


class Replay:
    """Guards the release."""

    name: ClassVar[str] = "replay"
    guards: ClassVar[Phase] = Phase.RELEASE
    always: ClassVar[bool] = False
    settings: ClassVar[type[Document]] = ReplaySettings

    def judge(self, case: Case) -> Verdict:
        """Answer from what was replayed when the evidence was read; every part is told, whatever the answer."""
        settings, fact = replay_settings(case.spec), case.observation.replay
        if settings is None or fact is None:
            return Verdict(self.name, self.guards, Answer.BLOCK, "no replay", ("nothing was replayed",))
        answer, broken = judge(fact, settings.limits, settings.min_rows)
        summary = words(fact.whole, fact.sampled) if fact.whole is not None else "no replay"
        return Verdict(self.name, self.guards, answer, summary, (*broken, *map(words, fact.parts)))
