import pytest

from scripts.mutation import changed_functions, report

SOURCE = """
from functools import cached_property

LIMIT = 1

def first(value, least=0):
    return [item for item in value if item > least]

class Box:
    size: int = 2

    @cached_property
    def is_full(self):
        return (lambda: self.size > LIMIT)()

    def last(self):
        return True
"""


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("item > least", "item >= least", ["first"]),
        ("self.size > LIMIT", "self.size < LIMIT", ["Box.is_full"]),
        ("return True", "return 1", ["Box.last"]),
        ("return [item for", "return list(value) or [\n        item for", ["first"]),
        ("LIMIT = 1", "\nLIMIT = 1", []),
        ("LIMIT = 1", "LIMIT = 2", None),
        ("least=0", "least=None", None),
        ("size: int = 2", "size: int = None", None),
        ("@cached_property", "@property", None),
        ("def last", "def list", None),
    ],
)
def test_a_change_is_of_functions_or_of_what_an_import_runs(old: str, new: str, names: list[str] | None) -> None:
    changed = changed_functions("box.py", SOURCE, SOURCE.replace(old, new))

    assert (None if changed is None else [code.co_qualname for code, _ in changed]) == names


def test_the_code_of_a_changed_function_takes_the_place_of_the_old_one() -> None:
    module: dict[str, object] = {}
    exec(compile(SOURCE, "box.py", "exec"), module)  # noqa: S102 - the source above
    box = module["Box"]()  # type: ignore[operator]

    changed = changed_functions("box.py", SOURCE, SOURCE.replace("return True", "return False"))

    assert changed is not None
    ((old, new),) = changed
    assert type(box).last.__code__ == old
    type(box).last.__code__ = new
    assert box.last() is False


@pytest.mark.parametrize(("killed", "survived", "code"), [(9, 1, 0), (8, 2, 1)])
def test_a_low_score_is_a_failure_and_survivors_are_shown(
    killed: int, survived: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    mutant = {"path": "rollbackctl/core/box.py", "first": 7, "change": "-a\n+b"}
    results = [mutant | {"result": "killed"}] * killed + [mutant | {"result": "survived"}] * survived

    assert report(results) == code
    out = capsys.readouterr().out
    assert out.count("rollbackctl/core/box.py:7\n-a\n+b") == survived
    assert f"| rollbackctl/core | 10 | {killed} | 0 | {survived} | {killed * 10:.1f} |" in out
