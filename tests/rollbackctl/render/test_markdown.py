import dataclasses
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rollbackctl.core.address import Address
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Phase, Plan, Step
from rollbackctl.core.target import Candidate
from rollbackctl.render.markdown import LIMIT, length, render
from tests.hostile import NAMES, document
from tests.rollbackctl.render.test_escape import hidden
from tests.strategies import Box, documents

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OWN_HTML = re.compile(
    r"<!-- rollbackctl plan id=[0-9a-f]{64} name=[A-Za-z0-9._~%-]* -->\n"
    r"|<details>\n<summary>[0-9,]+ steps?, candidates and undo</summary>\n?"
    r"|</details>\n?"
)
hostile = st.sampled_from([*NAMES.values()])
hostile |= st.lists(hostile | st.text(max_size=5), min_size=1, max_size=3).map("".join)
stops = st.tuples(st.sampled_from(Answer), st.sampled_from(Phase))


def tokens(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def blocks(text: str) -> list[str]:
    return [token.type for token in PARSER.parse(text)]


def dangers(text: str) -> Iterator[str]:
    """What a reader of GitHub's Markdown would make of it, beside what the renderer means to say."""
    for token in tokens(text):
        match token.type:
            case "html_block" if OWN_HTML.fullmatch(token.content) is None:
                yield f"html {token.content!r}"
            case (
                "html_inline"
                | "link_open"
                | "image"
                | "table_open"
                | "blockquote_open"
                | "hr"
                | "code_block"
                | "s_open"
            ):
                yield token.type
            case "text" if re.search(r"[@#<>&|$\[\]~_]|://|www\.|[\w-]\.[a-z]", token.content):
                yield f"text {token.content!r}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", Answer)
def test_no_name_of_the_corpus_comes_through(name: str, answer: Answer) -> None:
    text = render(document(NAMES[name], answer))

    assert list(dangers(text)) == []
    assert hidden(text.replace("\n", "")) == []


@given(hostile.filter(bool), stops)
def test_a_name_changes_nothing_in_the_structure(name: str, stop: tuple[Answer, Phase]) -> None:
    assert blocks(render(document(name, *stop))) == blocks(render(document("name", *stop)))


@given(documents())
def test_no_document_comes_through_as_markup(document: PlanDocument) -> None:
    text = render(document)

    assert list(dangers(text)) == []
    assert hidden(text.replace("\n", "")) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_name_mentions_anybody_or_closes_the_details(name: str) -> None:
    text = render(document(NAMES[name]))

    assert re.findall(r"(?<![A-Za-z0-9])@\w", text) == []
    assert text.count("</details>") == 1
    assert text.count("```") == 4


def test_a_role_is_quoted_for_the_shell_that_it_is_copied_into() -> None:
    text = render(document("risk; curl evil.example"))

    assert "--role 'risk; curl evil.example' --status" in text


def many(steps: int, width: int, char: str, shown: int) -> PlanDocument:
    """A plan with long texts in every place, and many of each."""
    long, numbers = char * width, range(shown)
    address = Address("box", "b")
    boxes = [Box(text=f"{long}{index}") for index in range(steps + 1)]
    plan = Plan(
        name=long,
        incident=long,
        spec={"metadata": {"reason": long}},
        policy="none",
        facts={"withdrawn": {"version": long}, "target": {"version": long}, "serve_as": [long]},
        base={address: boxes[0]},
        inputs={},
        changes=(),
        steps=tuple(Step(i + 1, Phase.RELEASE, address, boxes[i], boxes[i + 1], note=long) for i in range(steps)),
        checks=tuple(f"{long}{i}" for i in numbers),
    )
    reasons = tuple(f"{i}{long}   {long}" for i in numbers)
    verdict = Verdict(long, Phase.RELEASE, Answer.WAITS, long, reasons, {f"{long}{i}": i for i in numbers})
    return PlanDocument(
        plan=plan,
        timestamp=long,
        verdicts=(verdict,) * shown,
        candidates=tuple(Candidate(f"{long}{i}", "rejected", (long,) * shown) for i in numbers),
        trigger={"path": long, "summary": long, "sign_off": {f"{long}{i}": long for i in numbers}},
        left_alone={f"{long}{i}": long for i in numbers},
        undo=tuple((f"{long}{i}", long) for i in numbers),
        diagnostics=(long,) * shown,
    )


@settings(max_examples=40)
@given(
    st.integers(1, 200),
    st.sampled_from([1, 30, 300, 2000]),
    st.sampled_from("a<@'`\x1b\U000e0041😀ą "),
    st.integers(0, 30),
)
def test_a_comment_is_never_longer_than_github_takes(steps: int, width: int, char: str, shown: int) -> None:
    plan = many(steps, width, char, shown)

    text = render(plan)

    assert length(text) <= LIMIT
    assert text.endswith("\n</details>\n")
    assert summary(text) == summary(render(few_steps(plan)))
    assert list(dangers(text)) == []


def summary(text: str) -> str:
    """The part above the details, without the plan's own id and counts."""
    return re.sub(r"[0-9a-f]{64}|`[0-9a-f]{12}`|[\d,]+ steps?", "", text.split("<details>")[0])


