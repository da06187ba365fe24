"""Secrets of every common shape, made up here, must not survive redaction."""

from __future__ import annotations

import base64
import json
import logging
import random
import string
import threading
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.canonical import dumps
from collector.collect.redact import MAX_TEXT, RedactingFilter, Redactor, answer_kind
from collector.keys import Keys
from collector.model import Column, Identity, Json, Kind, Operation, Outcome, Record, Span, Text

KEYS = Keys(b"\x07" * 32)
KIND = Kind(
    name="host_thing",
    title="things",
    columns=(
        Column("login", "VARCHAR", "login", identity=Identity.LOGIN),
        Column("resource", "VARCHAR", "resource", identity=Identity.RESOURCE, free_text=True),
        Column("full_name", "VARCHAR", "name", identity=Identity.PERSON_NAME),
        Column("mails", "VARCHAR[]", "mails", identity=Identity.MAIL),
        Column("secret", "VARCHAR", "secret", secret=True),
        Column("keys", "VARCHAR[]", "secrets", secret=True),
        Column("note", "VARCHAR", "note", free_text=True),
        Column("Environment", 'STRUCT("name" VARCHAR, "value" VARCHAR)[]', "environment", free_text=True),
        Column("arguments", "VARCHAR[]", "arguments", free_text=True),
        Column("anything", "JSON", "anything", free_text=True),
        Column("plain", "VARCHAR", "plain"),
        Column("settings", "JSON", "settings", free_text=True, literals=("value",)),
        Column("files", "JSON", "files", free_text=True, literals=("*",)),
    ),
    identity=("login",),
    operations=(Operation("host:things", "none"),),
)

RNG = random.Random(20261124)
ALNUM = string.ascii_letters + string.digits
LOWER, UPPER, HEX, B64 = string.ascii_lowercase, string.ascii_uppercase, "0123456789abcdef", ALNUM + "+/"
LOW36 = LOWER + string.digits


def some(length: int, signs: str = ALNUM) -> str:
    """Random signs, of every class that `signs` has, so that it reads like what an issuer makes."""
    while True:
        made = "".join(RNG.choice(signs) for _ in range(length))
        if length < 8 or any(map(str.isdigit, made)) or not any(map(str.isdigit, signs)):
            return made


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def uuid() -> str:
    return "-".join(some(n, HEX) for n in (8, 4, 4, 4, 12))


def pem(label: str, lines: int = 6) -> str:
    return (
        f"-----BEGIN {label}-----\n"
        + "".join(some(64, B64) + "\n" for _ in range(lines))
        + f"-----END {label}-----"
    )


def jwt() -> str:
    def part(value: Json) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    head, body = part({"alg": "RS256", "kid": some(8)}), part({"sub": some(12), "aud": some(8)})
    return f"{head}.{body}.{some(86, ALNUM + '-_')}"


