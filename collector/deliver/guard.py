"""The push guard: no incomplete population goes to a sink that replaces a whole state.

There, what a denied call hid would be taken for gone, and deleted.
"""

from __future__ import annotations

from pathlib import Path

from collector.bundle.archive import Archive
from collector.bundle.layout import STATEMENT
from collector.bundle.sign import parse_envelope
from collector.bundle.statement import parse
from collector.model import VerifyError

__all__ = ["check_push"]


def check_push(bundle: Path) -> str:
    """Why a bundle must not replace a state, in one line; "" where each population is complete.

    Completeness is what the bundle's own statement says (docs/format.md).
    """
    try:
        with Archive(bundle) as archive:
            _, predicate = parse(parse_envelope(archive.read(STATEMENT)).payload)
    except (OSError, VerifyError) as error:
        return f"not handed to a sink that replaces what is there, since it cannot be read: {error}"
    kinds = sorted({each["kind"] for each in predicate["completeness"] if not each["complete"]})
    if not kinds:
        return ""
    shown = ", ".join(kinds[:3]) + (f" and {len(kinds) - 3} more" if len(kinds) > 3 else "")
    return f"not handed to a sink that replaces what is there, since not all was seen of {shown}"
