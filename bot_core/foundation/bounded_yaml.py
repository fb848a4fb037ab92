"""A YAML parser that refuses what is nested too deeply while it reads it, before the time for that has grown."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruamel.yaml import YAML


def bounded_yaml(max_depth: int) -> "YAML":
    """A safe parser in plain Python; what is nested deeper than `max_depth` levels is a `MarkedYAMLError`.

    Each bracket may be the key of a mapping, so that the scanner looks up to a thousand characters ahead before it
    gives the first of them away, and goes through all that are open at every one: a limit on events comes too late.
    Imports ruamel.yaml, which takes 40 ms.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.scanner import Scanner, ScannerError

    class BoundedScanner(Scanner):
        def fetch_flow_collection_start(self, *args: Any, **named: Any) -> None:
            place = self.reader.get_mark()
            super().fetch_flow_collection_start(*args, **named)
            self._refuse_deep(place)

        def add_indent(self, column: int) -> bool:
            is_deeper = super().add_indent(column)
            self._refuse_deep(self.reader.get_mark())
            return is_deeper

        def _refuse_deep(self, place: Any) -> None:
            if len(self.flow_context) + len(self.indents) > max_depth:
                raise ScannerError(None, None, f"nested deeper than {max_depth} levels", place)

    parser = YAML(typ="safe", pure=True)
    parser.Scanner = BoundedScanner
    return parser
