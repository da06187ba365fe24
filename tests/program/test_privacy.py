"""What is written of a programme names nobody."""

from pathlib import Path

import pytest

from collector.canonical import dumps
from collector.collect.redact import Redactor
from collector.keys import Keys
from collector.model import Gap, Record
from collector.testing import collect
from collector_program import Program

EXAMPLE = Path(__file__).parents[2] / "examples" / "program"
WORDS = ("Falk", "Okafor", "Brandt", "Tomás", "Leila", "@northquay", "Zaphod", "Beeblebrox")


@pytest.fixture
def folder(tmp_path):
    """The example, with what people do: names in prose, a name as owner, broken rows, a forgotten secret."""
    (tmp_path / "policies").mkdir()
    for path in EXAMPLE.rglob("policies/*.md"):
        text = path.read_text() + "\nAsk Leila Nasser, or marta.falk@northquay.example.\n"
        (tmp_path / "policies" / path.name).write_text(text)
    wrong = (EXAMPLE / "policies" / "passwords.md").read_text()
    (tmp_path / "policies" / "wrong.md").write_text(wrong.replace('"p103"', '"Zaphod Beeblebrox"'))
    (tmp_path / "policies" / "broken.md").write_text(wrong.replace('"p103"', '"Zaphod Beeblebrox'))
    roster = (EXAMPLE / "roster.csv").read_text()
    (tmp_path / "roster.csv").write_text(roster + "x1,Zaphod Beeblebrox,zaphod@northquay.example,President\n")
    return tmp_path


def written(folder):
    redactor = Redactor({kind.name: kind for kind in Program.kinds}, Keys(bytes(32)))
    (collected,) = collect(Program({"folder": str(folder)}))
    for item in collected.items:
        if isinstance(item, Record):
            yield dumps([redactor.id(item), *redactor.record(item)]).decode()
            yield from (redactor.line(gap.detail) for gap in item.gaps)
        elif isinstance(item, Gap):
            yield redactor.line(item.detail)
        else:
            record, redactions = redactor.text(item, "program")
            yield dumps([record.data, redactions]).decode()


def test_no_name_and_no_mail_address_is_written(folder):
    lines = list(written(folder))
    assert len(lines) > 20
    for word in WORDS:
        assert not [line for line in lines if word in line], word


def test_what_joins_and_checks_need_stays_as_it_is(folder):
    whole = "\n".join(written(folder))
    for word in ("p103", "svisser-admin", "policies/passwords.md", "NQ-03", "Password and key policy"):
        assert word in whole
    assert "Security officer" in whole and "fourteen characters" in whole
