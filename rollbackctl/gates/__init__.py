"""What a gate is: one file that answers whether a phase may begin, from values alone."""

from typing import ClassVar, Protocol

from bot_core.foundation.frozen import frozen
from rollbackctl.core.facts import Facts
from rollbackctl.core.gate import Verdict
from rollbackctl.core.observation import Observation
from rollbackctl.core.plan import Phase, World
from rollbackctl.spec.document import Policy, Spec


@frozen
class Case:
    """What a gate judges.

    Attributes:
        spec: The rollback plan.
        policy: The firm's policy.
        facts: What the plan decided: versions, digests, pinned reports.
        observation: The evidence as it is now.
        end: The states of all resources when the plan's moves have been made.
    """

    spec: Spec
    policy: Policy
    facts: Facts
    observation: Observation
    end: World


class Gate(Protocol):
    """One condition for a phase. A gate of one's own reads its section in `spec.spec.gates`.

    A gate that has `settings: ClassVar[type[Document]]` has its section validated by them when a plan is read.
    """

    name: ClassVar[str]
    guards: ClassVar[Phase]
    always: ClassVar[bool]

    def judge(self, case: Case) -> Verdict:
        """Answer, with one reason for each thing that blocks or is waited for; pure."""
