"""A server over REST: one POST a request, with nothing but Python's own library.

No redirect is followed, for a photograph travels to the server that was named and to no other, and
no packed reply is read, so that a reply is as large as it looks. Proxies of the environment are not
used.
"""

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
import time
from urllib.parse import quote

import numpy as np

from .answer import NAMES, Busy, Unfit, clean, left

_BUSY = (429, 502, 503, 504)


class OverRest:
    """One server; threads may share it.

    Args:
        place: `urllib.parse.SplitResult` of the server's address.
        model: its name on the server.
        headers: dict, sent with every request.
        reply_bytes: a longer reply is refused.
        tls: what `trust` returns, or `None` without TLS.
    """

    def __init__(self, place, model, headers, reply_bytes, tls):
        self._tls = tls
        self._host, self._port = place.hostname, place.port or (443 if tls else 80)
        self._path = f"{quote(place.path.rstrip('/'))}/v1/models/{quote(model, safe='')}:predict"
        own = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._headers, self._reply_bytes = {**own, **headers}, reply_bytes
        self._kept = []

    def ask(self, signature, data, boxes, deadline):
        """One request.

        Args:
            signature: its name.
            data: list of bytes of image files.
            boxes: (N, 4) float32, or `None`.
            deadline: moment of `time.monotonic()` at which it ends, wherever it is.

        Returns:
            dict of name -> array of objects, not checked.

        Raises:
            Busy: the server may be asked again.
            TimeoutError: at the deadline.
            ConnectionError, Unfit: it does not answer, or answers otherwise than a server of poses.
        """
        inputs = {"image": [{"b64": base64.b64encode(one).decode()} for one in data]}
        if boxes is not None:
            inputs["box"] = boxes.tolist()
        body = {"signature_name": signature, "inputs": inputs}
        try:
            status, phrase, content = self._exchange(json.dumps(body).encode(), deadline)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
                raise TimeoutError from None
            lasting = isinstance(error, ssl.SSLError) or not isinstance(error, OSError)
            kind = ConnectionError if lasting else Busy
            raise kind(f"does not answer: {clean(error) or type(error).__name__}") from None
        if status != 200:
            kind = Busy if status in _BUSY else ConnectionError
            raise kind(f"says {status}: {_reason(content) or clean(phrase)}")
        return _outputs(content)

    def close(self):
        """Ends the connections that are kept."""
        while self._kept:
            self._kept.pop().close()

    def _exchange(self, body, deadline):
        try:
            connection = self._kept.pop()
        except IndexError:
            return self._send(self._connect(deadline), body, deadline)
        # a server may end a kept connection at any time, and is then asked on a new one
        with contextlib.suppress(ConnectionResetError, ConnectionAbortedError, BrokenPipeError):
            return self._send(connection, body, deadline)
        return self._send(self._connect(deadline), body, deadline)

    def _connect(self, deadline):
        connection = http.client.HTTPConnection(self._host, self._port)
        raw = _reached(self._host, self._port, deadline)
        connection.sock = raw
        if self._tls is not None:
            connection.sock = self._tls.wrap_socket(
                raw, server_hostname=self._host, do_handshake_on_connect=False
            )
            try:
                with _ended_at(deadline, connection.sock):
                    connection.sock.do_handshake()
            except BaseException:
                connection.close()
                raise
        return connection

    def _send(self, connection, body, deadline):
        keep = False
        try:
            with _ended_at(deadline, connection.sock):
                # who refuses a request may answer before all of it has come
                with contextlib.suppress(BrokenPipeError):
                    connection.request("POST", self._path, body, self._headers)
                reply = connection.getresponse()
                content = self._content(reply)
            keep = not reply.will_close
        finally:
            if keep:
                self._kept.append(connection)
            else:
                connection.close()
        return reply.status, reply.reason, content

    def _content(self, reply):
        if reply.getheader("Content-Encoding", "identity").lower() != "identity":
            raise Unfit("packs its reply, which was not asked for")
        if 300 <= reply.status < 400:
            target = clean(reply.getheader("Location", "nowhere"))
            raise Unfit(f"sends this client on to {target}, which is not followed; check `url`")
        content = reply.read(self._reply_bytes + 1)
        if len(content) > self._reply_bytes:
            raise Unfit(f"sends more than {self._reply_bytes >> 20} MB, where no answer is so long")
        if reply.length:
            raise http.client.IncompleteRead(b"", reply.length)
        return content


def trust(authority, identity):
    """Whom a client with TLS believes, and who it is.

    Args:
        authority: path of a PEM file with the authorities to trust, or `None` for the system's.
        identity: paths of the certificate and the key of this client, PEM, or `None`.

    Returns:
        `ssl.SSLContext`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that holds no certificate or key.
    """
    for path in filter(None, (authority, *(identity or ()))):
        if not os.path.isfile(path):
            raise FileNotFoundError(f"There is no PEM file at {path}; check the path.")
    try:
        tls = ssl.create_default_context(cafile=authority)
        if identity:
            # with a password, so that nobody is asked for one on the terminal
            tls.load_cert_chain(*identity, password="")
    except ssl.SSLError as error:
        raise ValueError(
            "`authority` and `identity` must be PEM files, a key without a password. Received: "
            f"{authority}, {identity}; OpenSSL says: {clean(error)}"
        ) from None
    return tls


def _reached(host, port, deadline):
    """A socket to the first address of `host` that takes it."""
    failure = OSError("it has no address")
    for *kind, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        raw = None
        try:
            # a kind that this machine does not have fails here
            raw = socket.socket(*kind)
            raw.settimeout(left(deadline))
            raw.connect(address)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return raw
        except OSError as error:
            failure = error
            if raw is not None:
                raw.close()
    raise failure


@contextlib.contextmanager
def _ended_at(deadline, connected):
    """Ends a connection at the deadline, for its own timeout begins anew with every byte."""

    def end():
        with contextlib.suppress(OSError):
            # not that of TLS, which would change what another thread is reading from
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    connected.settimeout(left(deadline))
    watch = threading.Timer(left(deadline), end)
    watch.daemon = True
    watch.start()
    try:
        yield
        # what was cut off by that may look whole
        left(deadline)
    finally:
        watch.cancel()


def _parsed(content):
    """The object that the JSON holds, or `None`."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _reason(content):
    found = _parsed(content)
    if found and "error" in found:
        return clean(found["error"])
    # a page for people says no more than the status
    return "" if content.lstrip().startswith(b"<") else clean(content.decode("utf-8", "replace"))


def _outputs(content):
    outputs = (_parsed(content) or {}).get("outputs")
    if not isinstance(outputs, dict):
        said = clean(content[:2000].decode("utf-8", "replace"))
        raise Unfit(f"does not answer in the JSON of TensorFlow Serving, but: {said or 'nothing'}")
    # as objects, for numpy would make any text as long as the longest
    return {name: np.asarray(outputs[name], object) for name in NAMES if name in outputs}
