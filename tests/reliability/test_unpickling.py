import pickle
from collections import OrderedDict
from typing import Any

import pytest

from tests.unpickling import CLUSTER, ROOT, UnpickledError

PICKLED = pickle.dumps(OrderedDict())


@pytest.mark.parametrize("package", ["bot_core/ai", "rollbackctl/engine"])
@pytest.mark.parametrize("code", ["pickle.loads(data)", "pickle.Unpickler(io.BytesIO(data)).load()"])
def test_a_pickle_that_our_code_loads_ends_the_test_even_where_it_catches_all_errors(package: str, code: str) -> None:
    source = f"import io, pickle\ntry:\n    {code}\nexcept Exception:\n    pass\n"
    planted = compile(source, f"{ROOT / package}/planted.py", "exec")

    with pytest.raises(UnpickledError, match=r"OrderedDict.*planted\.py:3"):
        exec(planted, {"data": PICKLED})  # noqa: S102 - what is planted is the test


def test_a_pickle_of_a_test_or_a_tool_is_its_own_affair() -> None:
    assert pickle.loads(PICKLED) == OrderedDict()  # noqa: S301


def test_what_processes_of_a_cluster_send_each_other_is_the_one_exception_and_not_what_it_calls() -> None:
    calls = compile("def call(function):\n    return function()\n", CLUSTER, "exec")
    loads = compile(
        "import pickle\n\ndef load():\n    return pickle.loads(data)\n", f"{ROOT}/bot_core/ai/planted.py", "exec"
    )
    names: dict[str, Any] = {"data": PICKLED}
    exec(calls, names)  # noqa: S102 - what is planted is the test
    exec(loads, names)  # noqa: S102

    assert names["call"](lambda: pickle.loads(PICKLED)) == OrderedDict()  # noqa: S301
    with pytest.raises(UnpickledError, match=r"planted\.py:4"):
        names["call"](names["load"])
