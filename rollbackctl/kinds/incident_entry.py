"""The run's entry in the incident journal, appended once and marked with the run's id."""

import re
from collections.abc import Iterable
from typing import ClassVar

from pydantic import field_validator

from bot_core.foundation.atomic_file import make_folder
from bot_core.foundation.log_block import append_block_durable
from rollbackctl.core.facts import Facts
from rollbackctl.core.plain import escaped, plain
from rollbackctl.core.plan import Desired, Phase
from rollbackctl.core.state import RUN_ACTOR, RUN_ID, RUN_SIGNERS, RUN_TIME, State
from rollbackctl.kinds import Binding
from rollbackctl.spec.document import Spec

# Code, tags, links, tables, emphasis, mentions, and the colon of an address that readers make a link of.
_ACTIVE = re.compile(
    r"[`<\[\]|*~]|(?<![A-Za-z0-9])[_@]|_(?![A-Za-z0-9])|:(?=//)|(?<=www)\.|(?<=mailto):",
)
_OUTCOME = "- outcome: rollback executed and verified by "


class EntryState(State):
    """The entry's lines: the run's mark first, the outcome last.

    The file is Markdown that people read: what a name in a line would do there, be it only to end the line, is written
    as an escape.
    """

    lines: tuple[str, ...]

    @field_validator("lines")
    @classmethod
    def _one_line_each(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        return (*lines[:1], *(_ACTIVE.sub(escaped, plain(" ".join(line.splitlines()))) for line in lines[1:]))


class IncidentEntry:
    """`incident_entry/<incident journal>`."""

    name: ClassVar[str] = "incident_entry"
    requires: ClassVar[tuple[str, ...]] = ()
    state: ClassVar[type[State]] = EntryState

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    def desire(self, spec: Spec, facts: Facts) -> Iterable[Desired]:
        """One entry, with links to the reports of both kinds."""
        of_kind = {kind: [path for path in facts.pinned if f"/{kind}/" in path] for kind in ("drift", "data_quality")}
        trigger = [facts.trigger] if facts.trigger else []
        known = facts.withdrawn.canonical
        content = f"canonical sha256 {known}" if known else "content unknown"
        lines = (
            _mark(RUN_ID),
            f"## {RUN_TIME} - {facts.incident} ({facts.withdrawn.version} -> {facts.target.version})",
            f"- reason: {spec.metadata.reason}",
            *(f"- triggered by: {path}" for path in trigger),
            *(f"- drift report: {path}" for path in of_kind["drift"]),
            *(f"- data-quality report: {path}" for path in of_kind["data_quality"]),
            f"- withdrawn: {facts.withdrawn.source} ({content})",
            f"- restored: {facts.target.source} (sha256 {facts.target.sha256})",
            f"- signed by: {RUN_SIGNERS}",
            f"{_OUTCOME}{RUN_ACTOR}, run {RUN_ID}",
        )
        after = EntryState(lines=lines)
        path = spec.spec.compliance.incident_journal
        yield Desired(path, Phase.RECORD, lambda _: after, lasting=False, reversible=False)

    def observe(self, name: str) -> State | None:
        """Look for this run's whole entry; outside a run nothing of it exists, and a part of it is none."""
        data = self._binding.read(name)  # outside a run as well: a file that cannot be read is refused before anything
        if data is None or "id" not in self._binding.run:
            return None
        run = self._binding.run["id"]
        lines = data[: data.rfind(b"\n") + 1].decode(errors="replace").splitlines()
        if _mark(run) not in lines:
            return None
        # The last one: others may have written after a part that a killed run left, and it was then written anew.
        start = len(lines) - 1 - lines[::-1].index(_mark(run))
        entry = _until_blank(lines[start:])
        ends = [n for n, line in enumerate(entry, 1) if line.startswith(_OUTCOME) and line.endswith(f", run {run}")]
        return EntryState(lines=tuple(entry[: ends[0]])) if ends else None

    def move(self, name: str, before: State | None, after: State | None) -> None:  # noqa: ARG002
        """Append the entry after a blank line; a part of it that a killed run left is completed."""
        if not isinstance(after, EntryState) or self.observe(name) == after:
            return
        path = self._binding.root / name
        make_folder(path.parent, root=self._binding.root, mode=None)
        block = "\n".join((*after.lines, "")).encode()
        append_block_durable(path, block, heading=b"# AI incident journal\n", root=self._binding.root)

    def files(self, name: str) -> tuple[str, ...]:
        """The incident journal."""
        return (name,)


def _mark(run: str) -> str:
    return f"<!-- rollbackctl run {run} -->"


def _until_blank(lines: list[str]) -> list[str]:
    end = next((index for index, line in enumerate(lines) if not line.strip()), len(lines))
    return lines[:end]
