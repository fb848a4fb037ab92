"""The places of the workspace that must be there for a run to do something with them."""

from rollbackctl.core.errors import InvalidInputError, Problem
from rollbackctl.core.observation import Observation
from rollbackctl.spec.document import Spec

_ABSENT = {
    "autotrader.config": "no trader is put into maintenance",
    "scheduler.state": "it is created, and no scheduler of today is paused",
    "serving.model_dir": "it is created, and no engine of today is detached",
}


def needed_paths(spec: Spec) -> dict[str, str]:
    """Return the path of each such place by its field in `spec`; what a run itself begins is not among them."""
    body = spec.spec
    return {
        "autotrader.config": body.autotrader.config,
        "compliance.checklist": body.compliance.checklist,
        "journal.read": body.journal.read,
        "scheduler.state": body.scheduler.state,
        "serving.model_dir": body.serving.model_dir,
    }


def refuse_missing(spec: Spec, observation: Observation) -> None:
    """See that a place of the plan's own does exist: a slip of the pen must not leave the real one running.

    Raises:
        InvalidInputError: Something does not; each is named with its field.
    """
    problems = tuple(
        Problem(f"spec.{place}: {path} does not exist")
        for place, path in needed_paths(spec).items()
        if path in observation.missing and _is_own(spec, place)
    )
    if problems:
        raise InvalidInputError(
            "the rollback plan names what is not there",
            hint="mend the path; a field that is left out means the usual place",
            problems=problems,
        )


def absent_notes(spec: Spec, observation: Observation) -> tuple[str, ...]:
    """Say what it means that a usual place does not exist; what gates ask for is theirs to say."""
    return tuple(
        f"{path} does not exist: {_ABSENT[place]}"
        for place, path in needed_paths(spec).items()
        if place in _ABSENT and path in observation.missing and _is_used(spec, place)
    )


def _is_own(spec: Spec, place: str) -> bool:
    """Whether the path is another than the usual one; that one is the same plan, written out or not."""
    return needed_paths(spec)[place] != needed_paths(Spec.default(name="usual", incident="usual"))[place]


def _is_used(spec: Spec, place: str) -> bool:
    return place != "autotrader.config" or spec.spec.autotrader.maintenance
