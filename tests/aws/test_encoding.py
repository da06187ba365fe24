"""Texts in base64 become readable, so that secrets in them are found; everything else stays as it came."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_aws.encoding import decode


def decoded(text: str) -> Any:
    item: dict[str, Any] = {"a": {"b": text}, "kept": 1}
    inner = item["a"]
    decode(item, "a.b")
    assert inner == {"b": text}, "what others hold is not changed"
    return item["a"]["b"]


@given(text=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_text_is_what_it_was(text: str) -> None:
    assert decoded(base64.b64encode(text.encode()).decode()) == text
    assert decoded(base64.b64encode(gzip.compress(text.encode())).decode()) == text


@pytest.mark.parametrize(
    "told",
    [
        "not base64!",
        base64.b64encode(b"\xff\xfe\x00binary").decode(),
        base64.b64encode(b"\x1f\x8bnot gzip").decode(),
        base64.b64encode(gzip.compress(b"0" * (64 << 20))).decode(),
    ],
    ids=["no base64", "no text", "no gzip", "a bomb"],
)
def test_what_is_no_text_stays(told: str) -> None:
    assert decoded(told) == told


@pytest.mark.parametrize("item", [{}, {"a": None}, {"a": "text"}, {"a": {"b": None}}, {"a": {"b": 3}}])
def test_a_path_that_leads_nowhere_changes_nothing(item: dict[str, Any]) -> None:
    before = dict(item)
    decode(item, "a.b")
    assert item == before
