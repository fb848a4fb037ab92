import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_core.foundation.frozen import replace
from rollbackctl.core.data_drift import Finding
from rollbackctl.core.observation import AttestationFact, BundledFact, SignOff, VersionFact, WalkForwardFact
from rollbackctl.core.target import (
    OLDEST,
    Candidate,
    Demands,
    age,
    by_age,
    choose_last_stable,
    merits,
    named_target,
    passed_over,
    refusals,
    undecided,
    will_not_help,
)
from tests.observations import sign_off, version, versions

ROLES = ("compliance", "risk")
DEMANDS = Demands(ROLES)
REPORT = "audit/ai_decision/walk_forward/v9.json"


def verdicts(candidates: tuple[Candidate, ...]) -> dict[str, str]:
    return {candidate.version: candidate.verdict for candidate in candidates}


def walk_forward(*problems: str, **roles: str) -> WalkForwardFact:
    return WalkForwardFact(path=REPORT, digest="d", problems=problems, sign_off=sign_off(**roles) or None)


def test_the_newest_older_version_is_chosen_and_every_version_has_a_verdict() -> None:
    chosen, candidates = choose_last_stable(versions(), "v10", DEMANDS)

    assert chosen is not None
    assert chosen.version == "v9"
    assert candidates == (
        Candidate("v10", "withdrawn", ("is being withdrawn",)),
        Candidate("v9", "chosen", ("signed: risk approved, compliance waived; bundle attested, HMAC not configured",)),
        Candidate("v8", "older"),
    )


def test_a_version_newer_than_the_withdrawn_one_is_never_chosen() -> None:
    chosen, candidates = choose_last_stable(versions(), "v9", Demands(ROLES, excluded=frozenset({"v10"})))

    assert chosen is not None
    assert chosen.version == "v8"
    assert candidates[0] == Candidate(
        "v10", "rejected", ("newer than the withdrawn version", "excluded by the rollback plan")
    )


def test_a_rejected_version_is_passed_over_with_its_reasons() -> None:
    chosen, candidates = choose_last_stable(versions(), "v10", Demands(ROLES, excluded=frozenset({"v9"})))

    assert chosen is not None
    assert chosen.version == "v8"
    assert candidates[1] == Candidate("v9", "rejected", ("excluded by the rollback plan",))


def test_none_is_chosen_when_the_oldest_version_is_withdrawn() -> None:
    chosen, candidates = choose_last_stable(versions(), "v8", DEMANDS)

    assert chosen is None
    assert verdicts(candidates) == {"v10": "rejected", "v9": "rejected", "v8": "withdrawn"}


def test_age_decides_and_not_the_name() -> None:
    found = (
        version("v8", "2025-11-05T00:00:00+00:00"),
        version("v9", "2025-10-29T00:00:00+00:00"),
        version("v10", "2025-11-08T00:00:00+00:00"),
    )

    chosen, _ = choose_last_stable(found, "v10", DEMANDS)

    assert chosen is not None
    assert chosen.version == "v8"


def test_of_two_versions_of_one_age_the_later_name_is_the_newer() -> None:
    found = tuple(version(name, "2025-11-08T00:00:00+00:00") for name in ("v8", "v9", "v10"))

    chosen, candidates = choose_last_stable(found, "v10", DEMANDS)

    assert chosen is not None
    assert chosen.version == "v9"
    assert [candidate.version for candidate in candidates] == ["v10", "v9", "v8"]


@pytest.mark.parametrize(
    ("trained_at", "saved_at", "expected"),
    [
        ("2025-11-08T04:10:20+00:00", "2025-01-01T00:00:00+00:00", "2025-11-08T04:10:20+00:00"),
        ("2025-11-08T04:10:20Z", None, "2025-11-08T04:10:20+00:00"),
        ("2025-11-08T04:10:20", None, "2025-11-08T04:10:20+00:00"),
        ("2025-11-08T04:10:20+02:00", None, "2025-11-08T04:10:20+02:00"),
        (None, "2025-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"),
        ("", "2025-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"),
        ("soon", "2025-01-01T00:00:00+00:00", "2025-01-01T00:00:00+00:00"),
        ("soon", "late", OLDEST.isoformat()),
        (None, None, OLDEST.isoformat()),
    ],
)
def test_a_version_is_as_old_as_its_training_then_its_saving(
    trained_at: str | None, saved_at: str | None, expected: str
) -> None:
    assert age(version("v9", trained_at, saved_at=saved_at)).isoformat() == expected


