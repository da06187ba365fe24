from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from collector.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_help", ROOT / "tools/generate_help.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_of_help_is_what_the_program_says() -> None:
    made = generator().page()
    assert (ROOT / "docs/help.md").read_text() == made, "run `make docs`"


def test_page_of_help_has_every_command_and_no_line_wider_than_it_promises() -> None:
    text = (ROOT / "docs/help.md").read_text()
    for name in COMMANDS:
        assert f"## collector {name}\n" in text
    assert max(map(len, text.splitlines())) <= 100
