"""The conformance kit: what a plugin's author runs against a source, and what our own tests run.

`check_source` looks at a source's class, `check_run` at what it does: it records one run and lets each
call fail in turn. `Recording` keeps a run's raw answers as a file, and plays them back.
"""

from collector.testing.asking import PlainAsk
from collector.testing.conformance import check_derived, check_kind, check_source
from collector.testing.recording import Call, Recording, recording_source, replay_source
from collector.testing.running import Collected, check_run, collect

__all__ = [
    "Call",
    "Collected",
    "PlainAsk",
    "Recording",
    "check_derived",
    "check_kind",
    "check_run",
    "check_source",
    "collect",
    "recording_source",
    "replay_source",
]
