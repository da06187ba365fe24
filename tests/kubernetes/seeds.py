"""Objects over all that a server of 1.20 serves: as they should be (`seeds/good`) and as not (`seeds/bad`).

They are manifests in which `${shape.place}` stands for a secret of its own: of that shape, made from its
name, and told by `CANARIES`. `${b64:…}` is the same in base64; `${applied}` the object itself as kubectl
keeps it in an annotation; `uid: owner` the uid of the owner, which is made before. An anchor holds for the
whole file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

__all__ = ["CANARIES", "KUBELETS", "definitions", "forms", "objects", "seed_bad", "seed_good"]

HERE = Path(__file__).with_name("seeds")
Object = dict[str, Any]
Create = Callable[[Object], Object]

# What others need before they can be made.
_FIRST = ("Namespace", "CustomResourceDefinition", "PriorityClass", "RuntimeClass", "Node", "Deployment")
_THEN = ("CronJob", "ReplicaSet", "StatefulSet", "ServiceAccount")
_ORDER = {kind: rank for rank, kind in enumerate((*_FIRST, *_THEN))}

_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CANARY = re.compile(r"\$\{(b64:)?([a-z_0-9]+\.[a-z-]+)\}")
_FIXED = re.compile(r"\$\{(certificate|ca-bundle|csr|long|huge)\}")


def _drawn(place: str, letters: str, count: int) -> str:
    """Letters that look random and are the same each time."""
    drawn = b"".join(hashlib.sha512(f"{place}/{n}".encode()).digest() for n in range(count // 64 + 1))
    return "".join(letters[byte % len(letters)] for byte in drawn[:count])


_WORD = string.ascii_letters + string.digits
_PLAIN = string.ascii_uppercase + string.digits
_URL = _WORD + "-_"


def _pem(place: str) -> str:
    body = "\n".join(_drawn(f"{place}/{n}", _WORD + "+/", 64) for n in range(8))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n"


def _jwt(place: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT"}').decode().rstrip("=")
    claims = json.dumps({"sub": place, "jti": _drawn(place, _WORD, 16)}).encode()
    body = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    return f"{head}.{body}.{_drawn(place, _URL, 86)}"


_SHAPES: dict[str, Callable[[str], str]] = {
    "password": lambda place: "Zq7-" + _drawn(place, _WORD, 16) + "x",
    "hex": lambda place: _drawn(place, "0123456789abcdef", 40),
    "hex16": lambda place: _drawn(place, "0123456789abcdef", 16),
    "aws_key": lambda place: "AKIA" + _drawn(place, _PLAIN, 16),
    "aws_secret": lambda place: _drawn(place, _WORD + "+/", 40),
    "github": lambda place: "ghp_" + _drawn(place, _WORD, 36),
    "slack": lambda place: f"xoxb-{_drawn(place, string.digits, 12)}-{_drawn(place + '/', _WORD, 24)}",
    "jwt": _jwt,
    "pem": _pem,
}


def _canaries() -> dict[str, str]:
    texts = "".join(path.read_text() for path in sorted(HERE.rglob("*.yaml")))
    places = sorted({place for _, place in _CANARY.findall(texts)})
    return {place: _SHAPES[place.partition(".")[0]](place) for place in places}


CANARIES: dict[str, str] = _canaries()
"""Every planted secret, by its shape and place: `password.environment-url`. Those of values of Secrets begin
with `secret` after the point. None may stand in any file of a bundle, in any of its `forms`."""


def forms(value: str) -> Iterator[str]:
    """How a secret could still be told: itself, its lines, in base64, escaped, and plain digests of it."""
    data = value.encode()
    yield from (line for line in value.splitlines() if len(line) > 12 and "-----" not in line)
    yield from (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode().rstrip("="))
    yield json.dumps(value)[1:-1]
    yield from (hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256", "sha512"))


_KUBELET_GOOD = {
    "authentication": {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "/etc/kubernetes/pki/ca.crt"},
    },
    "authorization": {"mode": "Webhook"},
    "readOnlyPort": 0,
    "streamingConnectionIdleTimeout": "4h0m0s",
    "protectKernelDefaults": True,
    "makeIPTablesUtilChains": True,
    "eventRecordQPS": 5,
    "rotateCertificates": True,
    "serverTLSBootstrap": True,
    "tlsCipherSuites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
    "podPidsLimit": 4096,
    "seccompDefault": True,
}
_KUBELET_BAD = {
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}, "x509": {}},
    "authorization": {"mode": "AlwaysAllow"},
    "readOnlyPort": 10255,
    "streamingConnectionIdleTimeout": "0s",
    "protectKernelDefaults": False,
    "makeIPTablesUtilChains": False,
    "eventRecordQPS": 0,
    "rotateCertificates": False,
    "tlsCipherSuites": ["TLS_RSA_WITH_RC4_128_SHA"],
    "podPidsLimit": -1,
    "failSwapOn": False,
}


def _shut(path: str) -> tuple[int, bytes]:
    return 401, b"Unauthorized"


KUBELETS: dict[str, Any] = {
    "10.99.0.1": _KUBELET_GOOD,
    "10.99.0.2": _KUBELET_GOOD,
    "10.99.0.9": _KUBELET_BAD,
    "10.99.0.8": _shut,
}
"""What `/configz` of the seeds' nodes gives (`cluster.kubelets.configured`); node-lost has no address."""