def planted() -> dict[str, tuple[str, str]]:
    """Name to the text that holds a secret, and the secret."""
    made: dict[str, tuple[str, str]] = {}

    def plant(name: str, form: str, secret: str) -> None:
        made[name] = (form.replace("@@", secret), secret)

    plant("aws key id", "id @@ is active", "AKIA" + some(16, UPPER + "234567"))
    plant("aws secret", "aws_secret_access_key = @@", some(40, B64))
    plant("aws secret in csv", "AKIA" + some(16, UPPER + "234567") + ",@@", some(40, B64))
    plant("aws session token", 'export AWS_SESSION_TOKEN="@@"', some(200, B64))
    body = pem("PRIVATE KEY")
    made["gcp service account"] = (
        json.dumps({"type": "service_account", "private_key": body + "\n", "client_id": "1"}),
        "".join(body.splitlines()[1:-1]),
    )
    plant("google api key", "https://maps.example.org/js?v=3&x=@@", "AIza" + some(35, ALNUM + "-_"))
    plant("google oauth", "GOOGLE=@@", "GOCSPX-" + some(28))
    plant(
        "azure storage",
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=@@;EndpointSuffix=x",
        some(86, B64) + "==",
    )
    plant(
        "azure sas",
        "https://acme.blob.example.org/c?sv=2022-11-02&se=2027-01-01&sr=c&sig=@@",
        some(43, ALNUM) + "%3D",
    )
    plant(
        "azure service bus",
        "Endpoint=sb://x.example.org/;SharedAccessKeyName=Root;SharedAccessKey=@@",
        some(43, B64) + "=",
    )
    plant("azure client secret", "value @@ expires soon", some(3) + "8Q~" + some(34, ALNUM + "_.-"))
    plant("github classic", "remote uses @@.", "ghp_" + some(36))
    plant("github fine-grained", "token is @@", "github_pat_" + some(22) + "_" + some(59))
    plant("gitlab", "glab auth @@", "glpat-" + some(20))
    plant(
        "slack token", "bot @@ joined", f"xoxb-{some(11, string.digits)}-{some(12, string.digits)}-{some(24)}"
    )
    plant(
        "slack webhook",
        "curl https://hooks.slack.com/services/@@",
        f"T{some(8, UPPER)}/B{some(9, UPPER)}/{some(24)}",
    )
    plant("stripe", "charge with @@", "sk_live_" + some(24))
    plant("twilio", "sid @@ here", "SK" + some(32, HEX))
    plant("sendgrid", "mail by @@", f"SG.{some(22)}.{some(43)}")
    plant("mailgun", "mail by @@", "key-" + some(32, LOW36))
    plant("mailchimp", "list by @@", some(32, HEX) + "-us12")
    plant("npm", "//registry.example.org/:_authToken=@@", "npm_" + some(36))
    plant("pypi", "  password = @@", "pypi-AgEIcHlwaS5vcmc" + some(100))
    plant("docker login", '{"auths": {"https://r.example.org": {"auth": "@@"}}}', b64("robot:" + some(24)))
    plant("json web token", "seen @@ in a log", jwt())
    plant("url with password", "git clone https://bot:@@@git.example.org/x.git", some(16))
    plant("bearer header", "curl -H 'Authorization: Bearer @@' https://x.example.org", some(40))
    plant("basic header", "Authorization: Basic @@", b64("admin:" + some(18)))
    header = 'proxy_set_header Authorization "Basic @@";'
    plant("header of a proxy's settings", header, "Zq7-" + some(16) + "1")
    plant("password=", "password=@@", some(14))
    plant("passwd:", "  passwd: @@", some(14))
    plant("passphrase with spaces", "passphrase = @@", " ".join(some(6, LOWER) for _ in range(5)))
    plant("PGPASSWORD", "0 5 * * * root PGPASSWORD=@@ pg_dump acme", some(15))
    plant("MYSQL_PWD", "export MYSQL_PWD='@@'", some(15))
    plant("--password=", "/usr/bin/agent --user x --password=@@ --verbose", some(15))
    plant("--password ", "/usr/bin/agent --password @@ --verbose", some(15))
    plant("mysql -p", "mysql -h db -uroot -p@@ acme", some(13))
    plant("sshpass", "sshpass -p '@@' ssh root@web1", some(13))
    plant("curl -u", "curl -s -u robot:@@ https://x.example.org/", some(18))
    plant("redis-cli -a", "redis-cli -h cache -a @@ info", some(18))
    for label in (
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ):
        body = pem(label)
        made[label.lower()] = (f"before\n{body}\nafter", "".join(body.splitlines()[1:-1]))
    plant(
        "yescrypt", "alice:@@:19800:0:99999:7:::", f"$y$j9T${some(22, ALNUM + './')}${some(43, ALNUM + './')}"
    )
    plant("sha512 crypt", "bob:@@:19800:0:99999:7:::", f"$6${some(16)}${some(86, ALNUM + './')}")
    plant("bcrypt", "user:@@", f"$2b$12${some(53, ALNUM + './')}")
    plant("md5 crypt", "enable secret 5 @@", f"$1${some(4)}${some(22, ALNUM + './')}")
    plant("htpasswd", "carol:@@", f"$apr1${some(8)}${some(22, ALNUM + './')}")
    plant("ldap hash", "userPassword: @@", "{SSHA}" + some(38, B64) + "==")
    plant("wifi", '\tpsk="@@"', some(20))
    plant("network manager", "psk=@@", some(63))
    plant("wireguard", "PrivateKey = @@", some(43, B64) + "=")
    plant("snmp community", "rocommunity @@ 10.0.0.0/8", some(12))
    plant("snmp user", 'createUser monitor SHA "@@" AES', some(14))
    plant("netrc", "machine x.example.org login robot password @@", some(14))
    plant("kube token", "    token: @@", some(6, LOW36) + "." + some(16, LOW36))
    plant("kube client key", "    client-key-data: @@", some(120, B64))
    plant("cookie", "Cookie: theme=dark; JSESSIONID=@@", some(32, HEX))
    plant("set-cookie", "Set-Cookie: sid=@@; HttpOnly; Path=/", some(32))
    plant("session id", 'session_id="@@"', some(32))
    plant("oauth client secret", '"client_secret": "@@",', some(30))
    plant("escaped json", '{\\"client_secret\\": \\"@@\\", \\"x\\": 1}', some(30))
    plant("postgres url", "DATABASE_URL=postgres://app:@@@db.example.org:5432/acme", some(16, ALNUM + "!$@"))
    plant("mongodb url", "mongodb+srv://app:@@@c0.example.org/acme?w=majority", some(16))
    plant("redis url", "redis://:@@@cache:6379/0", some(16))
    plant("amqp url", "amqp://app:@@@mq:5672/%2f", some(16))
    plant("connection string", "Server=db;User Id=app;Password=@@;Database=acme", some(14, ALNUM + "!%"))
    plant("heroku", "HEROKU_API_KEY=@@", uuid())
    plant("datadog", "api_key: @@", some(32, HEX))
    plant("digitalocean", "doctl auth @@", "dop_v1_" + some(64, HEX))
    plant("cloudflare", "CLOUDFLARE_API_TOKEN=@@", some(40, ALNUM + "-_"))
    plant("vault", "VAULT_TOKEN=@@", "hvs." + some(95))
    plant("age", "# key\n@@", "AGE-SECRET-KEY-1" + some(58, UPPER + string.digits))
    plant("telegram", "bot @@ runs", some(10, "123456789") + ":" + some(35))
    plant("discord", "bot @@ runs", f"M{some(23)}.{some(6)}.{some(27)}")
    plant("square", "pay @@", "sq0csp-" + some(43))
    plant("shopify", "shop @@", "shpat_" + some(32, HEX))
    plant("openai", "ask @@", "sk-" + some(20) + "T3BlbkFJ" + some(20))
    plant("grafana", "dash @@", "glsa_" + some(32) + "_" + some(8, HEX))
    plant("terraform cloud", "tf @@", some(14) + ".atlasv1." + some(67))
    plant("tsig key", '\tsecret "@@";', some(43, B64) + "=")
    plant("keepalived", "        auth_pass @@", some(12))
    plant("ldap bind", "bindpw @@", some(14))
    plant("openssl argument", "openssl rsa -in x.pem -passin pass:@@", some(14))
    plant("chpasswd", "echo 'root:@@' | chpasswd", some(14))
    plant("nothing beside it", "see @@ here", some(44, ALNUM))
    return made


