"""Compile plugins/collector_aws/services/*.toml into generated/*.json, with what botocore's models say.

Run after each change of a service file; what it writes is checked in, and a test writes it again and
compares:

    python tools/generate_aws.py            # all
    python tools/generate_aws.py s3 ec2     # these

Column types follow the shapes of the answers: what is recursive, a map or a document becomes JSON, and so
does a structure of more than 300 leaves. `plugins/collector_aws/services/README.md` says what the files hold.
An error names file and kind.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PLUGIN = Path(__file__).parents[1] / "plugins" / "collector_aws"
GATE = "sts:GetCallerIdentity"
MOST_LEAVES = 300
COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
SCALARS = {
    "string": "VARCHAR",
    "character": "VARCHAR",
    "blob": "VARCHAR",
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "long": "BIGINT",
    "float": "DOUBLE",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
}
KIND_KEYS = set(
    """name title list params items each one present for with detail id identity region columns omit absent
    call page pages when json secret free_text login resource mail person meaning examples function column
    everywhere operations base64""".split()
)
CALL_KEYS = set(
    "call params column take pages json when batch absent type meaning service free_text secret".split()
)
BATCH_KEYS = {"param", "of", "size", "key", "sparse"}


class Wrong(Exception):  # noqa: N818 - it says what a file is
    """A service file that cannot be compiled."""


@cache
def _loader() -> Any:
    from botocore.loaders import Loader

    return Loader()


@cache
def _model(service: str) -> Any:
    from botocore.model import ServiceModel

    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


@cache
def _paginators(service: str) -> Mapping[str, Any]:
    from botocore.exceptions import UnknownServiceError

    try:
        pages = _loader().load_service_model(service, "paginators-1")["pagination"]
    except (UnknownServiceError, KeyError):
        return {}
    return pages  # type: ignore[no-any-return]


def main(names: list[str]) -> int:
    """Compile; 0 if all went well."""
    files = [PLUGIN / "services" / f"{name}.toml" for name in names] or sorted(
        (PLUGIN / "services").glob("*.toml")
    )
    code = 0
    for path in files:
        try:
            text = compiled(path)
        except (Wrong, tomllib.TOMLDecodeError, OSError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)  # noqa: T201 - a tool of the command line
            code = 2
            continue
        (PLUGIN / "generated" / f"{path.stem}.json").write_text(text, "utf-8")
    return code


def compiled(path: Path) -> str:
    """What is written for a service file."""
    told = tomllib.loads(path.read_text("utf-8"))
    made = _Service(told)
    return json.dumps(made.compiled(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


class _Service:
    """One service file while it is compiled."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        if stray := told.keys() - {"service", "prefix", "actions", "global", "kind"}:
            raise Wrong(f"unknown key {sorted(stray)[0]}")
        self.name: str = told["service"]
        self.everywhere: bool = told.get("global", False)
        self.actions: Mapping[str, Any] = told.get("actions", {})
        self.prefix: str = told.get("prefix", "")
        self.told: list[Mapping[str, Any]] = told.get("kind", [])
        self.sources: dict[str, list[str]] = {}  # of the kind at hand, by member: calls that tell of it alone
        self.shapes: dict[str, Any] = {}  # shape of an item, by kind, for what is listed within it
        self.lists: dict[str, list[str]] = {}  # operations that lead to a kind's items
        self.paging: dict[str, Any] = {}
        self.absent: dict[str, list[list[str]]] = {}
        self.by_name = {kind.get("name", ""): kind for kind in self.told}

    def compiled(self) -> dict[str, Any]:
        kinds = []
        for kind in self.told:
            try:
                kinds.append(self.kind(kind))
            except KeyError as error:
                raise Wrong(f"kind {kind.get('name')}: no {error}") from error
            except Wrong as error:
                raise Wrong(f"kind {kind.get('name')}: {error}") from error
        return {"service": self.name, "kinds": kinds, "paging": self.paging, "absent": self.absent}

    # What one kind says

    def kind(self, kind: Mapping[str, Any]) -> dict[str, Any]:
        if stray := kind.keys() - KIND_KEYS:
            raise Wrong(f"unknown key {sorted(stray)[0]}")
        node = self.blank(kind)
        operations: dict[str, tuple[str, bool]] = {GATE: ("sts:GetCallerIdentity", True)}
        if "function" in kind:
            columns = [self.written(each) for each in kind["column"]]
            for each in kind.get("operations", []):
                self.operation(operations, each, lists=True)
        else:
            columns = self.listed(kind, node, operations)
        self.mark(kind, columns)
        node["columns"] = columns
        node["operations"] = [[name, right, lists] for name, (right, lists) in operations.items()]
        node["identity"] = kind.get("identity") or re.findall(r"{(\w+)}", node["id"])
        names = {column["name"] for column in columns}
        if missing := set(node["identity"]) - names:
            raise Wrong(f"identity names {sorted(missing)}, which are no columns")
        if not node["identity"]:
            node["identity"] = [columns[0]["name"]]
        return node

    def blank(self, kind: Mapping[str, Any]) -> dict[str, Any]:
        params = kind.get("params", {})
        return {
            "name": kind["name"],
            "title": kind["title"],
            "examples": kind.get("examples", []),
            "op": "",
            "params": params if isinstance(params, list) else [params],
            "items": kind.get("items", ""),
            "each": kind.get("each", ""),
            "one": kind.get("one", False),
            "present": kind.get("present", ""),
            "parent": kind.get("for", ""),
            "when": condition(kind),
            "with": kind.get("with", {}),
            "detail": None,
            "calls": [],
            "id": kind["id"] if "function" not in kind else "",
            "region": kind.get("region", ""),
            "parsed": kind.get("json", []),
            "decoded": kind.get("base64", []),
            "function": kind.get("function", ""),
            "pages": kind.get("pages", 0),
            "everywhere": kind.get("everywhere", self.everywhere),
        }

    def listed(
        self, kind: Mapping[str, Any], node: dict[str, Any], operations: dict[str, tuple[str, bool]]
    ) -> list[dict[str, Any]]:
        op = self.op(kind["list"])
        node["op"] = op
        parent = kind.get("for")
        for each in self.lists[parent] if parent else ():
            operations[each] = (self.right(each), True)
        self.operation(operations, op, lists=True)
        self.declare_absent(op, kind.get("absent", []))
        if "page" in kind:
            limit = self.limit(op)
            node["params"] = [{**each, limit: kind["page"]} for each in node["params"]]
        columns = self.item_columns(kind, node, op, operations)
        self.lists[kind["name"]] = [
            name for name, (_, is_list) in operations.items() if is_list and name != GATE
        ]
        for name, path in kind.get("with", {}).items():
            found = self.at(self.shapes[str(parent)], path)
            columns.append(self.column(name, self.type_of(found), f"`{path}` of what it belongs to", []))
        lists = self.lists[kind["name"]]
        for call in kind.get("call", []):
            columns.append(self.call(call, node, operations, lists))
        if node["present"]:
            columns.append(
                self.column(
                    node["present"],
                    "BOOLEAN",
                    kind.get("meaning", {}).get(node["present"], "whether there is one at all"),
                    [],
                )
            )
        return columns

    def item_columns(
        self,
        kind: Mapping[str, Any],
        node: dict[str, Any],
        op: str,
        operations: dict[str, tuple[str, bool]],
    ) -> list[dict[str, Any]]:
        if kind.get("one") and kind.get("each"):
            self.sources = {}
            return [self.gathered(kind, op)]
        members = self.members(kind, node, op)
        if detail := kind.get("detail"):
            node["detail"], described = self.detail(detail, operations)
            batch = node["detail"]["batch"]
            if batch and not batch["key"]:
                members = {}
            for name, each in described.members.items():
                if batch is not None:
                    members[name] = (each, [])
                elif name not in members:
                    members[name] = (each, [node["detail"]["op"]])
        self.shapes[kind["name"]] = {name: each for name, (each, _) in members.items()}
        self.sources = {name: calls for name, (_, calls) in members.items()}
        return self.chosen(kind, members, op)

    def gathered(self, kind: Mapping[str, Any], op: str) -> dict[str, Any]:
        found = self.item(self.output(op), kind.get("items", ""), one=False)
        self.shapes[kind["name"]] = {kind["each"]: found}
        inner = self.type_of(found)
        return self.column(kind["each"], f"{inner}[]" if inner != "JSON" else "JSON", self.told_by(op), [])

    def members(
        self, kind: Mapping[str, Any], node: dict[str, Any], op: str
    ) -> dict[str, tuple[Any, list[str]]]:
        shape = self.item(self.output(op), kind.get("items", ""), one=kind.get("one", False))
        if shape.type_name != "structure":
            if not node["each"]:
                raise Wrong("items are no structures, so `each` must name what they are")
            return {node["each"]: (shape, [])}
        page = self.paging.get(op) if kind.get("one") else None
        hidden = {path for _, path in page["tokens"]} if page else set()
        return {name: (each, []) for name, each in shape.members.items() if name not in hidden}

    def chosen(
        self, kind: Mapping[str, Any], members: Mapping[str, tuple[Any, list[str]]], op: str
    ) -> list[dict[str, Any]]:
        filled = {call["column"] for call in kind.get("call", [])}
        columns = []
        for name in kind.get("columns") or [each for each in members if each not in kind.get("omit", [])]:
            if name not in members:
                raise Wrong(f"column {name}: the item has {', '.join(members)}")
            if name in filled:
                continue
            each, calls = members[name]
            type_ = "JSON" if name in kind.get("json", []) else self.type_of(each)
            columns.append(self.column(name, type_, self.told_by(calls[0] if calls else op), calls))
        return columns

    def detail(
        self, told: Mapping[str, Any], operations: dict[str, tuple[str, bool]]
    ) -> tuple[dict[str, Any], Any]:
        if stray := told.keys() - {"call", "params", "take", "batch", "absent"}:
            raise Wrong(f"detail: unknown key {sorted(stray)[0]}")
        name = self.op(told["call"])
        batch = self.batch(told.get("batch"))
        self.operation(operations, name, lists=batch is not None)
        self.declare_absent(name, told.get("absent", []))
        shape = self.item(self.output(name), told.get("take", ""), one=batch is None)
        return {
            "op": name,
            "params": told.get("params", {}),
            "take": told.get("take", ""),
            "batch": batch,
        }, shape

    def call(
        self,
        told: Mapping[str, Any],
        node: dict[str, Any],
        operations: dict[str, tuple[str, bool]],
        lists: list[str],
    ) -> dict[str, Any]:
        if stray := told.keys() - CALL_KEYS:
            raise Wrong(f"call {told.get('call')}: unknown key {sorted(stray)[0]}")
        op = self.op(told["call"], told.get("service"))
        self.operation(operations, op, lists=False)
        self.declare_absent(op, told.get("absent", []))
        batch, take = self.batch(told.get("batch")), told.get("take", "")
        node["calls"].append(
            {
                "op": op,
                "params": told.get("params", {}),
                "column": told["column"],
                "take": take,
                "pages": told.get("pages", False),
                "parse": told.get("json", False),
                "when": condition(told),
                "batch": batch,
            }
        )
        calls = [op]
        if told.get("when") or batch:
            # Not asked of every item: then it is NULL without a gap, if whatever says so was told.
            calls = [*(self.deciding(told, batch) or lists), op]
        type_ = told.get("type") or (
            "JSON" if told.get("json") else self.call_type(op, told, batch is not None)
        )
        made = self.column(told["column"], type_, told.get("meaning") or self.told_by(op), calls)
        for mark in ("free_text", "secret"):
            if told.get(mark):
                made[mark] = True
        return made

    def deciding(self, told: Mapping[str, Any], batch: Mapping[str, Any] | None) -> list[str]:
        """The calls, beside lists, whose answers say of which items something is asked."""
        when = condition(told)
        paths = [when[0]] if when else []
        paths += [batch["of"]] if batch else []
        found = [call for path in paths for call in self.sources.get(path.partition(".")[0], [])]
        return list(dict.fromkeys(found))

    def call_type(self, op: str, told: Mapping[str, Any], batch: bool) -> str:
        take = told.get("take", "")
        if batch:
            first, _, rest = take.partition(" ")
            return self.type_of(self.at(self.item(self.output(op), first, one=False), rest))
        if told.get("pages"):
            inner = self.type_of(self.item(self.output(op), take, one=False))
            return inner if inner == "JSON" else f"{inner}[]"
        return self.type_of(self.at(self.output(op), take))

    def batch(self, told: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if told is None:
            return None
        if stray := told.keys() - BATCH_KEYS:
            raise Wrong(f"batch: unknown key {sorted(stray)[0]}")
        batch = {"param": told["param"], "of": told["of"], "size": told["size"], "key": told.get("key", "")}
        return batch | ({"sparse": True} if told.get("sparse") else {})

    def written(self, told: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **self.column(told["name"], told["type"], told["meaning"], []),
            **({"identity": told["identity"]} if "identity" in told else {}),
        }

    def mark(self, kind: Mapping[str, Any], columns: list[dict[str, Any]]) -> None:
        by_name = {column["name"]: column for column in columns}
        if len({name.lower() for name in by_name}) != len(columns):
            raise Wrong("two columns of one name (SQL ignores case)")
        for key, names in (
            (key, kind.get(key, [])) for key in ("secret", "free_text", "login", "resource", "mail", "person")
        ):
            for name in names:
                if name not in by_name:
                    raise Wrong(f"{key}: no column {name}")
                if key in ("secret", "free_text"):
                    by_name[name][key] = True
                else:
                    by_name[name]["identity"] = {"person": "person_name"}.get(key, key)
        for name, meaning in kind.get("meaning", {}).items():
            if name not in by_name:
                raise Wrong(f"meaning: no column {name}")
            by_name[name]["meaning"] = meaning

    def column(self, name: str, type_: str, meaning: str, calls: list[str]) -> dict[str, Any]:
        if not COLUMN.match(name):
            raise Wrong(f"column name {name!r}")
        return {"name": name, "type": type_, "meaning": meaning, "calls": calls}

    # What botocore's models say

    def op(self, action: str, service: str | None = None) -> str:
        service = service or self.name
        if action not in _model(service).operation_names:
            raise Wrong(f"{service} has no operation {action}")
        name = f"{service}:{action}"
        self.know_pages(name)
        return name

    def output(self, op: str) -> Any:
        service, _, action = op.partition(":")
        shape = _model(service).operation_model(action).output_shape
        if shape is None:
            raise Wrong(f"{op} answers nothing")
        return shape

    def item(self, shape: Any, path: str, *, one: bool) -> Any:
        found = self.at(shape, path)
        if not one and isinstance(found, tuple):
            found = found[0]
        elif not one and getattr(found, "type_name", "") == "list":
            found = found.member
        if found is None or isinstance(found, tuple):
            raise Wrong(f"{path!r} does not lead to an item")
        return found

    def at(self, shape: Any, path: str) -> Any:
        """The shape that a path leads to; in a tuple where `[]` makes a list of it."""
        plural = False
        for name in path.split(".") if path else ():
            members = shape if isinstance(shape, dict) else getattr(shape, "members", {})
            key = name.removesuffix("[]")
            if key not in members:
                raise Wrong(f"{path!r}: no {key!r} there, but {', '.join(members) or 'nothing'}")
            shape = members[key]
            if name.endswith("[]"):
                plural = True
                shape = shape.member
        return (shape,) if plural else shape

    def type_of(self, shape: Any) -> str:
        if isinstance(shape, tuple):
            inner = self.type_of(shape[0])
            return inner if inner == "JSON" else f"{inner}[]"
        text = duckdb_type(shape, ())
        if text is None or text.count(",") >= MOST_LEAVES:
            return "JSON"
        return text

    def told_by(self, op: str) -> str:
        return f"as {op.partition(':')[2]} gives it"

    def operation(self, operations: dict[str, tuple[str, bool]], op: str, *, lists: bool) -> None:
        if ":" not in op:
            op = self.op(op)
        operations[op] = (self.right(op), lists or operations.get(op, ("", False))[1])

    def right(self, op: str) -> str:
        service, _, action = op.partition(":")
        known = self.actions.get(action) if service == self.name else None
        if known:
            return known if isinstance(known, str) else " ".join(known)
        prefix = self.prefix if service == self.name and self.prefix else _model(service).signing_name
        return f"{PREFIXES.get(prefix, prefix)}:{action}"

    def declare_absent(self, op: str, codes: list[str]) -> None:
        for code in codes:
            name, _, words = code.partition(": ")
            pair = [name, words]
            if pair not in self.absent.setdefault(op, []):
                self.absent[op].append(pair)

    def limit(self, op: str) -> str:
        limit: str = self.paging.get(op, {}).get("limit", "")
        if not limit:
            raise Wrong(f"{op} has no parameter that says how much a page holds")
        return limit

    def know_pages(self, op: str) -> None:
        service, _, action = op.partition(":")
        page = _paginators(service).get(action)
        if page is not None:
            given = [page["input_token"]] if isinstance(page["input_token"], str) else page["input_token"]
            taken = [page["output_token"]] if isinstance(page["output_token"], str) else page["output_token"]
            tokens = [[name, path.strip()] for name, path in zip(given, taken, strict=True)]
            self.paging[op] = {
                "tokens": tokens,
                "more": page.get("more_results", ""),
                "limit": page.get("limit_key", ""),
            }
            return
        shape = _model(service).operation_model(action)
        inside = set(shape.input_shape.members) if shape.input_shape else set()
        outside = set(shape.output_shape.members) if shape.output_shape else set()
        for token in ("NextToken", "nextToken", "Marker", "NextMarker"):
            if token in inside and token in outside:
                limits = ("MaxResults", "maxResults", "MaxItems", "MaxRecords", "Limit", "limit", "PageSize")
                limit = next((each for each in limits if each in inside), "")
                self.paging[op] = {"tokens": [[token, token]], "more": "", "limit": limit}
                return


PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag", "email": "ses", "config": "config"}


def condition(told: Mapping[str, Any]) -> list[Any] | None:
    """For which items something is asked: a path and values, none of them for any value that is true."""
    when = told.get("when")
    if not when:
        return None
    return [when, []] if isinstance(when, str) else [when["path"], when["is"]]


def duckdb_type(shape: Any, above: tuple[str, ...]) -> str | None:
    """A column type for a shape; None where it is recursive, free-form or empty."""
    if shape.type_name in SCALARS:
        return SCALARS[shape.type_name]
    if shape.name in above:
        return None
    if shape.type_name == "list":
        inner = duckdb_type(shape.member, (*above, shape.name))
        return None if inner is None else "JSON" if inner == "JSON" else f"{inner}[]"
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False) and shape.members:
        return _struct(list(_fields(shape, (*above, shape.name))))
    return "JSON"


def _fields(shape: Any, above: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    for name, member in shape.members.items():
        yield name, duckdb_type(member, above)


def _struct(members: list[tuple[str, str | None]]) -> str | None:
    if any(type_ is None for _, type_ in members):
        return None
    names = [name for name, _ in members]
    if len({name.lower() for name in names}) != len(names) or not all(map(COLUMN.match, names)):
        return "JSON"
    return "STRUCT(" + ", ".join(f'"{name}" {type_}' for name, type_ in members) + ")"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