def test_a_version_of_unknown_age_is_the_oldest() -> None:
    found = (version("v1", "2020-01-01T00:00:00+00:00"), version("v2", None))

    assert [item.version for item in by_age(found)] == ["v2", "v1"]


@pytest.mark.parametrize(
    ("fields", "demands", "reasons"),
    [
        ({}, DEMANDS, ()),
        ({}, Demands(ROLES, excluded=frozenset({"v9"})), ("excluded by the rollback plan",)),
        ({"quarantine": "INC-1"}, DEMANDS, ("quarantined: INC-1",)),
        ({"quarantine": ""}, DEMANDS, ("quarantined: ",)),
        ({}, Demands(ROLES, failed=frozenset({"v9"})), ("failed a check of this incident",)),
        ({"problems": ("a", "b")}, DEMANDS, ("a", "b")),
        ({"attestation": None}, DEMANDS, ()),
        (
            {"attestation": AttestationFact(state="failed", hmac="no", problems=("checksum differs", "not signed"))},
            DEMANDS,
            ("checksum differs", "not signed"),
        ),
        ({"attestation": AttestationFact(state="unattested", hmac="no")}, DEMANDS, ()),
        (
            {"attestation": AttestationFact(state="unattested", hmac="no")},
            Demands(ROLES, bundle_required=True),
            ("has no bundle, and the policy requires one",),
        ),
        (
            {"attestation": AttestationFact(state="attested", hmac="ok", folder="b/v9")},
            Demands(ROLES, bundle_required=True, signature_required=True),
            (),
        ),
        ({"attestation": AttestationFact(state="attested", hmac="no signature", folder="b/v9")}, DEMANDS, ()),
        (
            {"attestation": AttestationFact(state="attested", hmac="no signature", folder="b/v9")},
            Demands(ROLES, signature_required=True),
            ("bundle b/v9 is signed with no key of the policy: no signature",),
        ),
        ({"walk_forward": None}, DEMANDS, ("no walk-forward report is linked to it",)),
        ({"walk_forward": None, "canonical": None, "problems": ("gone",)}, DEMANDS, ("gone",)),
        ({"walk_forward": walk_forward(risk="approved", compliance="waived")}, DEMANDS, ()),
        (
            {"walk_forward": walk_forward()},
            DEMANDS,
            (f"{REPORT}: compliance missing", f"{REPORT}: risk missing"),
        ),
        (
            {"walk_forward": walk_forward("metrics differ", risk="rejected", compliance="pending")},
            DEMANDS,
            (f"{REPORT}: metrics differ", f"{REPORT}: compliance pending", f"{REPORT}: risk rejected"),
        ),
        (
            {"walk_forward": walk_forward(risk="approved", compliance="approved", ops="escalated")},
            DEMANDS,
            (f"{REPORT}: ops escalated",),
        ),
    ],
)
def test_a_version_is_refused_for_each_reason(
    fields: dict[str, object], demands: Demands, reasons: tuple[str, ...]
) -> None:
    assert refusals(version("v9", None, **fields), demands) == reasons


UNKNOWN = AttestationFact(state="attested", hmac="unknown key k2", folder="b/v9")
UNSIGNED = AttestationFact(state="attested", hmac="no signature", folder="b/v9")
TORN = AttestationFact(state="failed", hmac="no signature", folder="b/v9", problems=("checksum differs", "torn"))
KEYED = Demands(ROLES, signature_required=True)


@pytest.mark.parametrize(
    ("attestation", "demands", "why"),
    [
        (UNKNOWN, KEYED, "bundle b/v9 is signed with no key of the policy: unknown key k2"),
        (UNSIGNED, KEYED, "bundle b/v9 is signed with no key of the policy: no signature"),
        (TORN, DEMANDS, "checksum differs; torn"),
        (UNSIGNED, DEMANDS, None),
        (AttestationFact(state="unattested", hmac="no signature"), Demands(ROLES, bundle_required=True), None),
        (None, KEYED, None),
    ],
)
def test_a_version_is_named_as_passed_over_where_its_bundle_does_not_prove_what_it_claims(
    attestation: AttestationFact | None, demands: Demands, why: str | None
) -> None:
    days = {"v6": 1, "v7": 2, "v8": 3, "v9": 4, "v10": 5, "v11": 6}
    plain = AttestationFact(state="unattested", hmac="no signature")
    suspicious = ("v6", "v9", "v11")  # of these, only v9 lies between the target and the withdrawn version
    found = [
        version(name, f"2025-11-0{day}T00:00:00+00:00", attestation=attestation if name in suspicious else plain)
        for name, day in days.items()
    ]

    said = f"v9 is passed over for v7 (no bundle), which is older, because its bundle proves nothing: {why}"
    assert passed_over(found, "v10", "v7", demands) == ((said,) if why else ())


