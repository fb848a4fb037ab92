"""`scripts/run_decision_engine_smoke.py`: the smoke test of the model that serves in a workspace."""

import argparse
import base64
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from bot_core.ai.attestation import ALGORITHM, hmac_of
from bot_core.ai.instant import format_instant, utc_now
from bot_core.ai.manager import AIManager
from bot_core.ai.serving import NotServingError, ServedModel, Serving, read_serving
from bot_core.config.decision_engine import parse_decision_engine, runbook_config
from bot_core.decision.inputs import parse_candidates, parse_risk_snapshots, parse_tco_report
from bot_core.decision.smoke import MODES, SmokeInputs, SmokeResult, run_smoke
from bot_core.foundation.atomic_file import make_folder, write_atomic
from bot_core.foundation.digest import canonical_json, sha256_hex
from bot_core.foundation.errors import BotCoreError
from bot_core.foundation.frozen import frozen
from bot_core.foundation.safe_file import read_inside
from bot_core.foundation.strict_json import encode_json

_DEFAULT_CONFIG = Path("config/core.yaml")
_INPUTS = ("candidates", "risk_snapshot", "tco_report")
_ACCEPTED, _REJECTED, _USAGE = 0, 1, 2


def main(arguments: Sequence[str], now: datetime | None = None) -> int:
    """Run the smoke test in the working folder, write its output, and say what came of it.

    Args:
        arguments: The command line without the program's name.
        now: For `generated_at`; None: the clock's.

    Returns:
        0 where a candidate was accepted or none need be; 1 where none was, or the model that serves was not used; 2
        where an option or an input is wrong, and nothing is written.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        paths = _paths(options)
        key = _signing_key(options)
        data = {name: _read(path) for name, path in paths.items()}
        inputs = _inputs(data, paths)
    except (BotCoreError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201 - this is the command
        return _USAGE
    outcome = _score(inputs, options.model_dir)
    files = {name: (str(paths[name]), sha256_hex(data[name])) for name in paths}
    report = _report(outcome, options.mode, files, now or utc_now())
    try:
        _write(options.output, report, key, options.signing_key_id)
    except (BotCoreError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201
        return _REJECTED
    return _say(outcome, options.output, is_empty_fine=options.allow_empty)


@frozen
class _Outcome:
    """What the smoke came to.

    Attributes:
        serving: The state under which it was made.
        name, model: The default model of that state; None: there is none.
        result: None where no model could be asked.
        failures: Why it proves nothing; () where it passed.
    """

    serving: Serving
    name: str | None
    model: ServedModel | None
    result: SmokeResult | None
    failures: tuple[str, ...]


def _score(inputs: SmokeInputs, model_dir: Path) -> _Outcome:
    """Decide about the candidates with the default model, as an engine on that folder; serving stays as it is."""
    serving, name, model = Serving.initial(), None, None
    try:
        serving = read_serving(model_dir)
        name = serving.default_model
        model = None if name is None else serving.models.get(name)
        if name is None or model is None or not serving.attached:
            raise NotServingError(f"{model_dir}: {_why_not(serving)}")
        result = run_smoke(inputs, name, AIManager(model_dir=model_dir).engine.inference(name), model.sha256)
        after = read_serving(model_dir).generation
    except (BotCoreError, OSError) as error:
        return _Outcome(serving, name, model, None, (str(error),))
    changed = f"serving went from generation {serving.generation} to {after} meanwhile: run it again"
    failures = (*result.failures, *([changed] if after != serving.generation else []))
    return _Outcome(serving, name, model, result, failures)


def _why_not(serving: Serving) -> str:
    if serving.attached:
        return "no default model is loaded"
    return f"serving is detached{f': {serving.held_by}' if serving.held_by else ''}"


def _report(outcome: _Outcome, mode: str, files: Mapping[str, tuple[str, str]], now: datetime) -> dict[str, object]:
    """The output; `model` says which model was used, and `failures` why that is not proven."""
    result, model = outcome.result, outcome.model
    evaluations = [_plain(evaluation.to_mapping()) for evaluation in result.evaluations] if result else []
    served = None if model is None else {"name": outcome.name, "version": model.version, "sha256": model.sha256}
    return {
        "generated_at": format_instant(now),
        "mode": mode,
        **{name: path for name, (path, _) in files.items()},
        "config": files["config"][0] if "config" in files else None,
        "inputs": {name: {"path": path, "sha256": digest} for name, (path, digest) in files.items()},
        "model": None if served is None else {**served, "generation": outcome.serving.generation},
        "evaluations": evaluations,
        "accepted": result.accepted if result else 0,
        "rejected": result.rejected if result else 0,
        "stress_failures": result.stress_failures if result else 0,
        "failures": list(outcome.failures),
    }


def _plain(evaluation: Mapping[str, object]) -> dict[str, object]:
    """An evaluation as JSON can hold it: a number that is not finite, which is a failure of its own, is null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in evaluation.items()
    }


