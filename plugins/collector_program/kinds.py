"""The tables of the programme source: what a policy and a person look like as evidence."""

from __future__ import annotations

from collector.model import Column, Identity, Kind, Operation

__all__ = ["LIST", "LOGIN", "PARAMETERS", "PERSON", "POLICY", "READ", "ROSTER"]

LIST = "program:list"
READ = "program:read"
ROSTER = "program:roster"

PARAMETERS: dict[str, str] = {
    "password_min_length": "fewest characters that a password may have, as stated",
    "password_max_age_days": "days after which a password must be changed, as stated",
    "lockout_attempts": "failed logins in a row after which an account locks, as stated",
    "session_idle_minutes": "minutes without input after which a session locks or ends, as stated",
    "key_rotation_days": "days after which keys and certificates are replaced, as stated",
    "access_review_days": "days between two reviews of who has access, as stated",
    "access_removal_days": "days after a person's last day within which access ends, as stated",
    "log_retention_days": "days for which logs are kept, as stated",
    "patch_days": "days within which security updates are installed, as stated",
}
"""What `[parameters]` in a policy's front matter may state: name to meaning. All are whole numbers."""


def _said(name: str, kind: str, meaning: str, free_text: bool = False) -> Column:
    return Column(name, kind, meaning, calls=(READ,), free_text=free_text)


def _reference(name: str, meaning: str) -> Column:
    return Column(name, "VARCHAR", meaning, calls=(READ,), identity=Identity.RESOURCE)


POLICY = Kind(
    name="program_policy",
    title="Policy documents: who answers for them, who approved them, what they state",
    columns=(
        Column("path", "VARCHAR", "file below the programme's folder", (LIST,), identity=Identity.RESOURCE),
        _reference("id", "the policy's own id"),
        _said("title", "VARCHAR", "its title", free_text=True),
        _said("version", "VARCHAR", "its version, as written"),
        _said("status", "VARCHAR", "draft, approved or retired"),
        _reference("owner", "who keeps it: the `id` of a person on the roster, never a name or mail address"),
        _reference("approver", "who approved it: the `id` of a person on the roster"),
        _said("approved_on", "DATE", "day of approval of this version; NULL: not approved"),
        _said("review_by", "DATE", "day by which it must be reviewed again"),
        *(_said(name, "BIGINT", meaning) for name, meaning in PARAMETERS.items()),
        _said("words", "BIGINT", "words below its front matter, without headings and comments"),
        _said("sha256", "VARCHAR", "SHA-256 of the file's bytes, so that the approved text can be told"),
    ),
    identity=("path",),
    operations=(
        Operation(LIST, "read and search the folder policies/ and the folders in it"),
        Operation(READ, "read the files in policies/", lists=False),
    ),
    examples=(
        "SELECT path, owner, review_by FROM program_policy WHERE review_by < as_of()",
        "SELECT path, password_min_length FROM program_policy WHERE password_min_length IS NOT NULL",
    ),
)

PERSON = Kind(
    name="program_person",
    title="People who work or worked for the organisation, from its roster",
    columns=(
        Column("id", "VARCHAR", "the organisation's own id of the person", identity=Identity.RESOURCE),
        Column("name", "VARCHAR", "name; a pseudonym in evidence", identity=Identity.PERSON_NAME),
        Column("mail", "VARCHAR", "mail address; a pseudonym in evidence", identity=Identity.MAIL),
        Column("role", "VARCHAR", "what the person does there", free_text=True),
        Column("joined_on", "DATE", "first day"),
        Column("left_on", "DATE", "last day; NULL: still there"),
        Column("logins", "VARCHAR[]", "the person's accounts on any system", identity=Identity.LOGIN),
    ),
    identity=("id",),
    operations=(Operation(ROSTER, "read the file roster.csv"),),
    examples=(
        "SELECT id, role, left_on FROM program_person WHERE left_on <= as_of()",
        "SELECT login, count(*) FROM (SELECT unnest(logins) AS login FROM program_person) GROUP BY login "
        "HAVING count(*) > 1",
    ),
)

LOGIN = Kind(
    name="program_login",
    title="Logins of people: the roster, one row for each person and login",
    columns=(
        Column("person_id", "VARCHAR", "`id` of the person on the roster", identity=Identity.RESOURCE),
        Column("login", "VARCHAR", "name of an account on any system", identity=Identity.LOGIN),
        Column("joined_on", "DATE", "the person's first day"),
        Column("left_on", "DATE", "the person's last day; NULL: still there"),
    ),
    identity=("person_id", "login"),
    examples=("SELECT login FROM program_login WHERE left_on <= as_of()",),
)