def few_steps(plan: PlanDocument) -> PlanDocument:
    return dataclasses.replace(plan, plan=dataclasses.replace(plan.plan, steps=plan.plan.steps[:1]))


def test_what_is_cut_is_counted() -> None:
    text = render(many(300, 300, "a", 3))

    found = re.search(r"\*\*Cut:\*\* ([\d,]+) of ([\d,]+) lines \(([\d,]+) characters\) do not fit", text)
    assert found is not None
    cut, of, characters = (int(number.replace(",", "")) for number in found.groups())
    kept = text[text.index("```diff\n") : text.index(found.group())].count("\n") - 4  # two fences, two empty lines
    assert (cut + kept, of) == (of, 1 + 4 * 300 + 4)  # a phase, four lines for each step, candidates and undo
    assert characters > 3 * 300 * 300 - LIMIT


@given(st.lists(st.integers(0, 20), max_size=12))
def test_a_reason_that_the_summary_leaves_out_is_in_the_details(counts: list[int]) -> None:
    verdicts = [
        Verdict(f"gate{i}", Phase.RELEASE, Answer.WAITS, "waits", tuple(f"reason {i} {n}" for n in range(count)))
        for i, count in enumerate(counts)
    ]

    text = render(dataclasses.replace(document("x"), verdicts=tuple(verdicts)))

    above, below = text.split("<details>")
    lines = [f"  - {reason}\n" for verdict in verdicts for reason in verdict.reasons]
    shown = below if "in the details" in above else above
    assert [line for line in lines if line not in shown] == []


def test_gates_with_few_reasons_leave_room_for_the_others() -> None:
    first = Verdict("a", Phase.SECURE, Answer.BLOCK, "blocks", ("one",))
    second = Verdict("b", Phase.RELEASE, Answer.WAITS, "waits", tuple(f"reason {n}" for n in range(11)))

    assert "in the details" not in render(dataclasses.replace(document("x"), verdicts=(first, second)))


def test_what_is_left_alone_is_named_in_full() -> None:
    left = {f"file{n}": "v10" for n in range(9)}

    text = render(dataclasses.replace(document("x"), left_alone=left))

    assert [text.count(f"`{path}` names `v10`") for path in left] == [1] * 9


def test_a_plan_that_fits_is_not_cut() -> None:
    assert "**Cut:**" not in render(many(3, 30, "a", 3))


def test_the_marker_comes_first_and_a_bot_can_find_it() -> None:
    plan = document("name")

    first = render(plan).splitlines()[0]

    assert first == f"<!-- rollbackctl plan id={plan.plan.id} name=name -->"


def test_what_stops_the_plan_comes_before_what_passes_and_before_the_steps() -> None:
    text = render(document("x", Answer.BLOCK, Phase.RESTORE))

    places = [
        text.index(part)
        for part in ("**Blocked: the run stops before restore.**", "**restore blocked** ", "- pass ", "<details>")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("answer", "phase", "command"),
    [
        (Answer.BLOCK, Phase.SECURE, "rollbackctl hold --incident x\nrollbackctl plan PLAN\n"),
        (Answer.BLOCK, Phase.RESTORE, "rollbackctl plan PLAN\n"),
        (
            Answer.WAITS,
            Phase.RELEASE,
            "rollbackctl sign-off --plan PLAN --role x --status STATUS --by NAME\nrollbackctl apply PLAN\n",
        ),
        (Answer.PASS, Phase.RELEASE, "rollbackctl apply PLAN\n"),
    ],
)
def test_the_summary_ends_with_the_next_commands(answer: Answer, phase: Phase, command: str) -> None:
    assert f"```sh\n{command}```\n" in render(document("x", answer, phase))


def test_a_plan_without_changes_says_so_and_has_no_details() -> None:
    settled = dataclasses.replace(document("x"), plan=dataclasses.replace(document("x").plan, steps=()))

    text = render(settled)

    assert "**No changes.** Every lasting state is as planned. Done by run `x`." in text
    assert "<details>" not in text
    assert "**Next:** nothing to do." in text


def test_a_plan_without_facts_is_shown_all_the_same() -> None:
    hold = dataclasses.replace(
        document("x"),
        plan=dataclasses.replace(document("x").plan, facts={}, spec={}, operation="hold"),
        trigger=None,
    )

    assert render(hold).splitlines()[1] == "### Hold `x`"


def test_steps_show_their_fields_as_a_diff() -> None:
    address = Address("box", "b")
    steps: Sequence[Step] = (
        Step(1, Phase.HOLD, address, None, Box(text="a")),
        Step(2, Phase.RELEASE, address, Box(text="a"), Box(text="run ${run.id}")),
        Step(3, Phase.RELEASE, address, Box(text="run ${run.id}"), None),
    )
    plan = dataclasses.replace(document("x").plan, steps=tuple(steps))

    text = render(dataclasses.replace(document("x"), plan=plan))

    assert text[text.index("```diff") :].split("```")[1].splitlines() == [
        "diff",
        "# hold, until release",
        "+ box/b",
        "+     text: a",
        "+     number: 0",
        "",
        "# release",
        "~ box/b",
        "-     text: a",
        "+     text: run (known after apply)",
        "      # (1 unchanged attribute hidden)",
        "- box/b",
        "-     text: run (known after apply)",
        "-     number: 0",
    ]
