"""A plan document as JSON text."""

import json

from rollbackctl.core.document import PlanDocument


def render(document: PlanDocument) -> str:
    """Return the document as sorted, indented JSON in printable ASCII; it reads back as it was."""
    text = json.dumps(document.to_json(), sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f") + "\n"  # DEL is ASCII, and a control character all the same
