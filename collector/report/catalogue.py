"""What is known: plugins with their options, checks, frameworks with their controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from collector.model import Json, Kind, Option
from collector.report.page import Page, count

if TYPE_CHECKING:
    from collector.assess.mappings import Check, Framework, Mappings
    from collector.plugins import Plugins

__all__ = [
    "check_json",
    "check_text",
    "check_whole",
    "checks_text",
    "framework_json",
    "framework_text",
    "framework_whole",
    "frameworks_text",
    "gives",
    "kind_json",
    "kind_text",
    "plugins_text",
]


def gives(found: Plugins, plugin: str) -> list[dict[str, Json]]:
    """What one plugin gives: role, name, title, options and kinds of each part."""
    given: list[dict[str, Json]] = []
    for role, classes in (("source", found.sources), ("sink", found.sinks), ("signer", found.signers)):
        for name, made in classes.items():
            if found.giver[f"{role} {name}"] == plugin:
                kinds = [kind.name for kind in getattr(made, "kinds", ())]
                options = [_option(option) for option in made.options]
                given.append(
                    {"role": role, "name": name, "title": made.title, "options": options, "kinds": kinds}
                )
    for pack in found.packs:
        if found.giver[f"pack {pack.name}"] == plugin:
            kinds = [derived.kind.name for derived in pack.derived]
            title = f"mappings, version {pack.version}"
            given.append({"role": "pack", "name": pack.name, "title": title, "options": [], "kinds": kinds})
    return given


def _option(option: Option) -> dict[str, Json]:
    keys = ("name", "type", "meaning", "default", "required")
    return {**{key: getattr(option, key) for key in keys}, "choices": list(option.choices)}


def plugins_text(value: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector plugins`."""
    lines: list[str] = []
    for name, plugin in value.items():
        lines.append(page.heading(name, plugin["distribution"]))
        for given in plugin["gives"]:
            lines += page.wrap(f"{given['role']} {given['name']}: {given['title']}", 2, 4)
            rows = [(each["name"], each["type"], _option_text(each)) for each in given["options"]]
            lines += page.table(rows, indent=4)
            if given["kinds"]:
                lines += page.wrap(f"{count(len(given['kinds']), 'kind')}: {', '.join(given['kinds'])}", 4, 6)
        lines.append("")
    return lines[:-1]


def _option_text(option: Mapping[str, Any]) -> str:
    notes = ["required"] if option["required"] else []
    notes += [f"default {option['default']}"] if option["default"] is not None else []
    notes += [f"one of {', '.join(option['choices'])}"] if option["choices"] else []
    return f"{option['meaning']} ({'; '.join(notes)})" if notes else str(option["meaning"])


def kind_json(kind: Kind) -> dict[str, Json]:
    """A kind with its columns, in the order in which its plugin shows them."""
    return {
        "kind": kind.name,
        "title": kind.title,
        "identity": list(kind.identity),
        "columns": [
            {
                "name": each.name,
                "type": each.type,
                "meaning": each.meaning,
                "secret": each.secret,
                "identity": each.identity.value if each.identity else None,
            }
            for each in kind.columns
        ],
        "examples": list(kind.examples),
    }


