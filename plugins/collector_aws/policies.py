"""What a policy document means, statement by statement.

Follows the grammar of the IAM user guide ("Grammar of the IAM JSON policy language"): single values
may stand for lists, actions match without regard to case, `*` and `?` are wildcards. What a statement lets in
is judged by what it says: a condition narrows it only if it binds the caller or the source by a value that is
fixed, with an operator that fails where the key is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from collector.model import Json
from collector_aws import rights
from collector_aws.conditions import binds_source, conditions, evadable, others, texts
from collector_aws.federation import open_to_strangers

__all__ = ["Statement", "statements"]

_MAX_STATEMENTS = 2_000  # the largest policy holds some 20 KB of JSON


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and what it means for the account that owns what it stands on."""

    number: int
    sid: str | None
    effect: str
    principals: tuple[str, ...]
    services: tuple[str, ...]
    federated: tuple[str, ...]
    not_principal: bool
    actions: tuple[str, ...]
    not_action: bool
    resources: tuple[str, ...]
    not_resource: bool
    everything: bool
    condition_keys: tuple[str, ...]
    public: bool
    other_accounts: tuple[str, ...]
    bound: bool
    external_id: bool
    admin: bool
    escalation: tuple[str, ...]
    sensitive: tuple[str, ...]
    denies_plaintext: bool
    evadable: bool

    def data(self) -> dict[str, Json]:
        """As columns."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def statements(document: Json, owner: str) -> Iterator[Statement]:
    """The statements of a document.

    Args:
        document: parsed JSON.
        owner: number of the account that it stands in.

    Raises:
        ValueError: it is no policy document, or too large.
    """
    if not isinstance(document, dict) or "Statement" not in document:
        raise ValueError("no Statement")
    told = document["Statement"]
    listed = told if isinstance(told, list) else [told]
    if len(listed) > _MAX_STATEMENTS or not all(isinstance(each, dict) for each in listed):
        raise ValueError("no list of statements")
    for number, each in enumerate(listed):
        yield _statement(number, each, owner)


def _statement(number: int, told: Mapping[str, Json], owner: str) -> Statement:
    effect = str(told.get("Effect", ""))
    allow, deny = effect == "Allow", effect == "Deny"
    named = _principals(told.get("Principal"))
    not_principal = "NotPrincipal" in told
    actions, not_action = _either(told, "Action")
    resources, not_resource = _either(told, "Resource")
    held = list(conditions(told.get("Condition")))
    narrow = [each for each in held if each.narrows]
    anyone = "*" in named["AWS"] or not_principal
    reach = ["*"] if not_resource else resources
    of_identity = not (not_principal or "Principal" in told)
    rightful = allow and all(of_identity and each.of_holder for each in narrow)
    return Statement(
        number=number,
        sid=told["Sid"] if isinstance(told.get("Sid"), str) else None,
        effect=effect,
        principals=tuple(named["AWS"] + named["CanonicalUser"]),
        services=tuple(named["Service"]),
        federated=tuple(named["Federated"]),
        not_principal=not_principal,
        actions=tuple(actions),
        not_action=not_action,
        resources=tuple(resources),
        not_resource=not_resource,
        everything=any(map(rights.everything, reach)),
        condition_keys=tuple(sorted({each.key for each in held})),
        public=allow and ((anyone and not narrow) or open_to_strangers(named["Federated"], held)),
        other_accounts=tuple(
            others(named["AWS"] + named["CanonicalUser"], narrow, owner, () if not_action else actions)
        )
        if allow
        else (),
        bound=binds_source(held),
        external_id=any(each.external_id for each in held),
        admin=allow and _all_actions(actions, not_action) and any(map(rights.everything, reach)),
        escalation=tuple(rights.escalations(actions, not_action, reach)) if rightful else (),
        sensitive=tuple(rights.sensitive(actions, not_action, reach)) if rightful else (),
        denies_plaintext=deny and "*" in named["AWS"] and bool(held) and all(each.plaintext for each in held),
        evadable=deny and evadable(held),
    )


def _all_actions(actions: list[str], negated: bool) -> bool:
    return not negated and any(map(rights.every_action, actions))


def _principals(told: Json) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {"AWS": [], "Service": [], "Federated": [], "CanonicalUser": []}
    if isinstance(told, dict):
        for kind, values in told.items():
            named.setdefault(kind, []).extend(texts(values))
    else:
        named["AWS"] += texts(told)
    return named


def _either(told: Mapping[str, Json], name: str) -> tuple[list[str], bool]:
    """The values of `Action` or of `NotAction`, and whether it was the latter."""
    if f"Not{name}" in told:
        return list(texts(told[f"Not{name}"])), True
    return list(texts(told.get(name))), False
