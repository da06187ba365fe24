"""What the conditions of a statement come to: whom they keep out, and what they bind a caller to.

Values of one key are alternatives, keys and operators must all hold (IAM user guide, "Conditions with
multiple context keys or values"). A condition counts only where it fails for a request that lacks its key:
`…IfExists`, `ForAllValues:` and the negated operators let such a request through.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collector.model import Json

__all__ = ["ACCOUNT", "Condition", "account", "binds_source", "conditions", "evadable", "others", "texts"]

ACCOUNT = re.compile(r"\d{12}\Z")
_LEAST_PREFIX = {4: 8, 6: 32}  # a wider range of addresses holds strangers

_CALLER_KEYS = frozenset(
    """aws:principalaccount aws:principalarn aws:principalorgid aws:principalorgpaths aws:sourceaccount
    aws:sourcearn aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc aws:sourcevpce
    aws:sourcevpcarn aws:userid aws:vpcsourceip aws:sourceip kms:calleraccount
    s3:dataaccesspointaccount s3:dataaccesspointarn elasticfilesystem:accessedviamounttarget""".split()
)
_ORGANISATION_KEYS = frozenset(
    "aws:principalorgid aws:principalorgpaths aws:sourceorgid aws:sourceorgpaths".split()
)
_SOURCE_KEYS = frozenset(
    """aws:sourceaccount aws:sourcearn aws:sourceorgid aws:sourceorgpaths aws:sourceowner
    kms:calleraccount""".split()
)
_ACCOUNT_KEYS = frozenset(
    """aws:principalaccount aws:principalarn aws:sourceaccount aws:sourcearn aws:sourceowner
    kms:calleraccount""".split()
)
_HOLDER_KEYS = frozenset(
    "aws:principalaccount aws:principalarn aws:principalorgid aws:principalorgpaths aws:userid".split()
)
"""What these say of the caller is true of whoever holds a policy of an identity."""

_ARN_KEYS = frozenset("aws:principalarn aws:sourcearn aws:sourcevpcarn s3:dataaccesspointarn".split())
_ORGANISATION = "o-[a-z0-9]+"
_NETWORK = re.compile(r"vpce?-[0-9a-z]+\Z")
_SHAPES = {
    **dict.fromkeys(
        ("aws:principalaccount", "aws:sourceaccount", "kms:calleraccount", "s3:dataaccesspointaccount"),
        ACCOUNT,
    ),
    **dict.fromkeys(("aws:principalorgid", "aws:sourceorgid"), re.compile(rf"{_ORGANISATION}\Z")),
    **dict.fromkeys(("aws:principalorgpaths", "aws:sourceorgpaths"), re.compile(f"{_ORGANISATION}/")),
    **dict.fromkeys(("aws:sourcevpc", "aws:sourcevpce"), _NETWORK),
    "aws:userid": re.compile(r"[A-Z0-9]{10,}(?::|\Z)"),  # what follows the colon is chosen by the caller
}
"""What a value begins with that names one account, organisation, network or identity."""

_OWNER = re.compile(r"\$\{aws:Resource(?:Account|OrgID|OrgPaths)\}", re.IGNORECASE)
_CANONICAL = re.compile(r"[0-9a-f]{64}\Z")
_LOAD_BALANCERS = frozenset(
    """009996457667 027434742980 033677994240 037604701340 048591011584 054676820928 076674570225
    098369216593 114774131450 127311923021 156460612806 190560391635 383597477331 507241528517
    582318560864 589379963580 600734575887 635631232127 638102146993 652711504416 718504428378
    754344448648 783225319266 797873946194 897822967062 985666609251""".split()
)
"""Accounts from which AWS writes access logs of load balancers, one a region, as its guide lists them."""

_CONTEXT = "kms:encryptioncontext:aws:"  # a service puts the ARN for which it asks there
_EQUAL_OPERATORS = frozenset("stringequals stringequalsignorecase stringlike arnequals arnlike".split())
_NARROW_OPERATORS = _EQUAL_OPERATORS | {"ipaddress", "bool"}
_UNLIKE_OPERATORS = frozenset("stringnotlike arnnotlike arnnotequals".split())


@dataclass(frozen=True, slots=True)
class Condition:
    """One key with its operator and values, both in lower case but for the values."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def narrows(self) -> bool:
        """Whether it keeps strangers out, whatever they send along."""
        if self.key not in _CALLER_KEYS or self._test not in _NARROW_OPERATORS or not self.values:
            return False
        if self.key in ("aws:sourceip", "aws:vpcsourceip"):
            return self._test == "ipaddress" and all(map(_few_addresses, self.values))
        if self._test == "bool":
            return self.values == ("true",)
        return all(_fixed(self.key, value) for value in self.values)

    @property
    def of_holder(self) -> bool:
        """Whether it is about who the caller is, which a policy of an identity has settled already."""
        return self.key in _HOLDER_KEYS

    @property
    def equals(self) -> bool:
        """Whether the key must be there and equal, or like, one of the values."""
        return self._test in _EQUAL_OPERATORS and bool(self.values)

    @property
    def plaintext(self) -> bool:
        """Whether it holds for a request without TLS."""
        test = self.operator.removesuffix("ifexists")
        return test == "bool" and self.key == "aws:securetransport" and self.values == ("false",)

    @property
    def external_id(self) -> bool:
        """Whether it asks for an external id that is fixed."""
        return (
            self.key == "sts:externalid"
            and self.equals
            and not any(set("*?") & set(each) for each in self.values)
        )

    @property
    def _test(self) -> str:
        return self.operator.removeprefix("foranyvalue:")


