"""Kubelets as a kube-apiserver's node proxy sees them: TLS, `/configz`, each node at an address of its own.

The server refuses to proxy to loopback, so it is told to reach nodes through an HTTP CONNECT proxy on a UNIX
socket (its egress selector, https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/). That
proxy is here, and answers in the nodes' place: no address outside this machine is ever asked.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

__all__ = ["EGRESS", "Answer", "Kubelets"]

Answer = Callable[[str], tuple[int, bytes]]

EGRESS = """
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport: {{uds: {{udsName: "{socket}"}}}}
"""


class Kubelets:
    """All nodes of one cluster.

    Attributes:
        configured: by a node's address (`10.99.0.1`), its kubelet configuration, a plain object; or a
            function of the path that was asked, to status and body. A node that is not here is
            out of reach.
        asked: address and path of each request.
    """

    def __init__(self, socket: Path, certificate: tuple[Path, Path]) -> None:
        self.configured: dict[str, dict[str, Any] | Answer] = {}
        self.asked: list[tuple[str, str]] = []
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(*certificate)
        self._server = _Sockets(str(socket), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, address: str, path: str) -> tuple[int, bytes]:
        self.asked.append((address, path))
        told = self.configured[address]
        if callable(told):
            return told(path)
        if path.partition("?")[0] != "/configz":
            return 404, b"404 page not found\n"
        return 200, json.dumps({"kubeletconfig": told}).encode()

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        kubelets = self

        class Handler(socketserver.StreamRequestHandler):
            rbufsize = 0  # what follows the CONNECT is TLS, and must stay in the socket

            def handle(self) -> None:
                address = self._connect()
                if address not in kubelets.configured:
                    self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                    return
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with (
                    contextlib.suppress(OSError),
                    kubelets._tls.wrap_socket(self.request, server_side=True) as tls,
                ):
                    _Node(tls, (kubelets, address), self.server)  # type: ignore[arg-type]

            def _connect(self) -> str:
                first = self.rfile.readline(1024).decode("latin-1").split()
                while self.rfile.readline(1024).strip():
                    pass
                return first[1].rpartition(":")[0] if len(first) == 3 else ""

        return Handler


class _Sockets(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the other side had enough


class _Node(BaseHTTPRequestHandler):
    """One connection to one kubelet; `client_address` holds the kubelets and the node's address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kubelets, address = self.client_address
        status, body = kubelets.answer(address, self.path)  # type: ignore[attr-defined]
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass
