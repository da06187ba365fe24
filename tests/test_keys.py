"""The secret key stays at home, closed to others; what is derived from it is separate and repeatable."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from collector.keys import Keys, create_secret, load_secret, read_private
from collector.model import ConfigError

SECRETS = st.binary(min_size=32, max_size=32)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(SECRETS)
def test_working_keys_are_those_of_hkdf_and_differ(secret: bytes) -> None:
    keys = Keys(secret)
    found = [keys.salt, keys.redact, keys.person, keys.answer]
    expected = [
        HKDF(SHA256(), 32, None, label).derive(secret) for label in (b"salt", b"redact", b"person", b"answer")
    ]
    assert found == expected
    assert len({secret, *found}) == 5


@given(SECRETS, SECRETS)
def test_the_id_tells_keys_apart_and_gives_nothing_away(one: bytes, two: bytes) -> None:
    assert (Keys(one).id == Keys(two).id) == (one == two)
    assert len(Keys(one).id) == 16
    assert Keys(one).id not in (one.hex(), Keys(one).salt.hex()[:16])


@given(SECRETS)
def test_no_key_is_shown(secret: bytes) -> None:
    keys = Keys(secret)
    for key in (keys.secret, keys.salt, keys.redact, keys.person, keys.answer):
        assert repr(key) not in repr(keys)
        assert key.hex() not in repr(keys)


@given(SECRETS, TEXT, TEXT)
def test_equal_secrets_have_equal_digests_and_others_do_not(secret: bytes, one: str, two: str) -> None:
    keys = Keys(secret)
    assert (keys.redaction(one) == keys.redaction(two)) == (one == two)
    assert keys.redaction(one) != keys.answer_digest(one.encode())
    assert len(keys.redaction(one)) == len("hmac:") + 32
    assert keys.redaction(one) != Keys(bytes(32)).redaction(one) or secret == bytes(32)


@given(SECRETS, TEXT, TEXT)
def test_a_configuration_is_told_from_others_and_cannot_be_guessed(secret: bytes, one: str, two: str) -> None:
    digests = [hashlib.sha256(each.encode()).hexdigest() for each in (one, two)]
    shown = [Keys(secret).configuration_digest(each) for each in digests]
    assert (shown[0] == shown[1]) == (one == two)
    assert re.fullmatch("[0-9a-f]{64}", shown[0])
    assert shown[0] != Keys(bytes(32)).configuration_digest(digests[0]) or secret == bytes(32)


@given(SECRETS, TEXT)
def test_a_person_has_one_pseudonym_whatever_case_and_space(secret: bytes, name: str) -> None:
    keys = Keys(secret)
    assert keys.pseudonym(f"  {name}\n") == keys.pseudonym(name) == keys.pseudonym(name.lower())
    assert keys.pseudonym(name) != keys.pseudonym(name + "x")
    assert keys.pseudonym(name).startswith("person:")


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "secret.key"
    path.touch(0o600)
    path.write_bytes(bytes(length))
    with pytest.raises(ConfigError, match=f"{length} bytes, must be 32"):
        load_secret(path)


def test_a_new_secret_is_closed_to_others_and_loads(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_secret(tmp_path / "secret.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    create_secret(tmp_path / "other.key")
    assert load_secret(tmp_path / "secret.key") == load_secret(tmp_path / "secret.key")
    assert load_secret(tmp_path / "secret.key").id != load_secret(tmp_path / "other.key").id


def test_a_file_system_without_hard_links_holds_keys_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))  # as FAT does

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    create_secret(tmp_path / "secret.key")
    before = load_secret(tmp_path / "secret.key")
    with pytest.raises(FileExistsError):
        create_secret(tmp_path / "secret.key")
    assert load_secret(tmp_path / "secret.key") == before
    assert [each.name for each in tmp_path.iterdir()] == ["secret.key"]


def test_a_secret_is_never_replaced(tmp_path: Path) -> None:
    create_secret(tmp_path / "secret.key")
    before = (tmp_path / "secret.key").read_bytes()
    with pytest.raises(FileExistsError):
        create_secret(tmp_path / "secret.key")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        create_secret(tmp_path / "link")
    assert (tmp_path / "secret.key").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620])
def test_a_key_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    create_secret(tmp_path / "secret.key")
    (tmp_path / "secret.key").chmod(mode)
    with pytest.raises(ConfigError, match=f"mode 0{mode:o}, must be 0600"):
        read_private(tmp_path / "secret.key")


def test_what_is_no_file_of_ones_own_is_refused(tmp_path: Path) -> None:
    create_secret(tmp_path / "secret.key")
    (tmp_path / "link").symlink_to("secret.key")
    with pytest.raises(ConfigError, match="symbolic link, which is refused"):
        read_private(tmp_path / "link")
    with pytest.raises(ConfigError, match="no such key file; `collector init` makes one"):
        read_private(tmp_path / "missing")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_private(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_someone_else_is_refused(tmp_path: Path) -> None:
    create_secret(tmp_path / "secret.key")
    os.chown(tmp_path / "secret.key", 12345, -1)
    with pytest.raises(ConfigError, match="belongs to uid 12345"):
        read_private(tmp_path / "secret.key")


def test_a_pipe_in_place_of_a_key_does_not_hold_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_private(tmp_path / "pipe")


def test_a_key_file_that_cannot_be_written_to_its_end_is_not_there_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def killed(_descriptor: int) -> None:
        seen.append((tmp_path / "secret.key").exists())
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        create_secret(tmp_path / "secret.key")
    assert seen == [False]  # nor would it be after a kill -9 there
    assert list(tmp_path.iterdir()) == []
