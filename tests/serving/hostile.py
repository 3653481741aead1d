"""Servers that answer what nobody should."""

import contextlib
import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

GOOD = {"keypoints": [[[1.0, 2.0]] * 14], "scores": [[0.5] * 14], "error": [""]}


class Web:
    """A web server whose every request `answer(handler)` answers; tells what it was sent."""

    def __init__(self, answer, tls=None):
        self.headers, web = [], self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                web.headers.append(dict(self.headers))
                with contextlib.suppress(OSError):
                    answer(self)

            do_GET = do_POST

            def log_message(self, *_):
                """Says nothing."""

        self.handler = Handler
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None
        self._server.daemon_threads = True
        self.place = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def reply(content, status=200, **headers):
    """An `answer` of `Web`: bytes, or what is JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()

    def answer(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


class Certificates:
    """An authority, and certificates that it signed for "server" and "user", as PEM files."""

    def __init__(self, folder):
        self._folder = folder
        self._make("authority", "-x509", "-subj", "/CN=authority")
        for name in ("server", "user"):
            signed = ("-CA", self["authority.pem"], "-CAkey", self["authority.key"])
            extra = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
            self._make(name, "-x509", "-subj", f"/CN={name}", *signed, *extra)

    def _make(self, name, *arguments):
        files = ("-keyout", self[f"{name}.key"], "-out", self[f"{name}.pem"])
        command = ("openssl", "req", "-nodes", "-newkey", "rsa:2048", "-days", "2", *files)
        try:
            subprocess.run([*command, *arguments], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs OpenSSL 3 to make certificates")

    def __getitem__(self, name):
        return str(self._folder / name)

    def of_server(self):
        """The context of a server that asks its clients who they are."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self["server.pem"], self["server.key"])
        tls.load_verify_locations(self["authority.pem"])
        tls.verify_mode = ssl.CERT_REQUIRED
        return tls

    def of_user(self):
        """The arguments of a `Client` that such a server takes."""
        return {
            "authority": self["authority.pem"],
            "identity": (self["user.pem"], self["user.key"]),
            "headers": {"Authorization": "Bearer secret"},
        }
