"""The keys of a trust file, as JSON and as text."""

from __future__ import annotations

from datetime import datetime

from collector.bundle.identity import PublicKey
from collector.bundle.keyless import Identity
from collector.bundle.trust import Trust, TrustedKey, trust_entry
from collector.model import Json
from collector.report.page import Page

__all__ = ["keys_json", "keys_text"]


def keys_json(trust: Trust, signing: PublicKey | None, problem: str | None, now: datetime) -> dict[str, Json]:
    """What a trust file says.

    Args:
        trust: the file.
        signing: the key that signs now, None where it cannot be had.
        problem: why not.
        now: the moment that validity is told for.
    """
    fingerprint = signing.fingerprint if signing else None
    return {
        "keys": [_key(each, fingerprint, now) for each in trust.keys],
        "identities": [_identity(each, now) for each in trust.identities],
        "authorities": [each.name for each in trust.authorities],
        "signers": trust.signers,
        "stamps": trust.stamps_required,
        "signing": fingerprint,
        "signing_key": signing.pem if signing else None,
        "trusted": None if signing is None else trust.find(signing.fingerprint) is not None,
        "problem": problem,
    }


def _key(key: TrustedKey, signing: str | None, now: datetime) -> dict[str, Json]:
    fingerprint = key.key.fingerprint
    return {"fingerprint": fingerprint, "signs": fingerprint == signing, **_trusted(key, now)}


def _identity(identity: Identity, now: datetime) -> dict[str, Json]:
    return {"issuer": identity.issuer, "subject": identity.subject, **_trusted(identity, now)}


def _trusted(each: TrustedKey | Identity, now: datetime) -> dict[str, Json]:
    revoked = {"at": _written(each.revoked.at), "reason": each.revoked.reason} if each.revoked else None
    return {
        "name": each.name,
        "purpose": each.purpose,
        "from": _written(each.valid_from),
        "until": _written(each.valid_until),
        "revoked": revoked,
        "state": _state(each, now),
    }


def _state(each: TrustedKey | Identity, now: datetime) -> str:
    if each.revoked:
        return "revoked"
    if each.valid_from and now < each.valid_from:
        return "not_yet"
    return "ended" if each.valid_until and now > each.valid_until else "counts"


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def keys_text(value: Json, page: Page) -> list[str]:
    """`keys_json` for people."""
    lines = []
    for key in value["keys"]:
        lines.append(page.heading(key["fingerprint"], "signs now" if key["signs"] else ""))
        lines += page.wrap(f"{key['name']}: {key['purpose']}, {_times(key)}", 2, 4)
    for each in value["identities"]:
        lines.append(page.heading(each["subject"], ""))
        lines += page.wrap(f"{each['name']}: {each['purpose']}, {_times(each)}", 2, 4)
        lines += page.wrap(f"vouched for by {each['issuer']}", 2, 4)
    lines += ["", f"Signatures asked for: {value['signers']}; time stamps: {value['stamps']}"]
    if value["authorities"]:
        lines += page.wrap(f"Authorities: {', '.join(value['authorities'])}", 0, 2)
    if value["problem"]:
        lines += page.wrap(f"Which key signs now is not known: {value['problem']}", 0, 2)
    elif not value["trusted"]:
        lines += page.wrap(
            "The key that signs now is not among them; where it may, add this to the trust file:"
        )
        lines += ["", *trust_entry(value["signing_key"], "agent").splitlines()]
    return lines


def _times(key: Json) -> str:
    if key["revoked"]:
        return f"revoked since {key['revoked']['at']}: {key['revoked']['reason']}"
    span = [f"{word} {key[word]}" for word in ("from", "until") if key[word]]
    return " ".join([key["state"].replace("_", " "), *span])
