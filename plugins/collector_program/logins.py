"""The derived table `program_login`: one row for each person and login."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from collector.model import Derived, Json, Record
from collector_program.kinds import LOGIN, PERSON

__all__ = ["LOGINS"]


def _compute(records: Mapping[str, Sequence[Mapping[str, Json]]]) -> Iterator[Record]:
    """Give the logins of each person, in the order of the roster; a gap in a person is the core's to see."""
    for record in records.get(PERSON.name, ()):
        person = record["data"]
        for login in person.get("logins") or ():
            yield Record(
                kind=LOGIN.name,
                id=f"{person['id']}/{login}",  # neither may hold a slash
                scope=record["scope"],
                calls=tuple(record["calls"]),
                data={
                    "person_id": person["id"],
                    "login": login,
                    "joined_on": person.get("joined_on"),
                    "left_on": person.get("left_on"),
                },
            )


LOGINS = Derived(
    kind=LOGIN,
    version=1,
    reads={PERSON.name: ("id", "joined_on", "left_on", "logins")},
    compute=_compute,
)
