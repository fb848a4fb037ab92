"""A pytest plugin that writes down how each test ended, and whose packages it tried.

`caught` is an assertion that does not hold, or an error that did not come; every other exception is no verdict.
"""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

import bot_core
import rollbackctl

PASSED, CAUGHT = "passed", "caught"


class _Book:
    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep the first thing that went wrong with a test."""
        report = yield
        if self.verdicts.get(item.nodeid, PASSED) == PASSED:
            self.verdicts[item.nodeid] = _verdict(call)
        return report


def _verdict(call: pytest.CallInfo[None]) -> str:
    if call.excinfo is None:
        return PASSED
    if call.when == "call" and call.excinfo.errisinstance((AssertionError, pytest.fail.Exception)):
        return CAUGHT
    return f"{call.when}: {call.excinfo.exconly()}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--verdicts", type=Path, required=True, help="where they are written")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Book(), "verdicts")


def pytest_unconfigure(config: pytest.Config) -> None:
    book = config.pluginmanager.get_plugin("verdicts")
    packages = [bot_core.__file__, rollbackctl.__file__]
    config.option.verdicts.write_text(json.dumps({"packages": packages, "verdicts": book.verdicts}))
