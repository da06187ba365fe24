"""Changes to a trust file add lines: every other byte stays, and what they say is what is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.bundle.identity import PublicKey
from collector.bundle.keypair import new_private_key
from collector.bundle.trust import Revocation, load_trust, trust_entry, trust_in
from collector.bundle.trust_edit import with_end, with_key, with_revocation
from collector.model import ConfigError
from collector.toml import parse

NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)
PATH = Path("trust.toml")
PAIRS = [new_private_key(ecdsa=number % 2 == 0)[1] for number in range(4)]

# What people put between lines: comments that look like what is searched for, blank lines, odd headers.
NOISE = st.sampled_from(["", "# [[key]]\n", "# until = 2020-01-01\n", "\n", "  \t\n", "# revoked = {}\n"])
HEADERS = st.sampled_from(["[[key]]", "  [[ key ]]  # [[key]]", '[["key"]]', "[['key']]\t"])
MORE = st.sampled_from(
    ["", 'from = "2020-01-01"\n', "until = 2031-01-01T00:00:00Z # far\n", "until = 2001-01-01\n"]
)
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(str.strip)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A trust file of three keys as people would write it."""
    parts = []
    for key, purpose in zip(PAIRS[:3], ("bundle", "bundle", "witness"), strict=True):
        body = trust_entry(key.pem, draw(NAMES), purpose=purpose).split("[[key]]\n")[1]
        lines = body.split("\n", 2)
        head = f"{draw(NOISE)}{draw(HEADERS)}\n{draw(NOISE)}{lines[0]}\n{draw(NOISE)}"
        parts.append(head + "\n".join(lines[1:]) + draw(MORE) + draw(NOISE))
    text = draw(st.sampled_from(["", "signers = 2\n"])) + "".join(parts)
    text = text if draw(st.booleans()) else text.rstrip("\n")
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"]))).encode()


@given(files(), st.sampled_from(PAIRS[:3]), NAMES)
def test_a_revocation_is_one_line_more_and_nothing_else(data: bytes, key: PublicKey, reason: str) -> None:
    made = with_revocation(data, PATH, key.fingerprint, Revocation(NOW, reason))
    before, after = data.split(b"\n"), made.split(b"\n")
    added = [at for at, line in enumerate(after) if line.startswith(b"revoked = ")]
    assert len(added) == 1
    assert after[: added[0]] + after[added[0] + 1 :] == before
    for old, new in zip(trust_in(parse(data, PATH)).keys, trust_in(parse(made, PATH)).keys, strict=True):
        assert new.revoked == (Revocation(NOW, reason) if new.key == key else None)
        assert (new.name, new.valid_from, new.valid_until) == (old.name, old.valid_from, old.valid_until)


@given(files(), st.sampled_from(PAIRS[:3]))
def test_an_end_is_the_earlier_of_the_two_and_touches_one_line(data: bytes, key: PublicKey) -> None:
    made = with_end(data, PATH, key.fingerprint, NOW)
    old, new = (trust_in(parse(each, PATH)).find(key.fingerprint) for each in (data, made))
    assert old is not None
    assert new is not None
    assert new.valid_until == min(NOW, old.valid_until or NOW)
    before, after = data.split(b"\n"), made.split(b"\n")
    if old.valid_until is None:
        assert len(after) == len(before) + 1
    else:
        changed = [(one, two) for one, two in zip(before, after, strict=True) if one != two]
        assert len(changed) == (1 if old.valid_until > NOW else 0)
        assert all(b"# far" in two for _, two in changed)


@given(files(), NAMES)
def test_a_new_key_stands_behind_all_that_was_there(data: bytes, name: str) -> None:
    made = with_key(data, PATH, PAIRS[3].pem, name, NOW, "witness")
    assert made.startswith(data)
    old, new = trust_in(parse(data, PATH)), trust_in(parse(made, PATH))
    assert new.keys[:-1] == old.keys
    added = new.keys[-1]
    assert (added.name, added.key, added.purpose, added.valid_from) == (name, PAIRS[3], "witness", NOW)


def entry(name: str = "a") -> tuple[str, PublicKey]:
    _, key = new_private_key(ecdsa=False)
    return trust_entry(key.pem, name), key


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "until = 2030-01-01T00:00:00Z  # planned\n", 'until = "2030-01-01"\n'])
def test_a_change_keeps_every_other_byte(tmp_path: Path, newline: str, end: str) -> None:
    first, key = entry("a")
    second, other = entry("b")
    text = f"# ours\n\n{second}# between\n  [[ key ]] # odd\n{first.split('[[key]]')[1].lstrip()}{end}# last"
    data = text.replace("\n", newline).encode()
    path = tmp_path / "trust.toml"
    until = NOW + timedelta(days=1)
    ended = with_end(data, path, key.fingerprint, until)
    revoked = with_revocation(data, path, other.fingerprint, Revocation(NOW, 'é "x" \\ # y'))
    _, third = new_private_key(ecdsa=True)
    added = with_key(data, path, third.pem, 'n "é"', NOW)
    assert added.startswith(data)
    kept = [line for line in data.split(b"\n") if not line.startswith(b"until")]
    for made, count in ((ended, 0 if end else 1), (revoked, 1)):
        lines = made.split(b"\n")
        assert len(lines) - len(data.split(b"\n")) == count
        at = iter(lines)
        assert all(line in at for line in kept)  # in the same order
    path.write_bytes(ended)
    found = load_trust(path).find(key.fingerprint)
    assert found is not None
    assert found.valid_until == until
    assert b"# planned" in ended or "planned" not in end
    path.write_bytes(revoked)
    found = load_trust(path).find(other.fingerprint)
    assert found is not None
    assert found.revoked == Revocation(NOW, 'é "x" \\ # y')


def test_an_end_that_comes_sooner_stays(tmp_path: Path) -> None:
    text, key = entry()
    data = (text + "until = 2026-01-01T00:00:00Z\n").encode()
    assert with_end(data, tmp_path / "trust.toml", key.fingerprint, NOW) == data


def test_what_cannot_be_changed_line_by_line_is_left_alone(tmp_path: Path) -> None:
    _, key = entry()
    pem = key.pem.replace("\n", "\\n")
    data = f'key = [{{ name = "a", key = "{pem}" }}]\n'.encode()
    path = tmp_path / "trust.toml"
    for change in (
        lambda: with_end(data, path, key.fingerprint, NOW),
        lambda: with_revocation(data, path, key.fingerprint, Revocation(NOW, "x")),
        lambda: with_key(data, path, entry()[1].pem, "b", NOW),
    ):
        with pytest.raises(ConfigError, match="by hand"):
            change()
