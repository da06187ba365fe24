"""The least privilege that kinds need, as a systemd unit and as a list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collector.model import Kind

from .sections import SECTIONS, section_of

__all__ = ["permissions"]

_HEAD = """\
# Everything is read, nothing is written, on the host that is asked. Without any right more than an account
# has, what it cannot see is a gap that names the file. What follows lets an account see all of it.
"""
_UNIT = """\
# A systemd service that runs as an account of its own, with these capabilities and no other:
[Service]
User=collector
AmbientCapabilities={capabilities}
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes
"""


def _rights(kinds: Sequence[Kind]) -> dict[str, list[str]]:
    """Section to kinds, in the order of the kinds."""
    found: dict[str, list[str]] = {}
    for kind in kinds:
        found.setdefault(section_of(kind), []).append(kind.name)
    return found


def _lines(found: dict[str, list[str]]) -> Iterator[str]:
    yield "# Closed to others by default, by kind:"
    for name, kinds in found.items():
        section = SECTIONS[name]
        if not section.closed and not section.commands:
            yield f"#   {', '.join(kinds)}: nothing, open to anyone"
            continue
        yield f"#   {', '.join(kinds)}:"
        yield from (f"#     reads {path}" for path in section.closed)
        yield from (f"#     runs  {command}" for command in section.commands)


def permissions(kinds: Sequence[Kind]) -> str:
    """A systemd unit's lines with the capabilities that these kinds need, and what each is needed for."""
    found = _rights(kinds)
    needed = sorted({name for section in found for name in SECTIONS[section].capabilities})
    unit = _UNIT.format(capabilities=" ".join(needed)) if needed else "# These kinds need no right at all.\n"
    return "\n".join([_HEAD + unit, *_lines(found), ""])
