"""Ways to alter a bundle, its archive, stamps, Sigstore bundle and the files with keys: a table.

Each row says what our verifier says, what `verify.sh` says (OpenSSL's word), and whether cosign refuses
it. The unaltered bundle passes all three first. Disclosures and proofs have tables of their own in
test_disclosure.py, stores in tests/run/test_stores.py.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import collector.bundle
from collector.bundle.authority import TimeAuthority
from collector.bundle.sign import parse_envelope, signatures
from collector.bundle.sigstore import sigstore_bundle
from collector.bundle.statement import PREDICATE_TYPE
from collector.bundle.trust import load_trust
from collector.bundle.verify import verify
from collector.canonical import dumps
from collector.model import CollectorError

SCRIPT = Path(collector.bundle.__file__).parents[2] / "docs" / "verify.sh"
COSIGN = os.environ.get("COSIGN") or shutil.which("cosign")
STATEMENT, SIGSTORE, STAMP, WITNESSED = (
    "statement.dsse.json",
    "statement.sigstore.json",
    "stamps/tsa.tsr",
    "stamps/tsa.witness.tsr",
)
TRUST = """
signers = 2
stamps = 1
[[key]]
name = "agent"
purpose = "bundle"
file = "key.pem"
[[key]]
name = "witness"
purpose = "witness"
file = "witness.pem"
[[authority]]
name = "tsa"
file = "root.pem"
"""

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL is not here")


class Work:
    """What is altered: the members in order, the archive's bytes once they are set, and files beside."""

    def __init__(self, folder: Path, forger: Any, dated: Any, keys: Path, signer: Any, sealed: Any) -> None:
        self.folder, self.forger, self.dated, self.keys = folder, forger, dated, keys
        self.signer, self.sealed = signer, sealed
        from collector.bundle.archive import Archive

        with Archive(dated.path) as archive:
            self.members = [(each.name, archive.read(each.name)) for each in archive.members]
            self.starts = {each.name: each.start for each in archive.members}
            self.offsets = {each.name: each.offset for each in archive.members}
        self.original = dict(self.members)
        self.raw = b""
        self.blob = "plan.json"
        self.beside: dict[str, bytes] = {}
        self.files = {
            "key.pem": (keys / "ed.pub.pem").read_bytes(),
            "witness.pem": (keys / "ec.pub.pem").read_bytes(),
            "root.pem": (dated.tsa.folder / "root.pem").read_bytes(),
            "trust.toml": TRUST.encode(),
        }

    def __getitem__(self, name: str) -> bytes:
        return dict(self.members)[name]

    def put(self, name: str, data: bytes) -> None:
        self.members = [(each, data if each == name else old) for each, old in self.members]

    def drop(self, *names: str) -> None:
        self.members = [each for each in self.members if each[0] not in names]

    def first(self, start: str) -> str:
        return next(name for name, _ in self.members if name.startswith(start))

    def bytes(self) -> bytearray:
        return bytearray(self.dated.path.read_bytes())

    def envelope(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the envelope, and the Sigstore bundle's as whoever forges both would."""
        value = json.loads(self[STATEMENT])
        change(value)
        self.put(STATEMENT, dumps(value))
        bundle = json.loads(self[SIGSTORE])
        inner = bundle["dsseEnvelope"]
        inner["payload"], inner["payloadType"] = value["payload"], value["payloadType"]
        inner["signatures"] = [{"sig": each["sig"]} for each in value["signatures"][:1]]
        self.put(SIGSTORE, dumps(bundle))

    def restamp(self, stamp: bytes | None, name: str = STAMP) -> None:
        """Put another stamp in, or none, with the Sigstore bundle that belongs to it."""
        if stamp is None:
            self.drop(name)
        else:
            self.put(name, stamp)
        stamps = [data for each, data in self.members if each == STAMP]
        self.put(SIGSTORE, sigstore_bundle(parse_envelope(self[STATEMENT]), stamps))

    def signature(self, number: int = 0) -> bytes:
        return signatures(parse_envelope(self[STATEMENT]))[number]

    def sigstore(self, change: Callable[[dict[str, Any]], object]) -> None:
        value = json.loads(self[SIGSTORE])
        change(value)
        self.put(SIGSTORE, dumps(value))

    def write(self) -> Path:
        for name, data in self.files.items():
            (self.folder / name).write_bytes(data)
        path: Path = self.forger.file(self.raw) if self.raw else self.forger.archive(self.members)
        for name, data in self.beside.items():
            path.with_name(f"{path.stem}{name}").write_bytes(data)
        return path

    # The three who look at it ---------------------------------------------------------------------------

    def ours(self) -> str:
        """What our verifier says; "" if it verifies."""
        path = self.write()
        try:
            verify(path, load_trust(self.folder / "trust.toml"))
        except CollectorError as error:
            return str(error)
        return ""

    def script(self) -> str:
        """What verify.sh says; "" if it verifies."""
        options = ["-w", self.folder / "witness.pem", "-t", self.folder / "root.pem"]
        command = ["sh", SCRIPT, *options, self.folder / "key.pem", self.write()]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        assert (done.returncode == 1) == done.stderr.startswith("NOT VERIFIED: ")
        return done.stderr

    def cosign(self) -> str:
        """What cosign says; "" if it verifies."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        content = dict(self.members)
        for name, data in (
            ("blob", content[self.blob]),
            ("bundle", content[SIGSTORE]),
            ("key.pem", self.files["key.pem"]),
            ("root.json", self._root()),
        ):
            (out / name).write_bytes(data)
        words = [
            *(str(COSIGN), "verify-blob-attestation", "--bundle", "bundle", "--key", "key.pem"),
            *("--new-bundle-format", "--type", PREDICATE_TYPE, "--trusted-root", "root.json"),
            *("--use-signed-timestamps", "--insecure-ignore-tlog", "blob"),
        ]
        done = subprocess.run(words, cwd=out, capture_output=True, text=True, timeout=60, check=False)
        return "" if done.returncode == 0 else done.stderr or "refused"

    def _root(self) -> bytes:
        tsa = self.dated.tsa
        chain = [
            {"rawBytes": base64.b64encode(each.public_bytes(Encoding.DER)).decode()}
            for each in (tsa.leaf, tsa.root)
        ]
        authority = {
            "subject": {"organization": "test", "commonName": "tsa"},
            "uri": tsa.url,
            "certChain": {"certificates": chain},
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        }
        media = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
        empty: dict[str, Any] = {"tlogs": [], "certificateAuthorities": [], "ctlogs": []}
        return dumps({"mediaType": media, "timestampAuthorities": [authority], **empty})


@pytest.fixture
def work(tmp_path: Path, forger: Any, dated: Any, keys: Path, signer: Any, sealed: Any) -> Work:
    return Work(tmp_path, forger, dated, keys, signer, sealed)


Act = Callable[[Work], object]


@dataclass(frozen=True)
class Way:
    """A row: what is done, what ours says, what the script says (None: it does not look there), cosign."""

    act: Act
    ours: str
    script: str | None
    cosign: bool = False


# Acts ---------------------------------------------------------------------------------------------------


def changed(start: str) -> Act:
    def act(work: Work) -> None:
        work.blob = work.first(start)
        work.put(work.blob, work[work.blob] + b" ")

    return act


def removed(start: str) -> Act:
    return lambda work: work.drop(work.first(start))


def added(name: str, before: str) -> Act:
    def act(work: Work) -> None:
        at = [each for each, _ in work.members].index(work.first(before))
        work.members.insert(at, (name, b"x"))

    return act


def exchanged(one: int, other: int) -> Act:
    def act(work: Work) -> None:
        work.members[one], work.members[other] = work.members[other], work.members[one]

    return act


def contents_exchanged(work: Work) -> None:
    one, two = (name for name, _ in work.members if name.startswith("segments/"))
    first, second = work[one], work[two]
    work.put(one, second)
    work.put(two, first)
    work.blob = one  # both are subjects: cosign only asks whether the bytes are one of them


def doubled(work: Work) -> None:
    work.members.insert(0, work.members[0])


def payload(old: bytes, new: bytes) -> Act:
    def change(value: dict[str, Any]) -> None:
        text = base64.b64decode(value["payload"])
        assert old in text
        value["payload"] = base64.b64encode(text.replace(old, new)).decode()

    return lambda work: work.envelope(change)


def entry(change: Callable[[dict[str, Any]], object]) -> Act:
    return lambda work: work.envelope(change)


def zeroed(number: int) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        value["signatures"][number]["sig"] = base64.b64encode(bytes(64)).decode()

    return change


def keyid_of_another(value: dict[str, Any]) -> None:
    value["signatures"][0]["keyid"] = "SHA256:" + "A" * 43


def signatures_exchanged(value: dict[str, Any]) -> None:
    one, two = value["signatures"]
    one["sig"], two["sig"] = two["sig"], one["sig"]


def re_signed(work: Work) -> None:
    from collector.bundle.sign import sign

    envelope = parse_envelope(work[STATEMENT])
    theirs = json.loads(sign(envelope.payload, work.signer("stranger")))
    work.envelope(lambda value: value["signatures"].__setitem__(0, theirs["signatures"][0]))
    tsa = work.dated.tsa
    work.restamp(TimeAuthority("tsa", tsa.url, tsa.certificates).stamp(work.signature()))


def witness_removed(work: Work) -> None:
    work.envelope(lambda value: value["signatures"].pop())
    work.drop(WITNESSED)


def statement_of_another(work: Work) -> None:
    other = dict(work.forger.members(work.sealed("ed").path))[STATEMENT]
    work.put(STATEMENT, other)
    work.drop(SIGSTORE)


def spaced(work: Work) -> None:
    work.put(STATEMENT, work[STATEMENT].replace(b'{"payload"', b'{"note":"x","payload"'))


def at_byte(place: Callable[[Work], int], new: bytes) -> Act:
    def act(work: Work) -> None:
        data = work.bytes()
        at = place(work)
        assert data[at : at + len(new)] != new
        data[at : at + len(new)] = new
        work.raw = bytes(data)

    return act


def header(name: str, field: int) -> Callable[[Work], int]:
    """A byte of a member's header, by its place there (PKWARE APPNOTE, 4.3.7)."""
    return lambda work: work.offsets[name] + field


def of_bytes(change: Callable[[bytes], bytes]) -> Act:
    def act(work: Work) -> None:
        work.raw = change(bytes(work.bytes()))

    return act


def with_comment(data: bytes) -> bytes:
    return data[:-2] + b"\x02\x00hi"


def directory_renamed(data: bytes) -> bytes:
    at = data.rindex(b"plan.json")
    return data[:at] + b"plan.jsom" + data[at + 9 :]


def compressed(work: Work) -> None:
    """A member that is deflated in the archive, as any ZIP program writes it."""
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in work.members:
            archive.writestr(name, data)
    work.raw = out.getvalue()


def foreign(work: Work) -> None:
    tsa = work.dated.foreign
    work.restamp(TimeAuthority("tsa", tsa.url, tsa.certificates).stamp(work.signature()))


def over_other_bytes(work: Work) -> None:
    tsa = work.dated.tsa
    work.restamp(TimeAuthority("tsa", tsa.url, tsa.certificates).stamp(b"something else"))


def misused(work: Work) -> None:
    """By a certificate of the right root, which is for web servers."""
    query = work.folder / "query"
    (work.folder / "signature").write_bytes(work.signature())
    command = [
        "openssl",
        "ts",
        "-query",
        "-data",
        work.folder / "signature",
        "-sha256",
        "-cert",
        "-out",
        query,
    ]
    subprocess.run(command, check=True, capture_output=True)
    work.restamp(work.dated.tsa.misused(query.read_bytes()))


def stamp(change: Callable[[bytes], bytes]) -> Act:
    return lambda work: work.restamp(change(work[STAMP]))


def backdated(data: bytes) -> bytes:
    found = re.search(rb"\x18\x0f(\d{14})Z", data)
    assert found is not None
    return data.replace(found[1], b"2020" + found[1][4:])


def flipped(data: bytes) -> bytes:
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


def refusing(work: Work) -> None:
    work.restamp(bytes.fromhex("30053003020102"))  # TimeStampResp: status 2, rejection, and no token


def of_the_witness(work: Work) -> None:
    work.restamp(work[WITNESSED])


def unasked(work: Work) -> None:
    at = [name for name, _ in work.members].index(STAMP)
    work.members.insert(at, ("stamps/other.tsr", work[STAMP]))


def late(change: Callable[[bytes], bytes], name: str = ".later.tsr") -> Act:
    return lambda work: work.beside.__setitem__(name, change(work[STAMP]))


def late_over_other_bytes(work: Work) -> None:
    tsa = work.dated.tsa
    work.beside[".later.tsr"] = TimeAuthority("tsa", tsa.url, tsa.certificates).stamp(b"something else")


def other_sigstore(work: Work) -> None:
    envelope = parse_envelope(dict(work.forger.members(work.sealed("ed").path))[STATEMENT])
    work.put(SIGSTORE, sigstore_bundle(envelope, [work[STAMP]]))
    work.put("plan.json", work["plan.json"])


def in_sigstore(*keys: Any, value: Any) -> Act:
    def change(bundle: dict[str, Any]) -> None:
        table: Any = bundle
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value

    return lambda work: work.sigstore(change)


def sigstore_payload(bundle: dict[str, Any]) -> None:
    text = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(text.replace(b"acme", b"acne")).decode()


def foreign_in_sigstore(work: Work) -> None:
    tsa = work.dated.foreign
    made = TimeAuthority("tsa", tsa.url, tsa.certificates).stamp(work.signature())
    work.put(SIGSTORE, sigstore_bundle(parse_envelope(work[STATEMENT]), [made]))


def key_file(change: Callable[[Work], bytes], name: str = "key.pem") -> Act:
    return lambda work: work.files.__setitem__(name, change(work))


def of_keys(name: str) -> Callable[[Work], bytes]:
    return lambda work: (work.keys / name).read_bytes()


def made_by_openssl(*algorithm: str) -> Callable[[Work], bytes]:
    def change(work: Work) -> bytes:
        made = subprocess.run(
            ["openssl", "genpkey", "-algorithm", *algorithm], check=True, capture_output=True
        )
        return subprocess.run(
            ["openssl", "pkey", "-pubout"], input=made.stdout, check=True, capture_output=True
        ).stdout

    return change


def key_bit(work: Work) -> bytes:
    lines = work.files["key.pem"].splitlines()
    der = bytearray(base64.b64decode(lines[1]))
    der[20] ^= 1
    return b"\n".join([lines[0], base64.b64encode(bytes(der)), lines[2], b""])


def trust(old: str, new: str, signers: int = 2) -> Act:
    def act(work: Work) -> None:
        assert old in TRUST
        text = TRUST.replace("signers = 2", f"signers = {signers}", 1).replace(old, new, 1)
        work.files["trust.toml"] = text.encode()

    return act


def agent_for_witness(work: Work) -> None:
    """The host that signs has a key more, as after a rotation; the witness has not signed."""
    work.files["other.pem"] = (work.keys / "stranger.pub.pem").read_bytes()
    other = '[[key]]\nname = "other"\npurpose = "witness"\nfile = "other.pem"\n'
    work.files["trust.toml"] = (TRUST.replace('purpose = "witness"', 'purpose = "bundle"') + other).encode()


# The table ----------------------------------------------------------------------------------------------

NOT_SIGNED = "not signed by this key, or was changed"
NO_STAMP = "no stamp over this signature"
SIGSTORE_SAID = r"statement\.sigstore\.json: not what the statement and the stamps make"
BAD_KEY = "no Ed25519 or ECDSA"

BUNDLE = {
    "the plan is changed": Way(changed("plan"), r"plan\.json was changed", "plan.json was changed", True),
    "the kinds are changed": Way(
        changed("kinds"), r"kinds\.json was changed", "kinds.json was changed", True
    ),
    "the ledger is changed": Way(changed("ledger"), "ledger.* was changed", "was changed", True),
    "a segment is changed": Way(changed("segments/"), "segments/.* was changed", "was changed", True),
    "a derived table is changed": Way(changed("derived/"), "derived/.* was changed", "was changed", True),
    "a mapping is changed": Way(changed("mappings/"), "mappings/.* was changed", "was changed", True),
    "the exceptions are changed": Way(changed("exceptions"), "exceptions.* was changed", "was changed", True),
    "the findings are changed": Way(changed("findings"), "findings.* was changed", "was changed", True),
    "the controls are changed": Way(changed("controls"), "controls.* was changed", "was changed", True),
    "the script is changed": Way(changed("verify.sh"), r"verify\.sh was changed", "was changed", True),
    "the findings are removed": Way(removed("findings"), "is missing", "is signed but not in it"),
    "a segment is removed": Way(removed("segments/"), "was removed", "is signed but not in it"),
    "a mapping is removed": Way(removed("mappings/"), "was removed", "is signed but not in it"),
    "the statement is removed": Way(removed(STATEMENT), "is missing", "no signed statement"),
    "a segment is added": Way(
        added(f"segments/{'0' * 64}.jsonl.gz", "segments/"), "was added|wrong place", "not signed"
    ),
    "a mapping is added": Way(added("mappings/a/checks/a.toml", "mappings/"), "was added", "not signed"),
    "two members are exchanged": Way(exchanged(0, 1), "wrong place", "not in the signed order"),
    "a member is there twice": Way(doubled, "occurs twice", "occurs twice"),
    "two segments' contents are exchanged": Way(contents_exchanged, "was changed", "was changed"),
    "a count in the statement is lowered": Way(
        payload(b'"host_user":9', b'"host_user":8'), "signature does not verify", NOT_SIGNED, True
    ),
    "the series is called otherwise": Way(
        payload(b'"acme"', b'"acne"'), "signature does not verify", NOT_SIGNED, True
    ),
    "the payload is of another type": Way(
        entry(lambda value: value.update(payloadType="text/plain")), "payload type", None, True
    ),
    "the agent's signature is zeros": Way(entry(zeroed(0)), "not over|does not verify", NOT_SIGNED, True),
    "the witness' signature is zeros": Way(entry(zeroed(1)), "not over|does not verify", "(WITNESS)"),
    "the witness' signature is taken away": Way(witness_removed, "names 2 signers", "(WITNESS)"),
    "the two signatures are exchanged": Way(
        entry(signatures_exchanged), "not over|does not verify", NOT_SIGNED, True
    ),
    "the signature claims another key": Way(entry(keyid_of_another), "names another signer|not what", None),
    "a stranger signs it": Way(re_signed, "names another signer", NOT_SIGNED, True),
    "the statement is another run's": Way(statement_of_another, "does not speak of|signatures", "(WITNESS)"),
    "the envelope has a note in it": Way(spaced, "not in canonical form", None),
}

ARCHIVE = {
    "bytes stand before it": Way(
        of_bytes(lambda data: b"#!/bin/sh\n" + data), "not begin with a member", "no signed statement"
    ),
    "bytes stand behind it": Way(of_bytes(lambda data: data + b"x"), "behind the archive's end", None),
    "it is one newline": Way(of_bytes(lambda data: b"\n"), "not begin with a member", "no signed statement"),
    "it is cut off in a member": Way(of_bytes(lambda data: data[:2000]), "cut off", "cut off|no signed"),
    "it is cut off in its directory": Way(of_bytes(lambda data: data[:-10]), "directory", None),
    "it has a comment": Way(of_bytes(with_comment), "directory|behind", None),
    "its directory has another name": Way(of_bytes(directory_renamed), "directory", None),
    "a header has another checksum": Way(
        at_byte(header("plan.json", 14), b"\0\0\0\0"), "checksum|directory", None
    ),
    "a header has a time": Way(at_byte(header("plan.json", 10), b"\x42"), "not in canonical form", None),
    "a header has flags": Way(at_byte(header("plan.json", 6), b"\x08"), "not in canonical form", None),
    "a header says that it is compressed": Way(
        at_byte(header("plan.json", 8), b"\x08"), "not in canonical form", "not stored as it is"
    ),
    "a header says more bytes": Way(
        at_byte(header("plan.json", 21), b"\x70"), "cut off|canonical", "cut off"
    ),
    "all members are compressed": Way(compressed, "not in canonical form", "not stored as it is"),
    "a bit of a member is flipped": Way(
        at_byte(lambda work: work.starts["plan.json"] + 3, b"\0"), "was changed|checksum", "was changed"
    ),
    "a name leads out of it": Way(added("../x", "kinds"), "may be named", "a name that no bundle has"),
    "a name begins at the root": Way(added("/etc/x", "kinds"), "may be named", "a name that no bundle has"),
    "a name has a newline": Way(added("mappings/x\n", "kinds"), "may be named", "a name that no bundle has"),
    "a name has a command": Way(added("$(id)", "kinds"), "may be named", "a name that no bundle has"),
    "a name is in capitals": Way(added("PLAN.JSON", "kinds"), "may be named", "not signed"),
    "a name is none of a bundle's": Way(added("notes.txt", "kinds"), "may be named", "not signed"),
}

STAMPS = {
    "the stamp is taken away": Way(lambda work: work.restamp(None), "stamped by 0 of the 1", NO_STAMP, True),
    "the stamp is over other bytes": Way(over_other_bytes, "not over this bundle's", NO_STAMP, True),
    "the stamp is by an authority nobody trusts": Way(foreign, "tsa: ", NO_STAMP, True),
    "the stamp is by a web server's certificate": Way(misused, "tsa: ", NO_STAMP, True),
    "the stamp's time is set back": Way(stamp(backdated), "tsa: ", NO_STAMP, True),
    "a bit of the stamp's signature is flipped": Way(stamp(flipped), "tsa: ", NO_STAMP, True),
    "the stamp is no stamp": Way(stamp(lambda data: b"<html>"), "not a time stamp", NO_STAMP, True),
    "the stamp is empty": Way(stamp(lambda data: b""), "not a time stamp", NO_STAMP, True),
    "the stamp is cut off": Way(stamp(lambda data: data[:-20]), "not a time stamp", NO_STAMP, True),
    "bytes follow the stamp": Way(stamp(lambda data: data + b"x"), "not a time stamp", None),
    "the stamp is a refusal": Way(refusing, "granted no stamp: status 2", NO_STAMP, True),
    "the stamp is larger than any": Way(stamp(lambda data: data + bytes(2**20)), "at most", None),
    "the stamp is the witness'": Way(of_the_witness, "not over this bundle's", NO_STAMP, True),
    "the witness' stamp is the agent's": Way(
        lambda work: work.restamp(work[STAMP], WITNESSED), "not over this bundle's", None
    ),
    "a stamp is added that nobody asked for": Way(unasked, "does not speak of", None),
    "a late stamp is over other bytes": Way(late_over_other_bytes, "not over this bundle's", None),
    "a late stamp is none": Way(late(lambda data: b"x"), "not a time stamp", None),
    "a late stamp is larger than any": Way(late(lambda data: bytes(2**20)), "larger than", None),
}

IN_SIGSTORE = {
    "its payload is another": Way(lambda work: work.sigstore(sigstore_payload), SIGSTORE_SAID, None, True),
    "its signature is zeros": Way(
        in_sigstore("dsseEnvelope", "signatures", 0, "sig", value=base64.b64encode(bytes(64)).decode()),
        SIGSTORE_SAID,
        None,
        True,
    ),
    "its signature is missing": Way(
        in_sigstore("dsseEnvelope", "signatures", value=[]), SIGSTORE_SAID, None, True
    ),
    "its payload's type is another": Way(
        in_sigstore("dsseEnvelope", "payloadType", value="text/plain"), SIGSTORE_SAID, None, True
    ),
    "its stamps are dropped": Way(
        in_sigstore("verificationMaterial", "timestampVerificationData", value={"rfc3161Timestamps": []}),
        SIGSTORE_SAID,
        None,
        True,
    ),
    "its stamp is a foreign authority's": Way(foreign_in_sigstore, SIGSTORE_SAID, None, True),
    "its stamp is garbage": Way(
        in_sigstore(
            *("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0, "signedTimestamp"),
            value="AAAA",
        ),
        SIGSTORE_SAID,
        None,
        True,
    ),
    "its key is called otherwise": Way(
        in_sigstore("verificationMaterial", "publicKey", "hint", value="SHA256:x"), SIGSTORE_SAID, None
    ),
    "it is of another version": Way(
        in_sigstore("mediaType", value="application/vnd.dev.sigstore.bundle.v9+json"),
        SIGSTORE_SAID,
        None,
        True,
    ),
    "it is another bundle's": Way(other_sigstore, SIGSTORE_SAID, None, True),
    "it has a byte more": Way(changed(SIGSTORE), SIGSTORE_SAID, None),
    "it is empty": Way(lambda work: work.put(SIGSTORE, b""), SIGSTORE_SAID, None, True),
    "the one beside the bundle lacks a stamp": Way(
        lambda work: work.beside.__setitem__(
            ".sigstore.json", sigstore_bundle(parse_envelope(work[STATEMENT]), [])
        ),
        "beside the bundle: not what",
        None,
    ),
}

KEY_FILES = {
    "the key is a stranger's": Way(
        key_file(of_keys("stranger.pub.pem")), "signature valid, signer unknown: SHA256:", NOT_SIGNED, True
    ),
    "a bit of the key is flipped": Way(key_file(key_bit), "key|unknown", NOT_SIGNED, True),
    "the key is the witness'": Way(
        key_file(of_keys("ec.pub.pem")), "twice|same key|two keys", NOT_SIGNED, True
    ),
    "the witness' key is a stranger's": Way(
        key_file(of_keys("stranger.pub.pem"), "witness.pem"), "signed by 1 of the 2", "(WITNESS)"
    ),
    "the key is a private one": Way(
        key_file(of_keys("ed.pem")), "a private key, where the public one", BAD_KEY
    ),
    "the key is cut off": Way(key_file(lambda work: work.files["key.pem"][:60]), "public key", BAD_KEY, True),
    "the key is empty": Way(key_file(lambda work: b""), "public key", BAD_KEY, True),
    "the key is RSA": Way(key_file(made_by_openssl("RSA")), "a key of another kind", BAD_KEY, True),
    "the key is on another curve": Way(
        key_file(made_by_openssl("EC", "-pkeyopt", "ec_paramgen_curve:P-384")),
        "a key on secp384r1",
        BAD_KEY,
        True,
    ),
    "the key is a certificate": Way(
        key_file(lambda work: work.files["root.pem"]), "public key", BAD_KEY, True
    ),
    "the key file is larger than any": Way(
        key_file(lambda work: work.files["key.pem"] + b"#" * 20_000), "larger than", None
    ),
    "the authority's certificates are another's": Way(
        key_file(lambda work: (work.dated.foreign.folder / "root.pem").read_bytes(), "root.pem"),
        "tsa: |stamped by 0",
        NO_STAMP,
    ),
    "the authority's file is a key": Way(
        key_file(of_keys("ed.pub.pem"), "root.pem"), "certificate", NO_STAMP
    ),
    "the key ended before": Way(
        trust('"key.pem"', '"key.pem"\nuntil = 2020-01-01T00:00:00Z'), "signature of agent", None
    ),
    "the key begins later": Way(
        trust('"key.pem"', '"key.pem"\nfrom = 2999-01-01T00:00:00Z'), "signature of agent", None
    ),
    "the key was revoked before": Way(
        trust('"key.pem"', '"key.pem"\nrevoked = { at = 2020-01-02T00:00:00Z, reason = "sold" }'),
        "the key is revoked since 2020",
        None,
    ),
    "the key is a witness' alone": Way(
        trust('purpose = "bundle"', 'purpose = "witness"', signers=1), "trusted as a witness' alone", None
    ),
    "the witness is a second key of the agent's": Way(
        trust('purpose = "witness"\n', 'purpose = "bundle"\n'), "signers: 2 need", None
    ),
    "the witness is a second key of the agent's, beside a true one's": Way(
        agent_for_witness, "signed by 1 of the 2.*trusted as an agent's alone", None
    ),
    "more signers are asked for": Way(trust("signers = 2", "signers = 3"), "signers|signed by 2 of", None),
    "more stamps are asked for": Way(trust("stamps = 1", "stamps = 2"), "stamps|stamped by", None),
}

GROUPS = {
    "bundle": BUNDLE,
    "archive": ARCHIVE,
    "stamps": STAMPS,
    "sigstore": IN_SIGSTORE,
    "key files": KEY_FILES,
}
ROWS = [(group, name) for group, ways in GROUPS.items() for name in ways]


def test_the_unaltered_bundle_passes_all_three(work: Work) -> None:
    assert work.ours() == ""
    assert work.script() == ""
    if COSIGN:
        for blob in ("plan.json", "findings.jsonl.gz", work.first("segments/")):
            work.blob = blob
            assert work.cosign() == ""


@pytest.mark.parametrize(("group", "name"), ROWS)
def test_each_way_to_alter_it_is_caught(work: Work, group: str, name: str) -> None:
    way = GROUPS[group][name]
    way.act(work)
    said = work.ours()
    assert re.search(way.ours, said), said or "it verifies"
    assert said.isprintable()
    assert len(said) < 600
    script = work.script()
    if way.script is None:
        assert script == "", "verify.sh sees it too: the table may say so"
    else:
        assert any(each in script for each in way.script.split("|")), script or "verify.sh verifies it"
    if way.cosign and COSIGN:
        assert work.cosign(), "cosign verifies it"


def test_there_are_enough_ways_and_no_two_are_the_same() -> None:
    assert len(ROWS) >= 60
    assert max(Counter(name for _, name in ROWS).values()) == 1
    assert sum(way.script is not None for ways in GROUPS.values() for way in ways.values()) >= 50
    assert sum(way.cosign for ways in GROUPS.values() for way in ways.values()) >= 35