def conditions(told: Json) -> Iterator[Condition]:
    """The conditions of a statement, one for each operator and key."""
    if not isinstance(told, dict):
        return
    for operator, keys in told.items():
        for key, values in keys.items() if isinstance(keys, dict) else ():
            yield Condition(operator.lower(), key.lower(), tuple(texts(values)))


def texts(told: Json) -> Iterator[str]:
    """A value, or a list of them, as text."""
    for each in told if isinstance(told, list) else [told]:
        if isinstance(each, bool):
            yield str(each).lower()
        elif each is not None and not isinstance(each, (dict, list)):
            yield str(each)


def binds_source(listed: Sequence[Condition]) -> bool:
    """Whether a service is let in only for an account, resource or organisation that is named."""
    return any(
        (each.key in _SOURCE_KEYS and each.narrows)
        or (each.key.startswith(_CONTEXT) and each.equals and all(map(_of_account, each.values)))
        for each in listed
    )


def evadable(listed: Sequence[Condition]) -> bool:
    """Whether a denial under these conditions misses those whom it means, or everybody.

    Requests made with long-lived keys do not carry `aws:MultiFactorAuthPresent` at all, so that `Bool`
    is not met and `BoolIfExists` is; and nothing is unlike `*`.
    """
    return any(
        (each.operator == "bool" and each.key == "aws:multifactorauthpresent" and each.values == ("false",))
        or (each.operator in _UNLIKE_OPERATORS and "*" in each.values)
        for each in listed
    )


def others(
    principals: Sequence[str], narrow: Sequence[Condition], owner: str, actions: Sequence[str]
) -> list[str]:
    """Accounts that are let in beside the owner: those named, or, where anyone is, those of conditions.

    A canonical user, whose account cannot be told, stands for itself.
    AWS's own accounts that write logs of load balancers are left out where they may put objects only.
    """
    if any(each.key in _ORGANISATION_KEYS for each in narrow):
        return []
    bound = {found for each in narrow if each.key in _ACCOUNT_KEYS for found in map(account, each.values)}
    named = {account(each) for each in principals if each != "*"}
    if "*" in principals:
        named |= bound
    elif bound - {""}:
        named = {each for each in named if each in bound or _CANONICAL.match(each)}
    logs = {action.lower() for action in actions} == {"s3:putobject"}
    return sorted(named - {"", owner} - (_LOAD_BALANCERS if logs else set()))


def account(principal: str) -> str:
    """The account of an ARN or number, or a canonical user's id; "" where it names none."""
    if ACCOUNT.match(principal) or _CANONICAL.match(principal):
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) > 4 and ACCOUNT.match(parts[4]) else ""


def _fixed(key: str, value: str) -> bool:
    """Whether a value names somebody: a whole number or id, and in an ARN at least the account.

    A variable names whoever asks, unless it stands for the owner of what is asked for.
    """
    if "${" in value:
        return bool(_OWNER.match(value))
    if key in _ARN_KEYS:
        return _fixed_arn(value)
    if shape := _SHAPES.get(key):
        return bool(shape.match(value))
    return len(value.strip("*?")) > 1 and not value.startswith(("*", "?"))


def _fixed_arn(value: str) -> bool:
    parts = value.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return False
    if parts[2] == "s3" and not parts[4]:
        return not parts[5].startswith(("*", "?"))
    return bool(ACCOUNT.match(parts[4]))


def _of_account(arn: str) -> bool:
    """Whether a pattern of ARNs holds an account, wherever its wildcards leave it, or a bucket."""
    return bool(re.search(r":\d{12}:", arn)) or _fixed_arn(arn)


def _few_addresses(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _LEAST_PREFIX[network.version]