PLANTED = planted()


def pieces(secret: str, length: int = 12) -> list[str]:
    """Every part of a secret that is worth something; a shorter secret as a whole."""
    return [secret[n : n + length] for n in range(max(len(secret) - length, 0) + 1)]


def leaked(secret: str, written: str) -> list[str]:
    flat = written.replace("\\n|", "").replace("\\n", "").replace("\n", "").replace('\\"', '"')
    return [piece for piece in pieces(secret) if piece in flat]


def redactor() -> Redactor:
    return Redactor({KIND.name: KIND}, KEYS)


def record(**data: Json) -> Record:
    return Record(KIND.name, "1", {"host": "web1"}, ("ab/1",), data)


def text(content: str, spans: tuple[Span, ...] | None = ()) -> Text:
    return Text("ab/1", "host:things", {"host": "web1"}, content, spans, "/etc/thing")


def kept(content: str, spans: tuple[Span, ...] | None = (), by: Redactor | None = None) -> str:
    written = (by or redactor()).text(text(content, spans), "host")[0].data["text"]
    assert isinstance(written, str)
    return written


def test_more_than_fifty_shapes_are_planted() -> None:
    assert len(PLANTED) >= 50


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize(
    "place",
    [
        lambda line: redactor().record(record(note=line))[0],
        lambda line: redactor().record(record(note=f"first line\n{line}\nlast line"))[0],
        lambda line: redactor().record(record(arguments=line.splitlines()))[0],
        lambda line: redactor().record(record(anything={"a": [{"b": line}]}))[0],
        lambda line: redactor().record(record(undeclared=line))[0],
        lambda line: kept(line),
        lambda line: kept(f"# a file\n\n{line}\r\nend\n"),
        lambda line: kept("".join(f"|{each}\n" for each in ("P 1", *line.split("\n")))),
        lambda line: redactor().line(f"{line}"),
        lambda line: redactor().params({"p": [line]}),
    ],
    ids=["note", "lines", "list", "json", "undeclared", "text", "file", "framed", "line", "params"],
)
def test_no_piece_of_a_planted_secret_survives(name: str, place: Callable[[str], Json]) -> None:
    line, secret = PLANTED[name]
    assert leaked(secret, dumps(place(line)).decode()) == []


