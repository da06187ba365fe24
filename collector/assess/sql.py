"""Reads a check's SQL before anything runs it: what it touches, and whether it may.

The text is parsed by DuckDB itself (`json_serialize_sql`, which knows SELECT and nothing else); the
tree is walked here against lists of what is allowed, so that what nobody thought of is refused
(docs/format.md, "Verdicts": a check sees only what it says it reads).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from collector.assess.functions import ALLOWED, BLIND, TABLE_FUNCTIONS
from collector.canonical import loads

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Refused", "Statement", "expression", "parsed", "query"]

MAX_SQL = 20_000  # characters; the longest check that people can still review is a tenth of it

_NODES = {
    "SELECT_NODE",
    "SET_OPERATION_NODE",
    "CTE_NODE",
    "BASE_TABLE",
    "JOIN",
    "SUBQUERY",
    "TABLE_FUNCTION",
    "EMPTY",
    "EXPRESSION_LIST",
    "ORDER_MODIFIER",
    "LIMIT_MODIFIER",
    "DISTINCT_MODIFIER",
    "ORDER_DEFAULT",
    "ASCENDING",
    "DESCENDING",
}
_CLASSES = {
    "COLUMN_REF",
    "CONSTANT",
    "FUNCTION",
    "LAMBDA",
    "LAMBDA_REF",
    "CAST",
    "TYPE",
    "COMPARISON",
    "CONJUNCTION",
    "OPERATOR",
    "CASE",
    "BETWEEN",
    "SUBQUERY",
    "WINDOW",
    "STAR",
}

Tree = Any
Nodes = Iterable[dict[str, Any]]
Parsed = Mapping[str, str]
"""SELECTs, and what DuckDB's parser says of each, as JSON."""

_NOTHING: Parsed = MappingProxyType({})


class Refused(Exception):  # noqa: N818 - said of a statement
    """SQL that a check may not hold; the message says why."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a check's SQL touches.

    Attributes:
        names: first parts of column references, lower case, without the parameters of lambdas.
        tables: tables that it names, without its own CTEs.
        looked_into: first parts of column references inside functions that look into a text.
    """

    names: frozenset[str]
    tables: frozenset[str]
    looked_into: frozenset[str]


def parsed(connection: DuckDBPyConnection, expressions: Sequence[str], queries: Sequence[str]) -> Parsed:
    """Parse many texts at once, each by itself: with a statement for each it takes four times as long.

    Where something goes wrong nothing is given, so that each is parsed alone and the guilty one named.
    """
    import duckdb

    wanted = [text for text in (*map(_selected, expressions), *queries) if len(text) <= MAX_SQL]
    statement = "SELECT x, json_serialize_sql(x) FROM unnest(?::VARCHAR[]) AS u(x)"
    try:
        return dict(connection.execute(statement, [wanted]).fetchall())
    except (duckdb.Error, UnicodeError):
        return _NOTHING


def _selected(text: str) -> str:
    return f"SELECT ({text}\n) AS pass"


def expression(connection: DuckDBPyConnection, text: str, known: Parsed = _NOTHING) -> Statement:
    """Read a boolean expression over one row.

    Args:
        known: what `parsed` gave.

    Raises:
        Refused: it is no single expression, or holds what a check may not.
    """
    select = _parse(connection, _selected(text), known)
    if len(select["select_list"]) != 1 or select.get("from_table", {}).get("type") != "EMPTY":
        raise Refused("must be one expression over one row")
    tree = select["select_list"][0]
    for node in _walk(tree):
        if node.get("class") in ("SUBQUERY", "STAR", "WINDOW"):
            raise Refused("must look at one row only; use `query` for what needs more")
    if any(
        select.get(key) for key in ("where_clause", "having", "qualify", "group_expressions", "modifiers")
    ):
        raise Refused("must be one expression over one row")
    return _statement(tree)


def query(connection: DuckDBPyConnection, text: str, known: Parsed = _NOTHING) -> Statement:
    """Read a whole SELECT. `known` is what `parsed` gave.

    Raises:
        Refused: it is none, or holds what a check may not.
    """
    return _statement(_parse(connection, text, known))