# group, versions, kind, plural, whether it lies in namespaces
_DEFINED = (
    ("cert-manager.io", ("v1",), "Certificate", "certificates", True),
    ("cert-manager.io", ("v1",), "Issuer", "issuers", True),
    ("cert-manager.io", ("v1",), "ClusterIssuer", "clusterissuers", False),
    ("kyverno.io", ("v1", "v2beta1"), "ClusterPolicy", "clusterpolicies", False),
    ("kyverno.io", ("v1",), "Policy", "policies", True),
    ("wgpolicyk8s.io", ("v1alpha2",), "PolicyReport", "policyreports", True),
    ("wgpolicyk8s.io", ("v1alpha2",), "ClusterPolicyReport", "clusterpolicyreports", False),
    ("templates.gatekeeper.sh", ("v1", "v1beta1"), "ConstraintTemplate", "constrainttemplates", False),
    ("constraints.gatekeeper.sh", ("v1beta1",), "K8sRequiredLabels", "k8srequiredlabels", False),
    ("gateway.networking.k8s.io", ("v1", "v1beta1"), "Gateway", "gateways", True),
    ("gateway.networking.k8s.io", ("v1", "v1beta1"), "HTTPRoute", "httproutes", True),
    ("gateway.networking.k8s.io", ("v1", "v1beta1"), "GatewayClass", "gatewayclasses", False),
)


def definitions() -> Iterator[Object]:
    """Definitions of the custom resources that the seeds have, which let every field through."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    for group, versions, kind, plural, namespaced in _DEFINED:
        meta: Object = {"name": f"{plural}.{group}"}
        if group.endswith(".k8s.io"):  # a protected group
            meta["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
        names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
        served = [
            {
                "name": name,
                "served": True,
                "storage": name == versions[0],
                "schema": schema,
            }
            for name in versions
        ]
        scope = "Namespaced" if namespaced else "Cluster"
        spec = {"group": group, "names": names, "scope": scope, "versions": served}
        kind = "CustomResourceDefinition"
        yield {"apiVersion": "apiextensions.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}


@cache
def _fixed() -> dict[str, str]:
    """A certificate and a request for one, and texts that are long, and as large as an object may be."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    node = [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, "system:node:node-a")]
    name = x509.Name([x509.NameAttribute(oid, text) for oid, text in node])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    own = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    own = own.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=90))
    pem = own.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return {
        "certificate": pem.decode(),
        "ca-bundle": base64.b64encode(pem).decode(),
        "csr": base64.b64encode(request.public_bytes(Encoding.PEM)).decode(),
        "long": "long " * 20_000,  # annotations of an object may have 256 KiB
        "huge": "0123456789abcde\n" * 60_000,  # a config map 1 MiB
    }


class _Loader(yaml.SafeLoader):
    def compose_document(self) -> Any:
        self.get_event()
        node = self.compose_node(None, None)
        self.get_event()
        return node  # and the anchors stay


def _text(text: str) -> str:
    text = _FIXED.sub(lambda found: _fixed()[found[1]], text)

    def planted(found: re.Match[str]) -> str:
        value = CANARIES[found[2]]
        return base64.b64encode(value.encode()).decode() if found[1] else value

    return _CANARY.sub(planted, text)


def _filled(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_filled(each) for each in value]
    if isinstance(value, dict):
        return {_text(key): _filled(each) for key, each in value.items() if key != "<<"}
    return value


def _with_applied(obj: Object) -> Object:
    annotations = obj["metadata"].get("annotations") or {}
    if annotations.get(_APPLIED) != "${applied}":
        return obj
    others = {key: value for key, value in annotations.items() if key != _APPLIED}
    meta = {**obj["metadata"], "annotations": others}
    applied = json.dumps({**obj, "metadata": meta}, separators=(",", ":"), sort_keys=True) + "\n"
    return {**obj, "metadata": {**meta, "annotations": {**others, _APPLIED: applied}}}


def objects(folder: str) -> list[Object]:
    """The objects of `good` or `bad`, in an order in which they can be made."""
    told = [
        _with_applied(_filled(each))
        for path in sorted((HERE / folder).glob("*.yaml"))
        for each in yaml.load_all(path.read_text(), _Loader)
    ]
    return sorted(told, key=lambda obj: _ORDER.get(obj["kind"], len(_ORDER)))


def _seed(told: Iterable[Object], create: Create) -> None:
    made: dict[tuple[str, str, str], str] = {}
    for obj in told:
        space = obj["metadata"].get("namespace", "")
        for owner in obj["metadata"].get("ownerReferences", ()):
            if owner["uid"] == "owner":
                where = "" if owner["kind"] == "Node" else space
                owner["uid"] = made[owner["kind"], where, owner["name"]]
        answer = create(obj)
        made[obj["kind"], space, obj["metadata"]["name"]] = answer["metadata"]["uid"]


def seed_good(create: Create) -> None:
    """Make what is as it should be.

    Args:
        create: makes one object and gives it as the server keeps it: a client's `create`, or its `apply`
            where the other seeds are there already.
    """
    _seed([*definitions(), *objects("good")], create)


def seed_bad(create: Create) -> None:
    """Make what is not; see `seed_good`."""
    _seed([*definitions(), *objects("bad")], create)
