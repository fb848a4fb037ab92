from rollbackctl.core.gate import Answer, Outcome, Result, Verdict
from rollbackctl.core.plan import Action, Phase


def test_a_verdict_is_read_back_from_its_json() -> None:
    verdict = Verdict("report_signoff", Phase.RELEASE, Answer.WAITS, "3 decisions", ("a", "b"), {"risk": 3})

    assert verdict.to_json() == {
        "gate": "report_signoff",
        "guards": "release",
        "answer": "waits",
        "summary": "3 decisions",
        "reasons": ["a", "b"],
        "waits_for": {"risk": 3},
    }
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_a_verdict_has_no_reasons_and_waits_for_nobody_unless_it_says_so() -> None:
    verdict = Verdict("preconditions", Phase.SECURE, Answer.PASS, "pass")

    assert (verdict.reasons, verdict.waits_for) == ((), {})


def test_a_check_without_data_says_so_in_its_json() -> None:
    assert Outcome("data_drift", Result.NO_DATA, "no windows").to_json() == {
        "check": "data_drift",
        "result": "no data",
        "summary": "no windows",
    }


def test_the_words_of_files_and_reports_are_these() -> None:
    assert list(map(str, Answer)) == ["pass", "block", "waits"]
    assert list(map(str, Result)) == ["pass", "fail", "inconclusive", "no data"]
    assert list(map(str, Phase)) == ["secure", "hold", "restore", "check", "release", "record"]
    assert list(map(str, Action)) == ["create", "update", "delete", "no-op"]
