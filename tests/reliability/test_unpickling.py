import pickle
from collections import OrderedDict

import pytest

from tests.unpickling import ROOT, UnpickledError

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