def test_every_reason_is_given_at_once() -> None:
    broken = version(
        "v9",
        None,
        quarantine="INC-1",
        problems=("breaks the schema",),
        attestation=AttestationFact(state="failed", hmac="no", problems=("checksum differs",)),
        walk_forward=None,
    )
    demands = Demands(ROLES, excluded=frozenset({"v9"}), failed=frozenset({"v9"}))

    assert refusals(broken, demands) == (
        "excluded by the rollback plan",
        "quarantined: INC-1",
        "failed a check of this incident",
        "breaks the schema",
        "checksum differs",
        "no walk-forward report is linked to it",
    )


def test_a_named_target_is_chosen_and_keeps_what_speaks_against_it() -> None:
    found = (*versions(), version("v11", "2025-11-10T00:00:00+00:00", walk_forward=None))
    demands = Demands(ROLES, failed=frozenset({"v8"}))

    candidates = named_target(found, "v10", "v8", "run r1", demands)

    assert candidates == (
        Candidate("v11", "rejected", ("no walk-forward report is linked to it",)),
        Candidate("v10", "withdrawn", ("is being withdrawn",)),
        Candidate("v9", "eligible"),
        Candidate("v8", "chosen", ("named by run r1", merits(versions()[0]), "failed a check of this incident")),
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "signed: risk approved, compliance waived; bundle attested, HMAC not configured"),
        ({"walk_forward": None, "attestation": None}, "not signed; no bundle"),
        ({"walk_forward": walk_forward()}, "not signed; bundle attested, HMAC not configured"),
        (
            {"attestation": AttestationFact(state="unattested", hmac="no"), "served": "served until 2025-11-08"},
            "signed: risk approved, compliance waived; no bundle; served until 2025-11-08",
        ),
    ],
)
def test_what_speaks_for_a_version_is_one_line(fields: dict[str, object], text: str) -> None:
    assert merits(version("v9", None, **fields)) == text