def test_planted_secrets_do_not_survive_together_and_are_listed() -> None:
    shuffled = list(PLANTED.values())
    random.Random(3).shuffle(shuffled)
    whole, redactions = redactor().text(text("\n".join(line for line, _ in shuffled)), "host")
    for _, secret in shuffled:
        assert leaked(secret, str(whole.data["text"])) == []
    assert len(redactions) >= len(PLANTED)
    assert {tuple(sorted(each)) for each in redactions} == {("by", "digest", "path")}
    assert dumps(redactions).count(b'"digest":"hmac:') == len(redactions)


def test_arguments_in_a_list_are_understood_together() -> None:
    secret = some(14)
    data, redactions = redactor().record(record(arguments=["sshpass", "-p", secret, "ssh", "root@web1"]))
    assert data["arguments"] == ["sshpass", "-p", f"[redacted {KEYS.redaction(secret)}]", "ssh", "root@web1"]
    assert redactions == [{"path": "arguments[2]", "by": "option", "digest": KEYS.redaction(secret)}]


def test_a_name_beside_a_value_tells_what_it_is() -> None:
    secret = some(14)
    environment = [{"name": "PATH", "value": "/bin"}, {"name": "DB_PASSWORD", "value": secret}]
    data, redactions = redactor().record(record(Environment=environment))
    assert data["Environment"][0] == {"name": "PATH", "value": "/bin"}
    assert redactions == [{"path": "Environment[1].value", "by": "keyword", "digest": KEYS.redaction(secret)}]


@pytest.mark.parametrize(
    "value",
    [
        {"secret": {"secretName": "web-tls", "items": [{"key": "tls.key", "path": "web/key"}], "mode": 292}},
        {"sources": [{"secret": {"name": "web-tls"}}, {"serviceAccountToken": {"audience": "vault"}}]},
        {"valueFrom": {"secretKeyRef": {"name": "db-creds", "key": "password"}}},
        {"credentials": {"userName": "reader", "secretNamespace": "shop", "passwordRef": "vault-entry"}},
        {"imagePullSecrets": [{"name": "registry-login"}], "secretProviderClass": "vault-classes"},
    ],
)
def test_which_secret_is_meant_is_no_secret(value: Json) -> None:
    assert redactor().record(record(anything=value)) == ({"anything": value}, [])


