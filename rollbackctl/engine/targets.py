"""Ranking every version as a possible target."""

from rollbackctl.core.data_drift import WILL_NOT_HELP, Finding, Limits, reach
from rollbackctl.core.observation import Observation, VersionFact
from rollbackctl.core.ranking import Ranked, Ranking
from rollbackctl.core.target import Candidate, bundle_words, by_age, merits, signed_words, will_not_help
from rollbackctl.spec.data_drift import data_drift_settings, limits_of
from rollbackctl.spec.document import Policy, Spec
from rollbackctl.spec.resolve import choose, demands

_ORDER = ("chosen", "eligible", "older", "rejected", "withdrawn")
_ANSWERS = ("within", "beyond", "no data")


def rank(spec: Spec, policy: Policy, observation: Observation) -> Ranking:
    """Rank the versions of an observed workspace; pure.

    Those that may be the target come first, the newest of them being the one that `last-stable` chooses; of the others
    those that have used least of their data-drift limits.

    Raises:
        InvalidInputError: The plan names a version, alias or report that the workspace does not have.
    """
    withdrawn, chosen, candidates = choose(spec, policy, observation)
    settings, needs = data_drift_settings(spec), demands(spec, policy, observation)
    limits = Limits({}, 0) if settings is None else limits_of(settings, policy.limits)
    facts = {fact.version: fact for fact in observation.versions}
    age = {fact.version: number for number, fact in enumerate(reversed(by_age(observation.versions)))}
    rows = [_row(facts[item.version], item, observation, limits, needs.drift.get(item.version)) for item in candidates]

    def place(row: Ranked) -> tuple[int, int, float, int]:
        answer = len(_ANSWERS) if row.drift is None else _ANSWERS.index(row.drift)
        is_open = row.verdict in ("chosen", "eligible", "older")
        return (_ORDER.index(row.verdict), answer, 0.0 if is_open else row.used, age[row.version])

    if chosen is not None:
        verdict = f"{chosen.version} is the target"
    else:
        helpless = will_not_help(observation.versions, withdrawn.version, needs)
        verdict = WILL_NOT_HELP if helpless else "no version can be the target"
    return Ranking(
        incident=spec.metadata.incident,
        withdrawn=withdrawn.version,
        target=None if chosen is None else chosen.version,
        verdict=verdict,
        window=None if observation.data_drift is None else observation.data_drift.window,
        limits=dict(limits.measures),
        rows=tuple(sorted(rows, key=place)),
    )


def _row(
    fact: VersionFact, candidate: Candidate, observation: Observation, limits: Limits, finding: Finding | None
) -> Ranked:
    measured = None if observation.data_drift is None else observation.data_drift.of(fact.version)
    speaks = merits(fact)
    is_said = speaks in candidate.reasons or candidate.verdict == "withdrawn"
    used, used_by = (0.0, "") if measured is None else reach(measured, limits)
    return Ranked(
        version=fact.version,
        verdict=candidate.verdict,
        served=fact.served or "",
        integrity=bundle_words(fact) if not fact.problems else "broken",
        signed=signed_words(fact),
        drift=None if finding is None else finding.answer,
        used=used,
        used_by=used_by,
        measured=measured,
        reasons=candidate.reasons if is_said else (speaks, *candidate.reasons),
    )
