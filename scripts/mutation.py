"""Mutation testing of `rollbackctl/core` (every mutant) and `rollbackctl/engine` (a seeded sample): what no test sees.

The mutants are mutmut's, by its own operators; a string is mutated once, not in three spellings. mutmut's runner is not
used: it leaves decorated functions and properties alone, and its mutants do not reach the processes that tests start.
Here pytest collects the tests once. Each mutant is then put into a fork of that process, as the code of the functions
that it changes, and into the file that other processes read; the tests that came by the mutated lines run, quickest
first, up to the first one that fails. What runs when a module is imported is mutated in the file alone, and pytest
starts anew for it.

All of it happens in build/mutation, on a copy of what git knows. It takes long; results.jsonl there grows meanwhile.
"""

import argparse
import difflib
import gc
import importlib
import inspect
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "mutation"
TREE, RESULTS, MEASURED, DURATIONS = (BUILD / name for name in ("tree", "results.jsonl", "coverage", "durations.json"))
MUTMUT = "mutmut==3.8.1"
CORE, ENGINE = "rollbackctl/core", "rollbackctl/engine"
LEAST = {CORE: 90, ENGINE: 85}  # percent
TESTS = "tests/rollbackctl"
ENOUGH_S = 20.0  # a mutant that tests of this duration do not see has survived
PATIENCE_S = 20.0  # of computing, and three times as long as without it
ASLEEP = 10  # how many times as long when it waits, for itself or for a busy machine
MEMORY = 8 << 30
PYTEST = ["-q", "-m", "not reliability", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
PYTEST += [word for plugin in ("randomly", "xdist", "cacheprovider") for word in ("-p", f"no:{plugin}")]
PYTEST += ["--hypothesis-profile=mutation", f"--basetemp={BUILD / 'tmp'}", "-o", "tmp_path_retention_policy=none"]
HEAVY = ("hypothesis.strategies", "jsonschema", "numpy", "pydantic", "pytest", "ruamel.yaml", "sklearn.linear_model")

Mutant: TypeAlias = dict[str, Any]


def main(engine: int, seed: int) -> int:
    """Print every survivor and the scores; 1 where one is too low."""
    os.nice(10)
    copy_project()
    mutants = mutants_of(CORE, 0, seed) + mutants_of(ENGINE, engine, seed)
    for name in HEAVY:
        importlib.import_module(name)
    for old in (RESULTS, MEASURED, DURATIONS):
        old.unlink(missing_ok=True)
    try_all(mutants)
    return report([json.loads(line) for line in RESULTS.read_text().splitlines()])


def copy_project() -> None:
    """Copy what git knows; compiled files are compared by content: a mutant may have the time and size of another."""
    shutil.rmtree(TREE, ignore_errors=True)
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name, follow_symlinks=False)
    command = [
        sys.executable,
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "checked-hash",
        "rollbackctl",
        "bot_core",
    ]
    subprocess.run(command, cwd=TREE, check=True)


def mutants_of(package: str, count: int, seed: int) -> list[Mutant]:
    """Every mutant of a package, or (count > 0) a sample, from an environment that has mutmut."""
    python = BUILD / "env" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", BUILD / "env"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", MUTMUT], check=True)
    command = [python, __file__, "--list", package, "--engine", str(count), "--seed", str(seed)]
    return [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True).stdout.splitlines()]


def list_mutants(package: str, count: int, seed: int) -> None:
    """Print mutants as lines of JSON: path, first and last line, changed lines, whole text."""
    made = [make for path in sorted((TREE / package).glob("*.py")) for make in _mutations(path)]
    print(f"{package}: {len(made)} mutants", file=sys.stderr)
    if count:
        made = random.Random(seed).sample(made, min(count, len(made)))  # noqa: S311 - the same sample each time
    seen = set()
    for make in made:
        mutant = make()
        if mutant["change"] and mutant["text"] not in seen:
            seen.add(mutant["text"])
            print(json.dumps(mutant))


