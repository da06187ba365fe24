"""Documentation that would become untrue without a word: modules, hooks, links, paths, examples."""

import re
import tomllib
from pathlib import Path

import pytest

import collector_host
import collector_program
from collector import hookspecs
from collector.assess import examples, mappings
from collector.cli.app import COMMANDS
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
