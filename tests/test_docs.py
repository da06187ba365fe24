"""Documentation that would become untrue without a word: modules, hooks, links, paths, examples."""

import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import click
import pytest

import collector_host
import collector_program
from collector import hookspecs
from collector.assess import examples, exceptions, mappings
from collector.cli.app import COMMANDS, app
from collector.plugins import Plugins
from collector.run.folder import all_kinds

TOP = Path(__file__).resolve().parents[1]
ARCHITECTURE = (TOP / "docs/architecture.md").read_text()
SKIPPED = {"build", "dist", "__pycache__"}
TEXTS = {".md", ".py", ".toml", ".sh", ".txt", ".json", ".csv", ".cfg", ".yml", ".yaml", ""}

LINK = re.compile(r"\[[^\]\[]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(`{3,}).*?^\1`*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
ROW = re.compile(r"^\| `([^`]+\.py)` \| (.+) \|$", re.MULTILINE)
# Dot files below root's home are facts of hosts that are audited.
MACHINE = re.compile(r"(?<![\w.~-])/(?:work|root(?=/[^.\s]))/")


def files(*suffixes: str) -> list[Path]:
    """Files of the project, not what building, testing or running left there."""
    found = []
    for path in TOP.rglob("*"):
        inner = path.relative_to(TOP).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in inner[:-1])
        if path.is_file() and path.suffix in suffixes and not hidden and not SKIPPED & set(inner):
            found.append(path)
    return sorted(found)