def _mutations(path: Path) -> Iterator[Callable[[], Mutant]]:
    import libcst as cst  # only in the environment that has mutmut
    from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
    from mutmut.mutation.file_mutation import MutationVisitor
    from mutmut.mutation.mutators import mutation_operators, operator_string
    from mutmut.mutation.pragma_handling import IgnoredCode

    class Visitor(MutationVisitor):
        METADATA_DEPENDENCIES = (*MutationVisitor.METADATA_DEPENDENCIES, ParentNodeProvider)

        def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
            return not isinstance(node, cst.FunctionDef) and super()._skip_node_and_children(node)

        def _create_mutations(self, node: cst.CSTNode) -> None:
            before = len(self.mutations)
            super()._create_mutations(node)
            statement = node
            while not isinstance(statement, cst.SimpleStatementLine | cst.BaseCompoundStatement | cst.Module):
                statement = self.get_metadata(ParentNodeProvider, statement)
            whole = statement if isinstance(statement, cst.SimpleStatementLine) else node
            place = self.get_metadata(PositionProvider, whole, None) or self.get_metadata(PositionProvider, statement)
            for mutation in self.mutations[before:]:
                mutation.lines = (place.start.line, place.end.line)

    def once(node: cst.BaseString) -> list[cst.BaseString]:
        return list(operator_string(node))[:1]

    operators = [(kind, once if operator is operator_string else operator) for kind, operator in mutation_operators]
    text = path.read_text()
    visitor = Visitor(operators, IgnoredCode(set(), set(), set()))
    module = MetadataWrapper(cst.parse_module(text)).visit(visitor)

    def made(mutation: Any) -> Mutant:
        changed = module.deep_replace(mutation.original_node, mutation.mutated_node).code
        lines = difflib.unified_diff(text.splitlines(), changed.splitlines(), n=0, lineterm="")
        change = "\n".join(line for line in lines if line[:3] not in ("---", "+++") and line[:2] != "@@")
        first, last = mutation.lines
        return {"path": str(path.relative_to(TREE)), "first": first, "last": last, "change": change, "text": changed}

    return (lambda mutation=mutation: made(mutation) for mutation in visitor.mutations)


def try_all(mutants: list[Mutant]) -> None:
    """Try every mutant; the results go to a file."""
    session = Session([mutant for mutant in mutants if _swaps(mutant) is not None])
    if in_fork(lambda: run_pytest([TESTS], session), 24 * 3600) != 0:
        sys.exit(f"pytest did not come to an end; see {BUILD / 'log'}")
    tests = Tests()
    for mutant in mutants:
        if _swaps(mutant) is None:
            names, limit_s = tests.of(mutant)
            _try(mutant, lambda names=names: run_pytest(["-x", *names]), limit_s)


class Session:
    """A pytest plugin: once the tests are collected, they are measured and mutants tried, in forks of this process."""

    def __init__(self, mutants: list[Mutant]) -> None:
        self._mutants = mutants

    def pytest_runtestloop(self, session: Any) -> bool:
        """Take the place of pytest's own loop over the tests."""
        if not DURATIONS.exists():
            in_fork(lambda: _measure(session.items), 2 * 3600)
        tests = Tests()
        items = {item.nodeid: item for item in session.items}
        functions = defaultdict(list)
        for item in gc.get_objects():
            if isinstance(item, FunctionType):
                functions[_place(item.__code__)].append(item)
        for mutant in self._mutants:
            names, limit_s = tests.of(mutant)
            codes = [(function, new) for old, new in _swaps(mutant) or () for function in functions[_place(old)]]
            _try(mutant, lambda codes=codes, names=names: _run_with(codes, [items[name] for name in names]), limit_s)
        return True


def _measure(items: list[Any]) -> int:
    """Run each test without a mutant: how long it takes, and by which lines it comes; one that fails is left out."""
    from coverage import Coverage

    durations = {}
    packages = [f"{TREE / package}/*" for package in LEAST]
    coverage = Coverage(config_file=False, data_file=str(MEASURED), include=packages)
    coverage.start()
    for item, following in zip(items, [*items[1:], None], strict=False):
        coverage.switch_context(item.nodeid)
        begin = time.monotonic()
        if _fails(item, following):
            print(f"cannot be used: {item.nodeid}", flush=True)
        else:
            durations[item.nodeid] = time.monotonic() - begin
    coverage.stop()
    coverage.save()
    DURATIONS.write_text(json.dumps(durations))
    return 0


class Tests:
    """What was measured: by file and line, the tests that come by; and their durations."""

    def __init__(self) -> None:
        from coverage import CoverageData

        self._durations: dict[str, float] = json.loads(DURATIONS.read_text())
        measured = CoverageData(str(MEASURED))
        measured.read()
        self._by_line = {
            str(Path(file).relative_to(TREE)): measured.contexts_by_lineno(file) for file in measured.measured_files()
        }

    def of(self, mutant: Mutant) -> tuple[list[str], float]:
        """The tests to try a mutant with, quickest first, and how many seconds they may take."""
        by_line = self._by_line.get(mutant["path"], {})
        lines = range(mutant["first"], mutant["last"] + 1)
        names = set().union(*(by_line.get(line, ()) for line in lines))
        if (
            not names
        ):  # run when the file is imported, if at all: the file's own tests are asked, and all that come by it
            own = f"tests/{Path(mutant['path']).parent}/test_{Path(mutant['path']).name}::"
            names = {name for name in self._durations if name.startswith(own)}.union(*by_line.values())
        chosen, total = [], 0.0
        for name in sorted(names & self._durations.keys() or self._durations, key=self._durations.__getitem__):
            if total < ENOUGH_S:
                chosen.append(name)
                total += self._durations[name]
        return chosen, PATIENCE_S + 3 * total


