"""Write `schemas/*.schema.json` from the models; with `--check`, say which files differ and change nothing."""

import sys
from pathlib import Path

from rollbackctl.engine.registry import load_registry
from rollbackctl.spec.document import Policy
from rollbackctl.spec.schema import encode, schemas


def main(folder: Path, *, check: bool) -> int:
    registry = load_registry(Policy())
    found = schemas(registry.gate_sections, registry.check_sections)
    wanted = {folder / f"{name}.schema.json": encode(schema) for name, schema in found.items()}
    different = [path for path, data in wanted.items() if not path.is_file() or path.read_bytes() != data]
    for path in different:
        if check:
            print(f"{path.name} differs from its model; write it: python scripts/make_schemas.py", file=sys.stderr)
        else:
            path.write_bytes(wanted[path])
            print(f"wrote {path.name}")
    return 1 if check and different else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parents[1] / "schemas", check="--check" in sys.argv[1:]))
