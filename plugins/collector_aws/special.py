"""What services need beyond their data: one small function each.

A function gets its kind, the target's scope, the identity's answer and `ask`, and gives records and gaps.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Callable, Iterator, Mapping

from collector.model import Answer, Ask, ColumnGap, Gap, Json, Kind, Outcome, Record

__all__ = ["FUNCTIONS"]

Function = Callable[[Kind, Mapping[str, str], Answer, Ask], Iterator[Record | Gap]]

_ABSENT_WORDS = ("N/A", "not_supported", "no_information", "")
_MAX_REPORT_LINES = 20_000  # IAM allows 5,000 users in an account


def _identity(kind: Kind, scope: Mapping[str, str], identity: Answer, _ask: Ask) -> Iterator[Record | Gap]:
    """As whom the target was asked."""
    data = {column.name: identity.data.get(column.name) for column in kind.columns}
    yield Record(kind.name, str(data["Arn"]), scope, (identity.call,), data)


def _credential_report(
    kind: Kind, scope: Mapping[str, str], _identity: Answer, ask: Ask
) -> Iterator[Record | Gap]:
    """The report on all users' credentials, which IAM makes when asked to and keeps for four hours."""
    made = ask("iam:GenerateCredentialReport")
    if not made.ok:
        return
    answer = ask("iam:GetCredentialReport")
    if not answer.ok:
        return
    try:
        text = base64.b64decode(answer.data["Content"], validate=True).decode()
        rows = list(csv.DictReader(io.StringIO(text)))[: _MAX_REPORT_LINES + 1]
    except (KeyError, TypeError, binascii.Error, UnicodeDecodeError, csv.Error) as error:
        yield Gap(kind.name, scope, Outcome.MALFORMED, answer.call, f"no report: {type(error).__name__}")
        return
    if len(rows) > _MAX_REPORT_LINES:
        yield Gap(kind.name, scope, Outcome.TRUNCATED, answer.call, f"more than {_MAX_REPORT_LINES} lines")
    types = {column.name: column.type for column in kind.columns}
    for row in rows[:_MAX_REPORT_LINES]:
        data = {name: _typed(row[name], type_) for name, type_ in types.items() if row.get(name) is not None}
        data["generated"] = answer.data.get("GeneratedTime")
        gaps = tuple(
            ColumnGap(name, Outcome.MALFORMED, answer.call, "the report's line ends before it")
            for name in types
            if name != "generated" and row.get(name) is None
        )
        yield Record(kind.name, str(row.get("arn")), scope, (made.call, answer.call), data, gaps)


def _typed(text: str, type_: str) -> Json:
    if text in _ABSENT_WORDS:
        return None
    if type_ == "BOOLEAN":
        return text.lower() == "true" if text.lower() in ("true", "false") else text
    if type_ == "TIMESTAMP":
        return text.replace("+00:00", "Z")
    return text


FUNCTIONS: Mapping[str, Function] = {"identity": _identity, "credential_report": _credential_report}