@pytest.mark.parametrize(
    ("member", "hidden"),
    [
        ({"name": "db", "value": "@@"}, "value"),
        ({"key": "@@"}, "key"),
        ({"user": "@@"}, "user"),
        ({"inner": {"username": "@@"}}, "inner.username"),
        ({"nickname": ["@@"]}, "nickname[0]"),
        ({"names": {"a.name.b": "@@"}}, 'names["a.name.b"]'),
    ],
)
@pytest.mark.parametrize("name", ["secret", "password", "credentials", "apiKey"])
def test_what_lies_below_a_secrets_name_and_is_no_name_itself_is_hidden(
    name: str, member: dict[str, Json], hidden: str
) -> None:
    told = json.loads(json.dumps({name: member}).replace("@@", "correcthorse9"))
    data, redactions = redactor().record(record(anything=told))
    assert "correcthorse9" not in str(data)
    assert [each["path"] for each in redactions] == [f"anything.{name}.{hidden}"]


def test_a_secret_that_is_called_a_name_is_still_looked_through() -> None:
    for value in (some(24), f"password={some(14)}", "AKIA" + some(16, UPPER)):
        data, _ = redactor().record(record(anything={"secret": {"name": value}}))
        assert leaked(value.partition("=")[2] or value, str(data)) == []


def test_literals_are_not_kept_and_a_secret_among_them_is_still_told() -> None:
    env = [{"name": "MODE", "value": "fast"}, {"name": "DB_PASSWORD", "value": "hunter2"}]
    secret = "password = correcthorse9"
    files = {"a.ini": "mode = fast", "b.ini": secret, "empty": "", "deep": {"x": ["y"]}}
    data, redactions = redactor().record(record(settings={"env": env}, files=files))
    mode, password = data["settings"]["env"]
    assert mode == {"name": "MODE", "value": "[not kept]"}
    assert password["value"].startswith("[redacted hmac:")
    assert data["files"]["a.ini"] == "[not kept]"
    assert data["files"]["b.ini"].startswith("[redacted hmac:")
    assert data["files"]["b.ini"].endswith("]")
    assert data["files"]["empty"] == ""
    assert data["files"]["deep"] == {"x": ["[not kept]"]}
    assert [each["path"] for each in redactions] == ["settings.env[1].value", 'files["b.ini"]']
    assert {each["by"] for each in redactions} == {"keyword"}


def test_what_one_kind_may_write_another_of_the_same_column_may_not() -> None:
    open_, shut = (
        Kind(
            name=f"host_{name}",
            title="things",
            columns=(Column("settings", "JSON", "settings", free_text=True, literals=literals),),
            identity=("settings",),
            operations=(Operation("host:things", "none"),),
        )
        for name, literals in (("open", ()), ("shut", ("value",)))
    )
    both = Redactor({kind.name: kind for kind in (open_, shut)}, KEYS)
    told = [
        both.record(Record(kind.name, "a", {}, ("c",), {"settings": {"value": "fast"}}))[0]
        for kind in (open_, shut)
    ]
    assert told == [{"settings": {"value": "fast"}}, {"settings": {"value": "[not kept]"}}]


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_text_below_a_literal_member_is_ever_written(value: Json) -> None:
    data, _ = redactor().record(record(settings={"value": value}))

    def leaves(found: Json) -> set[str]:
        if isinstance(found, str):
            return {found}
        inner = found.values() if isinstance(found, dict) else found
        return {each for one in inner for each in leaves(one)}

    kept = leaves(data["settings"]["value"])
    assert all(not each.strip() or each.startswith(("[not kept]", "[redacted hmac:")) for each in kept)


def test_odd_names_are_quoted_in_a_path() -> None:
    _, redactions = redactor().record(record(anything={"a b": {"api_key": some(20)}}))
    assert [each["path"] for each in redactions] == ['anything["a b"].api_key']