@pytest.mark.parametrize(
    ("block", "roles", "expected"),
    [
        (None, ROLES, [("compliance", "missing"), ("risk", "missing")]),
        ({}, ROLES, [("compliance", "missing"), ("risk", "missing")]),
        ({}, (), []),
        (sign_off(risk="approved", compliance="waived"), ROLES, []),
        (sign_off(risk="rejected", compliance="pending"), ROLES, [("compliance", "pending"), ("risk", "rejected")]),
        (sign_off(risk="approved", data_governance="pending"), ("risk",), [("data_governance", "pending")]),
        (sign_off(ops="approved"), ("risk",), [("risk", "missing")]),
    ],
)
def test_every_role_asked_and_every_role_in_the_block_must_settle(
    block: dict[str, SignOff] | None, roles: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert undecided(block, roles, settled=("approved", "waived")) == expected


def test_a_rejection_settles_where_the_caller_says_so() -> None:
    assert undecided(sign_off(risk="rejected"), ("risk",), settled=("approved", "waived", "rejected")) == []


@st.composite
def manifests(draw: st.DrawFn) -> tuple[VersionFact, ...]:
    days = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    return tuple(
        version(f"v{number}", f"2025-11-0{day}T00:00:00+00:00", quarantine=draw(st.none() | st.just("bad")))
        for number, day in enumerate(days)
    )


@given(manifests(), st.data())
def test_the_choice_is_the_newest_eligible_version_before_the_withdrawn_one(
    found: tuple[VersionFact, ...], data: st.DataObject
) -> None:
    withdrawn = data.draw(st.sampled_from(found))

    chosen, candidates = choose_last_stable(found, withdrawn.version, DEMANDS)

    older = by_age(found)[: by_age(found).index(withdrawn)]
    eligible = [item for item in older if item.quarantine is None]
    assert chosen == (eligible[-1] if eligible else None)
    assert [candidate.version for candidate in candidates] == [item.version for item in reversed(by_age(found))]
    assert [candidate.verdict for candidate in candidates].count("chosen") == (1 if eligible else 0)
    assert all(candidate.reasons for candidate in candidates if candidate.verdict in ("rejected", "withdrawn"))


@given(st.permutations(["ops", "risk", "compliance"]), st.randoms(use_true_random=False))
def test_the_order_of_roles_does_not_matter(roles: list[str], dice: random.Random) -> None:
    block = sign_off(risk="pending", data="pending")
    shuffled = dict(dice.sample(sorted(block.items()), len(block)))

    expected = [("compliance", "missing"), ("data", "pending"), ("ops", "missing"), ("risk", "pending")]
    assert undecided(shuffled, roles, settled=()) == expected


def drifted(**answers: str) -> Demands:
    findings = {name: Finding(answer, (f"{name} one", f"{name} two")) for name, answer in answers.items()}  # type: ignore[arg-type]
    return Demands(ROLES, drift=findings)


def test_a_version_beyond_its_limits_is_passed_over_and_so_is_one_that_cannot_be_told() -> None:
    chosen, candidates = choose_last_stable(versions(), "v10", drifted(v9="beyond", v8="no data"))

    assert chosen is None
    assert candidates[1:] == (
        Candidate("v9", "rejected", ("data drift: v9 one; v9 two",)),
        Candidate("v8", "rejected", ("data drift cannot be told: v8 one; v8 two",)),
    )


def test_a_chosen_version_says_how_it_lies_to_its_limits() -> None:
    _, candidates = choose_last_stable(versions(), "v10", drifted(v9="within"))

    assert candidates[1].reasons[1:] == (
        "data drift within the limits: v9 one",
        "data drift within the limits: v9 two",
    )


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ("within", ("data drift within the limits: v8 one", "data drift within the limits: v8 two")),
        ("beyond", ("data drift: v8 one; v8 two",)),
    ],
)
def test_a_named_target_is_chosen_whatever_its_drift_and_says_it(answer: str, reasons: tuple[str, ...]) -> None:
    candidates = named_target(versions(), "v10", "v8", "run r1", drifted(v8=answer, v9="beyond"))

    assert candidates[1] == Candidate("v9", "rejected", ("data drift: v9 one; v9 two",))
    assert candidates[2].reasons[2:] == reasons


@pytest.mark.parametrize(
    ("answers", "demands", "expected"),
    [
        ({"v8": "beyond", "v9": "beyond"}, {}, True),
        ({"v8": "beyond", "v9": "within"}, {}, False),
        ({"v8": "beyond", "v9": "no data"}, {}, False),
        ({"v8": "beyond"}, {}, False),
        ({"v8": "beyond", "v9": "within"}, {"excluded": frozenset({"v9"})}, True),
        ({}, {"excluded": frozenset({"v8", "v9"})}, False),
        ({"v8": "beyond", "v9": "beyond", "v10": "within"}, {}, True),
    ],
)
def test_a_rollback_will_not_help_when_all_that_may_be_gone_back_to_has_drifted(
    answers: dict[str, str], demands: dict[str, frozenset[str]], expected: bool
) -> None:
    assert will_not_help(versions(), "v10", replace(drifted(**answers), **demands)) is expected


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "is being withdrawn"),
        ({"served": "served until today"}, "is being withdrawn; served until today"),
        ({"problems": ("does not score",)}, "is being withdrawn"),
        ({"canonical": None, "problems": ("gone", "and more")}, "is being withdrawn; gone; and more"),
        (
            {"canonical": None, "attestation": AttestationFact(state="failed", hmac="no", problems=("torn",))},
            "is being withdrawn; torn",
        ),
        ({"canonical": None, "attestation": None}, "is being withdrawn"),
        (
            {"problems": ("gone",), "bundled": BundledFact(canonical="c", folder="bundles/v10")},
            "is being withdrawn; gone; known by its bundle bundles/v10",
        ),
        ({"bundled": BundledFact(canonical="c", folder="bundles/v10")}, "is being withdrawn"),
    ],
)
def test_the_withdrawn_version_says_what_is_known_of_its_file(fields: dict[str, object], told: str) -> None:
    _, candidates = choose_last_stable((version("v10", None, **fields),), "v10", DEMANDS)

    assert candidates == (Candidate("v10", "withdrawn", (told,)),)