def kind_text(value: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector plugins --kind KIND`."""
    lines = [page.heading(value["kind"], value["title"])]
    for each in value["columns"]:
        kept = "; kept as a keyed digest" if each["secret"] else ""
        kept = kept or ("; kept as a pseudonym" if each["identity"] in ("person_name", "mail") else "")
        lines += page.wrap(f"{each['name']}  {each['type']}", 2, 6)
        lines += page.wrap(f"{each['meaning']}{kept}", 6)
    lines += page.wrap(f"One record from another: {', '.join(value['identity'])}", 0, 2)
    return [*lines, *(line for each in value["examples"] for line in page.wrap(f"e.g. {each}", 0, 2))]


def check_json(check: Check) -> dict[str, Json]:
    """A check in a list."""
    return {
        "check": check.id,
        "title": check.title,
        "severity": check.severity,
        "kinds": list(check.kinds),
        "objectives": list(check.objectives),
    }


def checks_text(listed: Sequence[Mapping[str, Any]], page: Page) -> list[str]:
    """The text of `collector checks`."""
    rows = [(each["check"], each["severity"], each["title"]) for each in listed]
    return [
        *page.table(rows, ("check", "severity", "title"), indent=0, styles=("", "status")),
        "",
        count(len(rows), "check"),
    ]


def check_whole(check: Check, known: Mappings) -> dict[str, Json]:
    """A check with all that its pack says of it, and the controls that it reaches."""
    objectives = [known.objectives[name] for name in check.objectives]
    return {
        **check_json(check),
        "applies": check.applies,
        "asks": (check.query or check.pass_ or "").strip(),
        "reads": {name: list(columns) for name, columns in check.reads.items()},
        "witness": check.witness,
        "why": check.why,
        "fix": check.fix,
        "where": str(check.where),
        "objectives": [
            {
                "objective": each.id,
                "statement": each.statement,
                "controls": [{"control": to.control, "relation": to.relation} for to in each.relations],
            }
            for each in objectives
        ],
    }


def check_text(value: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector checks CHECK`."""
    lines = [
        f"{page.heading(value['check'])}  {page.status(value['severity'])}",
        *page.wrap(value["title"]),
        "",
        *page.wrap(f"Why: {value['why']}", 0, 5),
        *page.wrap(f"Fix: {value['fix']}", 0, 5),
        "",
        *page.wrap(f"Reads: {', '.join(value['kinds'])}"),
        *([f"Applies where: {value['applies'].strip()}"] if value["applies"] else []),
        "Passes where:" if not value["reads"] else "Asks:",
        *(f"    {line}" for line in value["asks"].splitlines()),
        "",
    ]
    for each in value["objectives"]:
        lines += page.wrap(f"{each['objective']}: {each['statement']}", 0, 2)
        lines += page.table([(to["control"], to["relation"]) for to in each["controls"]])
    return [*lines, "", page.paint("dim", value["where"])]


def _assessable(framework: Framework) -> list[str]:
    return [each.id for each in framework.controls.values() if each.assessable and not each.withdrawn]


def _related(known: Mappings) -> dict[str, list[dict[str, Json]]]:
    related: dict[str, list[dict[str, Json]]] = {}
    for objective in known.objectives.values():
        for to in objective.relations:
            row = {"objective": objective.id, "relation": to.relation, "why": to.why}
            related.setdefault(to.control, []).append(row)
    return related


def framework_json(framework: Framework, known: Mappings) -> dict[str, Json]:
    """A framework in a list: how many controls it has, how many checks or only people can speak of."""
    ids = [f"{framework.id}:{id_}" for id_ in _assessable(framework)]
    related = _related(known)
    people = [id_ for id_ in ids if id_ in known.rules and known.rules[id_].manual and id_ not in related]
    return {
        "framework": framework.id,
        "title": framework.title,
        "version": framework.version,
        "controls": len(ids),
        "related": sum(id_ in related for id_ in ids),
        "people": len(people),
    }


def frameworks_text(listed: Sequence[Mapping[str, Any]], page: Page) -> list[str]:
    """The text of `collector frameworks`."""
    keys = ("framework", "controls", "related", "people", "title")
    header = ("framework", "controls", "with checks", "people only", "title")
    return page.table([[each[key] for key in keys] for each in listed], header, indent=0, right=[1, 2, 3])


def framework_whole(framework: Framework, known: Mappings) -> dict[str, Json]:
    """A framework with its controls and the objectives that relate to each."""
    related = _related(known)
    controls = []
    for id_ in _assessable(framework):
        name = f"{framework.id}:{id_}"
        rule = known.rules.get(name)
        controls.append(
            {
                "control": name,
                "title": framework.controls[id_].title,
                "objectives": related.get(name, []),
                "sufficient": [list(names) for names in rule.sufficient] if rule else [],
                "manual": rule.manual if rule else "",
            }
        )
    return {**framework_json(framework, known), "controls": controls}


def framework_text(value: Mapping[str, Any], page: Page) -> list[str]:
    """The text of `collector frameworks FRAMEWORK`."""
    rows = []
    for each in value["controls"]:
        names = ", ".join(row["objective"] for row in each["objectives"])
        notes = [names, f"people: {each['manual']}" if each["manual"] else ""]
        rows.append(
            (each["control"].partition(":")[2], each["title"], "; ".join(note for note in notes if note))
        )
    return [
        page.heading(value["title"], value["version"]),
        *page.table(rows, ("control", "title", "objectives")),
    ]