def name(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """How headings are linked to: lower case, no punctuation, blanks as hyphens."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        for heading in HEADING.findall(prose(path))
    }


def broken(path: Path, top: Path = TOP) -> list[str]:
    """Relative links of a page that lead nowhere, or out of the project."""
    found = []
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        inside = there == top or top in there.parents
        if not (inside and there.exists()) or (anchor and anchor not in anchors(there)):
            found.append(link)
    return found


def modules() -> set[str]:
    return {name(path) for path in files(".py") if name(path).startswith(("collector/", "plugins/"))}


def test_architecture_names_every_module_in_a_line_and_none_that_is_gone() -> None:
    named = [path for path, _ in ROW.findall(ARCHITECTURE)]
    assert sorted(modules() - set(named)) == []
    assert sorted(set(named) - modules()) == []
    assert len(named) == len(set(named)), "a module has two lines"


def test_paths_that_pages_name_exist() -> None:
    wanted = re.compile(r"`((?:collector|plugins|tests|docs|mappings|tools|examples)/[\w./-]+)`")
    for page in (TOP / "docs/architecture.md", TOP / "docs/checks.md", TOP / "CONTRIBUTING.md"):
        gone = [path for path in wanted.findall(page.read_text()) if not (TOP / path).exists()]
        assert gone == [], name(page)


def test_architecture_has_the_layers_of_the_import_contract_in_their_order() -> None:
    settings = tomllib.loads((TOP / "pyproject.toml").read_text())
    (contract,) = [each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    layers = [re.findall(r"[\w.]+", layer) for layer in contract["layers"]]
    numbered = re.findall(r"^\d+\. (`collector\..*)$", ARCHITECTURE, re.MULTILINE)
    assert [re.findall(r"`([\w.]+)`", line) for line in numbered] == layers


def test_every_hook_is_named_where_plugin_authors_read() -> None:
    marker = f"{hookspecs.GROUP}_spec"
    hooks = [hook for hook, value in vars(hookspecs).items() if hasattr(value, marker)]
    assert hooks
    page = (TOP / "docs/plugins.md").read_text()
    assert [hook for hook in hooks if hook not in page] == []


@pytest.mark.parametrize("page", files(".md"), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, with `code`\n[a](page.md) [b](#a-heading-with-code) [c](https://example.org/gone.md)\n"
        "[d](gone.md) [e](page.md#gone) [f](#gone) [g](../outside.md)\n```\n[h](in-a-fence.md)\n```\n"
    )
    (tmp_path.parent / "outside.md").touch()
    assert broken(page, tmp_path) == ["gone.md", "page.md#gone", "#gone", "../outside.md"]


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = []
    for path in files(*TEXTS):
        text = path.read_text(encoding="utf-8", errors="replace")
        if MACHINE.search(text) or (len(TOP.parts) > 2 and f"{TOP}/" in text):
            found.append(name(path))
    assert found == []


def test_a_path_of_the_machine_is_told_from_a_fact_about_hosts() -> None:
    for parts in (("", "work", "x"), ("", "root", "x", "y")):
        assert MACHINE.search("in " + "/".join(parts))
    for fact in ("/root/.ssh/authorized_keys", "framework/x", "./work/x", "/home /root /tmp"):
        assert not MACHINE.search(fact)


def test_readme_has_the_two_commands() -> None:
    readme = (TOP / "README.md").read_text()
    assert "make run" in readme
    assert "make test" in readme


def test_every_command_is_in_the_help_page_and_the_changelog() -> None:
    pages = {page: (TOP / page).read_text() for page in ("docs/help.md", "CHANGELOG.md")}
    assert [command for command in COMMANDS if f"## collector {command}\n" not in pages["docs/help.md"]] == []
    assert [command for command in COMMANDS if f"`{command}`" not in pages["CHANGELOG.md"]] == []


SCHEDULE = r"[\d*/,-]+(?: [\d*/,-]+){4} +"
SHELL_LINE = re.compile(rf"^(?:\$ |{SCHEDULE})?(?:/[\w/]+/)?collector ((?:.*\\\n)*.*)$", re.MULTILINE)
IN_PROSE = re.compile(r"`collector ((?!COMMAND\b)[^`.]+)`")


def words_of(line: str) -> list[str]:
    """A line as a shell takes it; of an argument that goes on in the next line, what stands before it."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return re.split("[\"']", line)[0].split()


def commands(page: str) -> list[list[str]]:
    """The collector's commands that a page tells its reader to type, as lists of words."""
    fences = "\n".join(match[0] for match in FENCE.finditer(page))
    lines = [line.replace("\\\n", " ") for line in SHELL_LINE.findall(fences)]
    split = [words_of(line) for line in lines]
    split += [words_of(line) for line in IN_PROSE.findall(FENCE.sub("", page))]
    return [list(takewhile(lambda word: word not in "|<" and word[0] != ">", words)) for words in split]


def refused(words: Sequence[str]) -> str:
    """What the command line finds wrong with a command, but for arguments that prose leaves out."""
    command: click.Command = app
    rest = list(words)
    context = click.Context(app, info_name="collector", **app.context_settings)
    try:
        while isinstance(command, click.Group) and not rest[0].startswith("-"):
            _name, found, rest = command.resolve_command(context, rest)
            command = found or command
        command.make_context(words[0], rest, parent=context if command is not app else None)
    except click.exceptions.Exit:  # help, version
        return ""
    except click.exceptions.MissingParameter:
        return ""
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("page", [path for path in files(".md") if path.name != "help.md"], ids=name)
def test_commands_that_pages_show_are_commands(page: Path) -> None:
    found = {" ".join(words): refused(words) for words in commands(page.read_text())}
    assert {line: wrong for line, wrong in found.items() if wrong} == {}


def test_a_command_that_is_none_is_found() -> None:
    lines = ["$ collector run --config a.toml", "15 2 * * *  /opt/bin/collector --config a.toml run --quiet"]
    page = "\n".join(["```", *lines, "```", "`collector rum`"])
    good, *bad = map(refused, commands(page))
    assert good == ""
    assert ["--config" in bad[0], "did you mean run?" in bad[1]] == [True, True]


def test_commands_of_make_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    for page in files(".md"):
        named = set(re.findall(r"`make ([a-z-]+)`", page.read_text()))
        assert named <= targets, name(page)


@pytest.mark.parametrize("page", ["docs/checks.md", "CONTRIBUTING.md"])
def test_checks_that_pages_show_load_and_do_what_their_examples_say(page: str, tmp_path: Path) -> None:
    shown = re.findall(
        r"^```toml\n(\[\[check\]\].*?)^```$", (TOP / page).read_text(), re.MULTILINE | re.DOTALL
    )
    assert shown
    folder = tmp_path / "checks"
    folder.mkdir()
    for number, text in enumerate(shown):
        (folder / f"{number}.toml").write_text(text)
    loaded = mappings.load([TOP / "mappings", tmp_path], strict=True)
    checks = [check for check in loaded.checks.values() if str(check.where).startswith(str(tmp_path))]
    assert len(checks) == len(shown)
    kinds = all_kinds(Plugins.of(collector_host, collector_program))
    assert [outcome for outcome in examples.run(checks, kinds) if not outcome.holds] == []


def test_exceptions_that_the_page_shows_are_read_and_leave_no_key_out(tmp_path: Path) -> None:
    text = (TOP / "docs/exceptions.md").read_text()
    shown = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    for number, example in enumerate((shown, shown.replace("#column", "column"))):
        path = tmp_path / f"{number}.toml"
        path.write_text(example)
        read = exceptions.load(path)
    schema = json.loads((TOP / "docs/schemas/exceptions.json").read_text())["properties"]
    for kind in ("waivers", "out_of_scope", "accepted_gaps"):
        (entry,) = read[kind]
        assert set(entry) == set(schema[kind]["items"]["properties"]), kind
