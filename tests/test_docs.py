"""The documentation names everything that exists, and nothing that does not."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from rollbackctl.cli.main import COMMANDS, cli
from rollbackctl.cli.options import common
from rollbackctl.cli.schema import NAMES
from rollbackctl.core.data_drift import MEASURES
from rollbackctl.core.errors import RollbackError
from rollbackctl.engine.registry import load_registry
from rollbackctl.kinds import Kind
from rollbackctl.spec.data_drift import DataDriftSettings, limits_of
from rollbackctl.spec.document import HmacKey, Policy, Spec
from rollbackctl.spec.load import load_spec
from scripts.check_docs import main as broken_links
from scripts.make_transcripts import RUN, chosen
from tests.examples import aims, bind, make_facts, make_spec

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_ROW = re.compile(r"^\| `([^|]+)` \| ([^|]+) \|", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def section(name: str) -> str:
    parts = re.split(r"^## ", read("commands.md"), flags=re.MULTILINE)
    return next(part for part in parts if part.startswith(f"{name}\n"))


def documented_options(text: str) -> set[str]:
    """The options in the first column of a section's tables."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `-")]
    return {option for cell in cells for option in re.findall(r"`(--?[a-z-]+)", cell)}


def options(command: click.Command) -> set[str]:
    return {name for param in _options(command) for name in (*param.opts, *param.secondary_opts)}


def _options(command: click.Command) -> Iterator[click.Option]:
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden:
            yield param


def find_command(name: str) -> click.Command:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command


def test_every_command_has_a_section_in_the_order_of_the_help() -> None:
    sections = re.findall(r"^## (.+)$", read("commands.md"), re.MULTILINE)

    assert sections == ["Options of every command", *COMMANDS]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_its_section_and_no_other(name: str) -> None:
    assert documented_options(section(name)) == options(find_command(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_every_choice_is_in_the_section(name: str) -> None:
    text = section(name)

    for param in find_command(name).params:
        if isinstance(param, click.Argument):
            words = "NAME" if name == "schema" else (param.metavar or param.name or "").strip("[]").upper()
            assert re.search(rf"`rollbackctl {name} [^`]*\b{words}\b", text)
        if isinstance(param.type, click.Choice) and not getattr(param, "hidden", False):
            assert [word for word in param.type.choices if f"`{word}`" not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_section_and_every_help_has_an_example(name: str) -> None:
    assert re.search(rf"^(\$ )?rollbackctl {name}\b", section(name), re.MULTILINE)
    assert f"Example: rollbackctl {name}" in (find_command(name).help or "")


def test_the_options_of_every_command_are_documented_once() -> None:
    documented = documented_options(section("Options of every command"))
    hidden = {name for param in common(lambda: None).__click_params__ for name in param.opts}  # type: ignore[attr-defined]

    assert documented == options(cli) | {"-h", "--help"}
    assert documented == hidden | {"--version", "-h", "--help"}


def test_every_environment_variable_is_documented() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "rollbackctl").rglob("*.py"))
    read_by_code = set(re.findall(r"\bROLLBACKCTL_[A-Z_]*[A-Z]", sources)) | {"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"}

    text = section("Options of every command")
    assert [name for name in sorted(read_by_code) if f"`{name}`" not in text] == []


def test_every_exit_code_is_documented_and_no_other() -> None:
    documented = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", read("exit-codes.md"), re.MULTILINE)}

    assert documented == {error.exit_code for error in _errors(RollbackError)} | set(_returned_codes())


def _errors(root: type[RollbackError]) -> Iterator[type[RollbackError]]:
    if root.__module__.startswith("rollbackctl."):
        yield root
    for error in root.__subclasses__():
        yield from _errors(error)


def _returned_codes() -> Iterator[int]:
    """Every number that a command or the entry point returns or exits with."""
    for path in (ROOT / "rollbackctl" / "cli").glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and ast.unparse(function.returns or ast.Constant(None)) == "int":
                for node in ast.walk(function):
                    if isinstance(node, ast.Return) and node.value is not None:
                        yield from _numbers(node.value)


def _numbers(node: ast.expr) -> Iterator[int]:
    match node:
        case ast.Constant(value=int() as value):
            yield value
        case ast.IfExp(body=body, orelse=orelse):
            yield from _numbers(body)
            yield from _numbers(orelse)


def test_every_field_of_a_plan_is_documented_with_its_default() -> None:
    default = Spec.default(name="x", incident="x").model_dump(mode="json")
    fields = {path: shown for path, shown in _fields(Spec, default) if path != "spec" and path != "metadata"}
    registry = load_registry(Policy())
    for group, sections in (("gates", registry.gate_sections), ("checks", registry.check_sections)):
        for section, settings in sections.items():
            if settings is not None:
                fields |= _fields(settings, _defaults(settings), f"spec.{group}.{section}.")

    assert _documented("plan-format.md") == fields


def test_every_measure_is_documented_with_its_default_limit() -> None:
    limits = limits_of(DataDriftSettings.model_validate({"window": {"path": "x"}}), {}).measures

    page = read("plan-format.md")
    assert [name for name, limit in limits.items() if f"`{name}` {limit:g}" not in page] == []
    assert [name for name in MEASURES if f"`{name}`" not in page] == []


def test_every_field_of_the_policy_is_documented_with_its_default() -> None:
    fields = dict(_fields(Policy, Policy().model_dump(mode="json")))
    keys = {f"hmac_keys.KEY_ID.{name}": "one of the two" for name in HmacKey.model_fields}

    assert _documented("policy.md") == fields | keys


def _documented(page: str) -> dict[str, str]:
    return {path: default.strip().strip("`") for path, default in _ROW.findall(read(page))}


def _fields(model: type[BaseModel], default: Any, place: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        path = f"{place}{name}"
        value = default.get(name) if isinstance(default, dict) else None
        nested = _model_in(field.annotation)
        if nested is None or field.is_required():
            yield path, "required" if field.is_required() and isinstance(default, dict) else _shown(value)
        if nested is not None:
            yield from _fields(nested, value, f"{path}.")


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """The defaults of a section, and of each section that must be in it."""
    fields = {name: (field, _model_in(field.annotation)) for name, field in model.model_fields.items()}
    return {
        name: to_jsonable_python(field.get_default())
        if not field.is_required()
        else (_defaults(nested) if nested is not None else None)
        for name, (field, nested) in fields.items()
    }


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = (annotation, *getattr(annotation, "__args__", ()))
    if getattr(annotation, "__origin__", None) in (dict, tuple):
        return None
    return next((item for item in options if isinstance(item, type) and issubclass(item, BaseModel)), None)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


def test_every_event_is_documented_and_no_other() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "rollbackctl").rglob("*.py"))
    emitted = set(re.findall(r'(?:\bEvent\(|_tell_step\(context, |_emit\()\s*"([a-z_]+)"', sources))

    assert {name for name, _ in _ROW.findall(read("events.md"))} == emitted