def _write(output: Path, report: Mapping[str, object], key: bytes | None, key_id: str | None) -> None:
    """Write the output and, with a key, its signature, which comes last and holds for these very bytes only."""
    data = encode_json(report, sort_keys=True, newline=True)
    make_folder(output.parent)
    write_atomic(output, data)
    if key is not None:
        payload = {
            "schema": "runtime.decision_engine.smoke",
            "schema_version": "1.0",
            "generated_at": report["generated_at"],
            "result": output.name,
            "result_sha256": sha256_hex(data),
            **{name: report[name] for name in ("accepted", "rejected", "stress_failures")},
        }
        value = base64.b64encode(hmac_of(key, canonical_json(payload))).decode()
        signature = {"algorithm": ALGORITHM, "value": value, "key_id": key_id}
        signed = encode_json({"payload": payload, "signature": signature}, newline=True)
        write_atomic(output.with_name(f"{output.name}.sig"), signed)


def _say(outcome: _Outcome, output: Path, *, is_empty_fine: bool) -> int:
    result = outcome.result
    if outcome.failures or result is None:
        print("\n".join(["the smoke test failed", *outcome.failures]), file=sys.stderr)  # noqa: T201
        return _REJECTED
    who = f"{outcome.name} {outcome.model.version or outcome.model.sha256}" if outcome.model else ""
    print(f"{who}: {result.accepted} accepted, {result.rejected} rejected; see {output}")  # noqa: T201
    return _ACCEPTED if result.accepted or is_empty_fine else _REJECTED


def _paths(options: argparse.Namespace) -> dict[str, Path]:
    """The input files by name; `config` only where there is one.

    Raises:
        BotCoreError: Live inputs are not named.
    """
    folder = None if options.mode == "live" else Path("data/decision_engine") / options.mode
    paths = {}
    for name in _INPUTS:
        path = getattr(options, name) or (folder / f"{name}.json" if folder else None)
        if path is None:
            raise BotCoreError(f"--mode live needs --{name.replace('_', '-')}")
        paths[name] = path
    config = options.config or (_DEFAULT_CONFIG if _DEFAULT_CONFIG.is_file() else None)
    return paths if config is None else {**paths, "config": config}


def _read(path: Path) -> bytes:
    return read_inside(path.parent, path.name)


def _inputs(data: Mapping[str, bytes], paths: Mapping[str, Path]) -> SmokeInputs:
    sources = {name: str(path) for name, path in paths.items()}
    return SmokeInputs(
        parse_decision_engine(data["config"], sources["config"]) if "config" in data else runbook_config(),
        parse_candidates(data["candidates"], sources["candidates"]),
        parse_risk_snapshots(data["risk_snapshot"], sources["risk_snapshot"]),
        parse_tco_report(data["tco_report"], sources["tco_report"]),
    )


def _signing_key(options: argparse.Namespace) -> bytes | None:
    """The key of the signature; None: the output is not signed.

    Raises:
        BotCoreError: The key is empty or is not where it should be.
    """
    if options.signing_key_file is not None:
        key = _read(options.signing_key_file).strip()
    elif options.signing_key_env is not None:
        key = os.environ.get(options.signing_key_env, "").encode()
    elif options.signing_key is not None:
        key = options.signing_key.encode()
    else:
        return None
    if not key:
        raise BotCoreError("the signing key is empty or not set")
    return bytes(key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_decision_engine_smoke.py",
        description="Score candidates with the model that serves, and decide about them under the engine's limits.",
    )
    add = parser.add_argument
    add("--mode", choices=MODES, default="live", help="demo and paper have inputs in data/decision_engine/MODE")
    add("--config", type=Path, help="YAML: the engine's configuration, or thresholds; else config/core.yaml if there")
    add("--risk-snapshot", type=Path, help="JSON: the account of each risk profile")
    add("--candidates", type=Path, help="JSON: what is decided about")
    add("--tco-report", type=Path, help="JSON: costs by strategy and risk profile")
    add("--model-dir", type=Path, default=Path("var/models"), help="the folder with serving.json")
    add("--output", type=Path, required=True, help="where the JSON output is written")
    add("--allow-empty", action="store_true", help="exit 0 although no candidate is accepted")
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument("--signing-key", help="sign the output with this key; better from a file")
    keys.add_argument("--signing-key-env", metavar="NAME", help="sign with the key in this environment variable")
    keys.add_argument("--signing-key-file", type=Path, help="sign with the key in this file")
    add("--signing-key-id", help="the key's public name")
    return parser
