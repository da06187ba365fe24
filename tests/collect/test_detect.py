"""The detectors, and the filter before them, which must never cost a finding."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.collect import detect as module
from collector.collect.detect import Detector, Found, detect, detectors
from collector.collect.likely import NAME_TRIGGERS, NAMES, harmless, is_random, names_secret

LIBRARY = [each for each in detectors() if hasattr(each, "patterns")]


def hit(detector: Detector, line: str) -> bool:
    """Whether the filter would try this detector on this line."""
    every = module._all()
    masks = [each.triggers for each in detectors() if each is detector]
    bits = sum(every.bit(literal) for literal in set(masks[0]))
    return any(found & bits for _, _, found in every.lines(line))


@pytest.mark.parametrize("detector", LIBRARY, ids=lambda each: each.name)
def test_the_filter_lets_through_all_that_a_library_detector_finds(detector: Detector) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        pattern = data.draw(st.sampled_from(detector.patterns))  # type: ignore[attr-defined]
        secret = data.draw(
            st.from_regex(pattern, alphabet=st.characters(min_codepoint=32, max_codepoint=126))
        )
        before, after = data.draw(
            st.tuples(st.sampled_from(["", "x ", "İ ", "a\n"]), st.sampled_from(["", " y"]))
        )
        for line in (before + secret + after).split("\n"):
            if detector.spans(line):
                assert hit(detector, line)

    holds()


@pytest.mark.parametrize(
    "word", ["api_key", "auth_key", "account_key", "db_pass", "PASSWORD", "pwd", "contraseña"]
)
@pytest.mark.parametrize("form", ['{} = "{}"', "{}: '{}'", '{} => "{}"', '"{}" == "{}"', 'my_{} "{}";'])
def test_the_filter_lets_through_all_that_the_keyword_plugin_finds(word: str, form: str) -> None:
    plugin = next(each for each in detectors() if each.name == "Secret Keyword")
    line = form.format(word, "Zx9qLm41")
    assert not plugin.spans(line) or hit(plugin, line)


def test_the_keyword_plugin_is_asked() -> None:
    plugin = next(each for each in detectors() if each.name == "Secret Keyword")
    assert plugin.spans('if ("Zx9qLm41" == my_password) {') == [(5, 13)]


@settings(max_examples=100, deadline=None)
@given(st.from_regex(re.compile(NAMES.replace("(?-i:", "(?:"), re.IGNORECASE), fullmatch=True))
def test_every_name_of_a_secret_has_a_trigger(name: str) -> None:
    assert any(literal in module.lower(name) for literal in NAME_TRIGGERS)


LINES = st.sampled_from(
    [
        "password=Xy7Kq2Lm9P",
        "nothing here",
        "",
        "AKIA" + "ABCDEFGH23456789"[:16],
        "-----BEGIN RSA PRIVATE KEY-----",
        "aB3/" * 16,
        "-----END RSA PRIVATE KEY-----",
        "postgres://app:Xy7Kq2Lm9P@db/x",
        "Ünïcödé İ token: Xy7Kq2Lm9P",
        "passwd: files systemd",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=12), st.sampled_from(["\n", "\r\n", "\0"]))
def test_findings_are_in_order_apart_and_inside_the_text(lines: list[str], end: str) -> None:
    text = end.join(lines)
    found = detect(text)
    assert all(0 <= each.start < each.end <= len(text) for each in found)
    assert all(one.end <= two.start for one, two in pairwise(found))
    left = list(text)
    for each in reversed(found):
        left[each.start : each.end] = []
    assert "Xy7Kq2Lm9P" not in "".join(left)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_looked_through(text: str) -> None:
    for each in detect(text):
        assert text[each.start : each.end].strip()


def test_offsets_hold_where_small_letters_are_longer() -> None:
    text = "İİİİ password=Xy7Kq2Lm9P"
    assert [text[each.start : each.end] for each in detect(text)] == ["Xy7Kq2Lm9P"]


def test_the_library_comes_first_where_both_find_the_same() -> None:
    assert detect("token glpat-" + "Ab3dEf6hIj9lMn2pQr5t")[0].by == "GitLab Token"


def test_overlapping_findings_become_one() -> None:
    assert module._merged([Found(4, 9, "b"), Found(0, 5, "a"), Found(9, 9, "c")]) == [Found(0, 9, "a")]


HOSTILE = {
    "keyword": "secret" * 40_000,
    "quote": 'password="' * 25_000,
    "token starts": "-eyJ" * 60_000,
    "begins": "-----BEGIN RSA PRIVATE KEY-----\n" * 8_000,
    "ends": "-----END PRIVATE KEY-----\n" * 9_000,
    "one word": "x" * 250_000,
    "blanks": "password" + " " * 250_000,
    "commands": "curl " * 50_000,
    "backslashes": 'key: "' + "\\" * 250_000,
    "urls": "://a:b" * 40_000,
    "hashes": "$1$" * 80_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_line_costs_no_more_than_seconds(name: str) -> None:
    detect("warm up")
    began = time.process_time()
    detect(HOSTILE[name])
    # Measured: 0.1 to 1.6 s. Whatever is squared takes minutes for a quarter of a megabyte.
    assert time.process_time() - began < 60


@pytest.mark.parametrize(
    "value", ["yes", "/etc/x/y", "90d", "${X}", "<password>", "********", "files systemd", "", "no."]
)
def test_settings_are_harmless(value: str) -> None:
    assert harmless(value)


@pytest.mark.parametrize("value", ["hunter22", "12345678", "correct horse", "Tr0ub4dor&3", "/+aB9zz=="])
def test_passwords_are_not_harmless(value: str) -> None:
    assert not harmless(value)


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "dbPass", "client_secret", "x-api-key", "secretKey", "session_id", "TOKEN"],
)
def test_names_of_secrets_are_told(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "password_max_age",
        "passwordAuthentication",
        "token_url",
        "tokenizer",
        "secretName",
        "secretNamespace",
        "secretProviderClass",
        "token_audience",
        "keyboard",
        "compass",
        "LoadCredential",
    ],
)
def test_names_that_speak_about_secrets_are_told_apart(name: str) -> None:
    assert not names_secret(name)


def test_words_paths_and_digests_are_not_random() -> None:
    for text in (
        "/usr/lib/x86_64-linux-gnu/perl-base/auto/List/Util/Util",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "NetworkManagerDispatcherServiceWaitOnline2024",
        "org-freedesktop-NetworkManager1-Settings-Connection",
    ):
        assert not is_random(text)
    assert is_random(
        "".join(a + b + c for a, b, c in zip("QwErTyUiOpAs", "zXcVbNmLkJhG", "920384756102", strict=True))
    )


def test_nothing_of_the_library_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, collector.collect.redact;"
        "print('detect_secrets' in sys.modules, 'requests' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_looking_never_reaches_for_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a detector opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert len(detect("sk_live_Ab3dEf6hIj9lMn2pQr5tUv8x\nSK0123456789abcdef0123456789abcdef")) == 2