def test_a_secret_used_as_a_name_is_replaced_there_too() -> None:
    token = "ghp_" + some(36)
    data, redactions = redactor().record(record(anything={token: 1}))
    assert token not in dumps([data, redactions]).decode()


def test_secret_columns_become_digests_and_people_pseudonyms() -> None:
    data, redactions = redactor().record(
        record(
            login="jdoe",
            full_name="Jane Doe",
            mails=["J@x.org"],
            secret="hush",
            keys=["a", None, "b"],
            plain="p",
        )
    )
    assert data == {
        "login": "jdoe",
        "full_name": KEYS.pseudonym("jane doe"),
        "mails": [KEYS.pseudonym("j@x.org")],
        "secret": KEYS.redaction("hush"),
        "keys": [KEYS.redaction("a"), None, KEYS.redaction("b")],
        "plain": "p",
    }
    assert [(each["path"], each["by"]) for each in redactions] == [
        ("full_name", "person"),
        ("mails[0]", "person"),
        ("secret", "column"),
        ("keys[0]", "column"),
        ("keys[2]", "column"),
    ]


def test_a_secret_column_that_holds_a_number_is_replaced_as_well() -> None:
    data, _ = redactor().record(record(secret=123456, keys=[{"opensesame": [True]}, [7777]]))
    assert b"123456" not in dumps(data)
    assert b"true" not in dumps(data)
    assert b"opensesame" not in dumps(data)
    assert [str(each).startswith("hmac:") for each in data["keys"]] == [True, True]


def test_null_and_empty_stay_what_they_are() -> None:
    data, redactions = redactor().record(record(secret=None, full_name="", note=None, arguments=[]))
    assert (data, redactions) == ({"secret": None, "full_name": "", "note": None, "arguments": []}, [])


def test_logins_and_resources_are_exempt_from_detectors() -> None:
    name = "arn:x/" + some(44)
    data, redactions = redactor().record(record(login=some(44), resource=name))
    assert data["resource"] == name
    assert redactions == []


def test_an_id_shows_no_person_and_no_secret() -> None:
    made = Record(KIND.name, "jane@x.org/k1", {}, (), {"mails": ["jane@x.org"], "secret": "k1"})
    shown = redactor().id(made)
    assert "jane" not in shown
    assert KEYS.pseudonym("jane@x.org") in shown


def test_spans_are_replaced_by_digest_or_pseudonym() -> None:
    line = "jane doe,jane@x.org,opensesame"
    spans = (Span(0, 8, "person_name"), Span(9, 19, "mail"), Span(20, 30, "secret"))
    assert kept(line, spans) == (
        f"[redacted {KEYS.pseudonym('jane doe')}],[redacted {KEYS.pseudonym('jane@x.org')}],"
        f"[redacted {KEYS.redaction('opensesame')}]"
    )


def test_a_text_without_spans_is_kept_as_digest_and_size() -> None:
    made, redactions = redactor().text(text("grüße", None), "host")
    assert made.data["text"] is None
    assert made.data["size"] == len("grüße".encode())
    assert made.data["digest"] == KEYS.answer_digest("grüße".encode())
    assert [each["by"] for each in redactions] == ["spans unknown"]
    assert made.gaps == ()


def test_a_text_that_is_too_long_is_a_gap_and_not_cut() -> None:
    made, _ = redactor().text(text("x" * (MAX_TEXT + 1)), "host")
    assert made.data["text"] is None
    assert made.data["size"] == MAX_TEXT + 1
    assert [(gap.column, gap.reason) for gap in made.gaps] == [("text", Outcome.TRUNCATED)]
    assert redactor().text(text("x" * MAX_TEXT), "host")[0].gaps == ()


def test_a_text_record_fits_its_kind() -> None:
    made, _ = redactor().text(text("x"), "host")
    kind = answer_kind("host")
    assert made.kind == kind.name
    assert [column.name for column in kind.columns] == list(made.data)


