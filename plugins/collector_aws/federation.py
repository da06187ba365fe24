"""Whom a trust in an identity provider lets in.

A provider that vouches for strangers too (the runners of a build service, the users of a public sign-in)
is bound only by a condition on whom it vouches for. An audience binds where it names an application of one
owner (Cognito, Google); the audience of build services is the same for all their customers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from collector_aws.conditions import Condition

__all__ = ["open_to_strangers"]

_SIGN_IN = {
    "cognito-identity.amazonaws.com": ("aud", "sub"),
    "accounts.google.com": ("aud", "sub", "oaud"),
    "graph.facebook.com": ("app_id", "id"),
    "www.amazon.com": ("app_id", "user_id"),
}
_BUILD = (
    "token.actions.githubusercontent.com",
    "gitlab.com",
    "app.terraform.io",
    "oidc.circleci.com",
    "agent.buildkite.com",
    "api.bitbucket.org",
    "oidc.vercel.com",
)
_SUBJECTS = """sub repository repository_id repository_owner repository_owner_id job_workflow_ref
namespace_path project_path terraform_organization_id terraform_organization_name""".split()
_LABEL = re.compile(r"(?:repo|organization|org|project_path|owner):")


def open_to_strangers(providers: Sequence[str], listed: Sequence[Condition]) -> bool:
    """Whether one of the providers vouches for strangers and no condition says for whom it may."""
    return any(_open(provider, listed) for provider in providers)


def _open(provider: str, listed: Sequence[Condition]) -> bool:
    if provider == "*":
        return True
    if provider in _SIGN_IN:
        keys = {f"{provider}:{name}" for name in _SIGN_IN[provider]}
        return not any(each.key in keys and each.equals and _named(each.values) for each in listed)
    if not any(host in provider for host in _BUILD):
        return False
    return not any(
        each.key.rpartition(":")[2] in _SUBJECTS and each.equals and all(map(_owned, each.values))
        for each in listed
    )


def _named(values: Sequence[str]) -> bool:
    return all(value.strip("*?") and value[0] not in "*?" for value in values)


def _owned(subject: str) -> bool:
    """Whether the first part of a subject, whose it is, is named in full: `repo:acme/*`, not `repo:acme*`."""
    owner = re.split(r"[/:]", _LABEL.sub("", subject, count=1), maxsplit=1)[0]
    return bool(owner) and not set("*?") & set(owner)