def _place(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _run_with(codes: list[tuple[FunctionType, CodeType]], items: list[Any]) -> int:
    for function, code in codes:
        function.__code__ = code
    return int(any(_fails(item, following) for item, following in zip(items, [*items[1:], None], strict=False)))


def _fails(item: Any, following: Any) -> bool:
    from _pytest.runner import runtestprotocol

    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def _swaps(mutant: Mutant) -> list[tuple[CodeType, CodeType]] | None:
    path = TREE / mutant["path"]
    return changed_functions(str(path), path.read_text(), mutant["text"])


def changed_functions(path: str, text: str, changed: str) -> list[tuple[CodeType, CodeType]] | None:
    """The codes of the functions that a change changes, old and new; None where it changes what an import runs."""
    old, new = compile(text, path, "exec"), compile(changed, path, "exec")
    pairs = list(zip(_functions(old), _functions(new), strict=False))
    if _import_time(old) != _import_time(new) or any(_free(one) != _free(other) for one, other in pairs):
        return None
    return [(one, other) for one, other in pairs if _content(one) != _content(other)]


def _functions(code: CodeType) -> Iterator[CodeType]:
    """The codes of the functions in a module or class."""
    for item in code.co_consts:
        if isinstance(item, CodeType):
            if item.co_flags & inspect.CO_OPTIMIZED:
                yield item
            else:
                yield from _functions(item)


def _free(code: CodeType) -> object:
    return code.co_qualname, code.co_freevars


def _content(code: object) -> object:
    """What a code does, whatever the lines that it stands in; of other constants, what tells True from 1."""
    if not isinstance(code, CodeType):
        return repr(code)
    signature = code.co_argcount, code.co_kwonlyargcount, code.co_varnames, code.co_freevars, code.co_cellvars
    return code.co_code, code.co_exceptiontable, code.co_names, signature, tuple(map(_content, code.co_consts))


def _import_time(code: CodeType) -> object:
    """What an import runs: all but the functions."""
    constants = []
    for item in code.co_consts:
        if isinstance(item, CodeType) and not item.co_flags & inspect.CO_OPTIMIZED:
            constants.append(_import_time(item))
        elif not isinstance(item, CodeType) or "comp>" in item.co_name or item.co_name == "<genexpr>":
            constants.append(_content(item))
    return code.co_code, code.co_names, constants


def _try(mutant: Mutant, trial: Callable[[], int], limit_s: float) -> None:
    file = TREE / mutant["path"]
    original = file.read_bytes()
    file.write_text(mutant["text"])
    begin = time.monotonic()
    try:
        code = in_fork(trial, limit_s)
    finally:
        file.write_bytes(original)
    result = {None: "timed out", 0: "survived"}.get(code, "killed")
    shown = {name: mutant[name] for name in ("path", "first", "change")}
    with RESULTS.open("a") as results:
        print(json.dumps(shown | {"result": result, "s": round(time.monotonic() - begin, 2)}), file=results)


def in_fork(work: Callable[[], int], limit_s: float) -> int | None:
    """Do something in a fork; its exit code, or None when it does not come to an end. What it started ends with it."""
    child = os.fork()
    if not child:
        _work_and_exit(work, limit_s)
    end, code = time.monotonic() + ASLEEP * limit_s, None
    while code is None and time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(0.005)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
    return None if code == -signal.SIGXCPU else code


def _work_and_exit(work: Callable[[], int], limit_s: float) -> None:
    code = 1
    try:
        os.setsid()
        os.chdir(TREE)
        log = os.open(BUILD / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for kind, limit in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, math.ceil(limit_s))):
            resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
        code = work()
    except BaseException:  # noqa: BLE001 - a fork never returns
        traceback.print_exc(file=sys.__stderr__)
    finally:
        sys.stdout.flush()
        sys.__stderr__.flush()
        os._exit(code)


def run_pytest(arguments: list[str], *plugins: object) -> int:
    """Run pytest in this process."""
    import pytest
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        "mutation",
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),  # any example kills; nobody reads the smallest one
        suppress_health_check=[HealthCheck.too_slow],  # the machine is not the mutant's fault
    )
    return int(pytest.main([*PYTEST, *arguments], plugins=plugins))


def report(results: Iterable[dict[str, Any]]) -> int:
    """Print every survivor and the scores; 1 where one is too low."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for result in results:
        counts[str(Path(result["path"]).parent)][result["result"]] += 1
        if result["result"] == "survived":
            print(f"{result['path']}:{result['first']}\n{result['change']}\n")
    print("| package | mutants | killed | timed out | survived | score, % |\n| --- | --- | --- | --- | --- | --- |")
    is_low = False
    for package, count in counts.items():
        total = count.total()
        score = 100 * (total - count["survived"]) / total
        is_low = is_low or score < LEAST[package]
        print(f"| {package} | {total} | {count['killed']} | {count['timed out']} | {count['survived']} | {score:.1f} |")
    return int(is_low)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=int, default=200, help="how many mutants of the engine; 0: all of them")
    parser.add_argument("--seed", type=int, default=4, help="which ones")
    parser.add_argument("--list", metavar="PACKAGE", help="print the mutants of one package and do no more")
    given = parser.parse_args()
    if not given.list:
        sys.exit(main(given.engine, given.seed))
    list_mutants(given.list, given.engine, given.seed)