def test_what_columns_held_does_not_survive_in_texts_behind_them() -> None:
    by = redactor()
    by.record(record(login="jd", full_name="Jane van Doe", secret="Zauberwort-9", mails=["jane@x.org"]))
    shown = kept("JANE VAN DOE <jane@x.org> said Zauberwort-9, not Jane van Doering", by=by)
    assert shown == (
        f"[redacted {KEYS.pseudonym('jane van doe')}] <[redacted {KEYS.pseudonym('jane@x.org')}]> said "
        f"[redacted {KEYS.redaction('Zauberwort-9')}], not Jane van Doering"
    )


def test_a_person_called_like_a_login_does_not_hide_the_login_in_texts() -> None:
    by = redactor()
    by.record(record(login="daemon", full_name="daemon"))
    assert kept("daemon:x:1:1", by=by) == "daemon:x:1:1"


def test_a_text_is_not_kept_when_more_people_came_than_can_be_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.collect.known._MAX_VALUES", 3)
    by = redactor()
    by.record(record(mails=[f"person{n}@x.org" for n in range(5)]))
    made, redactions = by.text(text("person4@x.org"), "host")
    assert made.data["text"] is None
    assert [each["by"] for each in redactions] == ["spans unknown"]


def test_params_and_lines_show_no_mail_address_and_no_known_person() -> None:
    by = redactor()
    by.record(record(full_name="Jane Doe"))
    assert by.params({"User": "jane doe", "To": "a <b.c@x.org>", "n": 3}) == {
        "User": KEYS.pseudonym("jane doe"),
        "To": f"a <{KEYS.pseudonym('b.c@x.org')}>",
        "n": 3,
    }
    assert "Jane" not in by.line("Jane Doe (b@x.org) may not")
    assert "b@x.org" not in by.line("Jane Doe (b@x.org) may not")


def test_params_of_a_list_call_are_the_same_before_and_after_records() -> None:
    by = redactor()
    params = {"path": "/etc/passwd", "args": ["-x", "root"]}
    before = by.params(params)
    by.record(record(login="root", full_name="Jane Doe", secret="root-password"))
    assert by.params(params) == before == params


def test_a_log_record_is_redacted_with_its_arguments_exception_and_extras() -> None:
    password = some(14)
    written: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = written.append  # type: ignore[method-assign]
    handler.addFilter(RedactingFilter(redactor()))
    logger = logging.Logger("x")
    logger.addHandler(handler)
    try:
        int(f"password={password}")
    except ValueError:
        logger.exception("token: %s", password, extra={"detail": f"--password={password}"})
    shown = logging.Formatter("%(message)s %(detail)s").format(written[0])
    assert "ValueError" in shown
    assert password not in shown
    assert password not in str(vars(written[0]))


EVIDENCE = [
    "ii  libsecret-1-0:amd64  0.20.5-3  amd64  Secret store",
    "passwd:         files systemd",
    "shadow: files [NOTFOUND=return] db",
    "password\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok try_first_pass yescrypt",
    "password   requisite   pam_pwquality.so retry=3 minlen=14",
    "PASS_MAX_DAYS\t99999",
    "passwordauthentication no",
    "hostkey /etc/ssh/ssh_host_ed25519_key",
    'Defaults passwd_tries=3, passwd_timeout=5, env_keep+="SSH_AUTH_SOCK"',
    "-w /etc/passwd -p wa -k identity",
    "-a always,exit -F path=/usr/bin/passwd -F perm=x -F key=passwd_changes",
    "LoadCredential=db:/etc/creds/db",
    "password_file = /etc/x/password",
    "ssl_certificate_key /etc/nginx/key.pem;",
    "DB_PASSWORD=${DB_PASSWORD}",
    "3072 SHA256:" + some(43, B64) + " root@web1 (RSA)",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + some(43, B64) + " root@web1",
    "sha256:" + some(64, HEX) + " image",
    "UUID=" + uuid() + " / ext4 errors=remount-ro 0 1",
    "00:1f.2 SATA controller [0106]: Intel [8086:2922] (rev 02)",
    "/usr/bin/passwd:4755:root",
    "http://deb.example.org:80/debian@x bookworm main",
    "kernel.random.boot_id = " + uuid(),
    "net.ipv4.tcp_syncookies = 1",
    "authorization: RBAC is enabled",
    "systemd-ask-password-console.path enabled enabled",
    "hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "basic authentication is required",
    "the session: 12 minutes, tokens: 3",
    "/usr/lib/x86_64-linux-gnu/security/pam_unix.so",
]