def test_every_schema_is_documented() -> None:
    assert [name for name in NAMES if f"`{name}`" not in section("schema")] == []


@pytest.mark.parametrize("group", ["kinds", "gates", "checks"])
def test_every_kind_gate_and_check_is_documented(group: str) -> None:
    page = read("files.md") if group == "kinds" else read("concepts/lifecycle.md")

    assert [name for name in getattr(load_registry(Policy()), group) if f"`{name}`" not in page] == []


def test_every_example_plan_is_valid() -> None:
    registry = load_registry(Policy())
    plans = [
        (page.name, body)
        for page in (ROOT / "README.md", *DOCS.rglob("*.md"))
        for language, body in _FENCE.findall(page.read_text())
        if language == "yaml" and body.startswith("apiVersion")
    ]

    assert len(plans) >= 2
    for name, body in plans:
        load_spec(
            body.encode(), name, kinds=registry.kinds, gates=registry.gate_sections, checks=registry.check_sections
        )  # fmt: skip


def test_the_kind_that_the_page_on_extending_shows_works(tmp_path: Path) -> None:
    code = next(body for language, body in _FENCE.findall(read("extending.md")) if language == "python")
    names: dict[str, Any] = {"__name__": "firm_kinds"}
    exec(compile(code, "firm_kinds.py", "exec"), names)  # noqa: S102 - the page's own example
    spec = make_spec(resources={"dashboard_banner": {"file": "var/banner.txt", "text": "being rolled back"}})
    kind: Kind = names["DashboardBanner"](bind(tmp_path, spec))

    (wish,) = kind.desire(spec, make_facts())
    held, after = aims(wish, kind.observe(wish.name))
    kind.move(wish.name, None, held)

    assert (tmp_path / "var/banner.txt").read_text() == "INC-2025-1117: being rolled back"
    assert kind.observe(wish.name) == held
    kind.move(wish.name, held, after)
    assert after is None
    assert kind.observe(wish.name) is None


def test_every_transcript_is_what_the_tool_says() -> None:
    command = [sys.executable, ROOT / "scripts" / "make_transcripts.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_part_of_a_transcript_ends_where_the_next_one_begins() -> None:
    text = "$ x\nHead\n\nSteps\n  hold\n    + a\n  release\n    ~ b\n\nEnd\n"

    assert chosen(text, []) == text
    assert chosen(text, ["Head"]) == "Head\n"
    assert chosen(text, ["Steps", "hold"]) == "  hold\n    + a\n"
    assert chosen(text, ["Steps", "release"]) == "  release\n    ~ b\n"
    with pytest.raises(ValueError, match="no place Gates"):
        chosen(text, ["Gates"])
    assert RUN in read("commands.md")


def test_every_link_leads_somewhere_also_to_a_heading() -> None:
    assert broken_links(ROOT) == 0
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    for page in pages:
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)]+)\)", _FENCE.sub("", page.read_text())):
            linked = (page.parent / target).resolve() if target else page
            assert anchor in {_anchor(heading) for heading in _HEADING.findall(_FENCE.sub("", linked.read_text()))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_page_can_be_reached_from_the_index() -> None:
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)", read("index.md"))}
    linked |= {(DOCS / "adr" / target).resolve() for target in re.findall(r"\]\(([^)#]+)", read("adr/README.md"))}

    assert [page for page in DOCS.rglob("*.md") if page.resolve() not in linked | {DOCS / "index.md"}] == []


def test_the_commands_for_a_fresh_machine_are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md"))
        for target in re.findall(r"\bmake ([a-z]+)", "\n".join(_code(page.read_text())))
    }

    assert {"demo", "test"} <= named <= targets


def _code(text: str) -> list[str]:
    return [body for _, body in _FENCE.findall(text)] + re.findall(r"`([^`\n]+)`", text)