def _parse(connection: DuckDBPyConnection, text: str, known: Parsed) -> Tree:
    if len(text) > MAX_SQL:
        raise Refused(f"longer than {MAX_SQL} characters")
    said = known.get(text)
    if said is None:
        row = connection.execute("SELECT json_serialize_sql(?)", [text]).fetchone()
        said = row[0] if row else ""
    try:
        tree = loads(said)
    except ValueError:
        raise Refused("cannot be parsed") from None
    if tree.get("error"):
        message = str(tree.get("error_message", "cannot be parsed")).split("\n")[0]
        raise Refused("must be a SELECT" if "Only SELECT" in message else message)
    statements = tree.get("statements", [])
    if len(statements) != 1:
        raise Refused("must be one statement")
    return statements[0]["node"]


def _walk(tree: Tree) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if type(node) is dict:
            yield node
            node = node.values()
        stack += [each for each in node or () if type(each) in (dict, list)]


def _statement(tree: Tree) -> Statement:
    nodes = list(_walk(tree))
    ctes, tables, lambdas = _ctes(nodes), set(), _lambda_parameters(nodes)
    for node in nodes:
        _refuse(node)
        if node.get("type") == "BASE_TABLE" and "class" not in node:
            tables.add(str(node["table_name"]))
    return Statement(
        names=frozenset(_column_names(nodes) - lambdas),
        tables=frozenset(table for table in tables if table.lower() not in ctes),
        looked_into=frozenset(_looked_into(nodes) - lambdas),
    )


def _refuse(node: dict[str, Any]) -> None:
    kind, class_ = node.get("type"), node.get("class")
    if isinstance(class_, str):
        if class_ not in _CLASSES:
            raise Refused(f"{class_.lower()} is not allowed")
        if class_ == "FUNCTION":
            _refuse_function(node)
    elif isinstance(kind, str) and kind not in _NODES:
        raise Refused(f"{kind.lower().replace('_', ' ')} is not allowed")
    elif kind == "BASE_TABLE" and (node.get("schema_name") or node.get("catalog_name")):
        raise Refused(f"table {node['table_name']} must be named without schema")
    elif kind == "TABLE_FUNCTION":
        name = str(node.get("function", {}).get("function_name", "")).lower()
        if name not in TABLE_FUNCTIONS:
            raise Refused(f"table function {name} is not allowed; only {', '.join(sorted(TABLE_FUNCTIONS))}")


def _refuse_function(node: dict[str, Any]) -> None:
    name = str(node["function_name"]).lower()
    if node.get("schema") or node.get("catalog"):
        raise Refused(f"function {name} must be named without schema")
    if name not in ALLOWED:
        raise Refused(f"function {name} is not allowed")


def _ctes(nodes: Nodes) -> Set[str]:
    return {
        str(entry["key"]).lower()
        for node in nodes
        if isinstance(node.get("cte_map"), dict)
        for entry in node["cte_map"].get("map", [])
    }


def _lambda_parameters(nodes: Nodes) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if node.get("class") == "LAMBDA" and not _is_json_arrow(node):
            found |= _column_names(_walk(node.get("lhs")))
    return found


def _is_json_arrow(node: Tree) -> bool:
    """Whether a lambda of the parser's is `column -> '$.path'`, which only looks like one."""
    return bool(node.get("class") == "LAMBDA" and node.get("syntax_type") != "LAMBDA_KEYWORD")


def _column_names(nodes: Nodes) -> set[str]:
    return {str(node["column_names"][0]).lower() for node in nodes if node.get("class") == "COLUMN_REF"}


def _looked_into(nodes: Nodes) -> set[str]:
    """Column names that stand as direct or indirect arguments of functions that read a text."""
    found: set[str] = set()
    for node in nodes:
        if node.get("class") == "FUNCTION" and str(node["function_name"]).lower() not in BLIND:
            for node_below in _walk(node.get("arguments", node.get("children"))):
                if node_below.get("class") == "COLUMN_REF":
                    found |= {str(part).lower() for part in node_below["column_names"]}
        elif node.get("class") == "CAST":
            found |= _column_names(_walk(node.get("child")))
        elif _is_json_arrow(node):
            found |= _column_names(_walk(node.get("lhs")))
    return found