@pytest.mark.parametrize("line", EVIDENCE)
def test_evidence_stays(line: str) -> None:
    assert kept(line) == line


def test_certificates_and_public_keys_stay() -> None:
    shown = "\n".join(pem(label) for label in ("CERTIFICATE", "PUBLIC KEY", "CERTIFICATE REQUEST"))
    assert kept(shown) == shown


@pytest.mark.parametrize("cut", ["head", "tail"])
def test_half_a_private_key_is_replaced_too(cut: str) -> None:
    lines = pem("RSA PRIVATE KEY").splitlines()
    half = lines[3:] if cut == "head" else lines[:-3]
    shown = kept("\n".join(["some words before", *half, "some words after"]))
    assert shown.startswith("some words before\n")
    assert shown.endswith("some words after")
    assert leaked("".join(half[1:-1]), shown) == []


def test_text_that_is_no_unicode_can_be_written() -> None:
    made, _ = redactor().text(text("gr\udcfc\udcdfe password=" + PLANTED["password="][1]), "host")
    dumps(made.data)
    assert made.data["size"] == len(b"gr\xfc\xdfe password=" + PLANTED["password="][1].encode())


def test_redacting_again_changes_nothing() -> None:
    once = kept("\n".join(line for line, _ in PLANTED.values()))
    assert kept(once) == once


def test_one_redactor_serves_several_threads() -> None:
    by = redactor()
    lines = [line for line, _ in PLANTED.values()]
    expected = [kept(line) for line in lines]
    results: dict[int, list[str]] = {}

    def work(n: int) -> None:
        results[n] = [kept(line, by=by) for line in lines]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == expected for result in results.values())
    assert len(results) == 4


def test_without_detectors_declared_columns_are_replaced_still() -> None:
    plain = Redactor({KIND.name: KIND}, KEYS, detect=False)
    data, _ = plain.record(record(secret="hush-hush", note="password=abcdef1"))
    assert data == {"secret": KEYS.redaction("hush-hush"), "note": "password=abcdef1"}
    assert "hush-hush" not in plain.line("it is hush-hush")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(max_size=20)
    | st.just("password=" + "Xy7Kq2Lm9P"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def places(value: Json) -> int:
    if isinstance(value, dict):
        return sum(map(places, value.values())) + len(value)
    return sum(map(places, value)) if isinstance(value, list) else 1


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES)
def test_any_nesting_keeps_its_shape_and_loses_its_secret(value: Json) -> None:
    data, redactions = redactor().record(record(anything=value))
    assert b"Xy7Kq2Lm9P" not in dumps(data)
    assert places(data["anything"]) == places(value)
    assert bool(redactions) == (b"[redacted" in dumps(data) and b"[redacted" not in dumps(value))


def test_what_is_nested_too_deeply_is_replaced() -> None:
    deep: Json = "password=" + some(12)
    for _ in range(200):
        deep = [deep, 1]
    data, redactions = redactor().record(record(anything=deep))
    assert [each["by"] for each in redactions] == ["depth"]
    dumps(data)


@pytest.mark.parametrize("settings_", [{"secret": "x"}])
def test_an_unknown_kind_is_refused(settings_: Mapping[str, Json]) -> None:
    with pytest.raises(KeyError):
        redactor().record(Record("host_other", "1", {}, (), settings_))
