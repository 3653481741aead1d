"""A client over REST, and servers that mean it no good."""

import contextlib
import gzip
import socket
import threading
import time

import numpy as np
import pytest

import keras_cpm
from tests.serving.hostile import GOOD, Certificates, Web, reply

SPEC = keras_cpm.PoseSpec(box_size=64)


def asked(web, *, scheme="http", images=1, **options):
    """What a client of a server finds."""
    client = keras_cpm.Client(f"{scheme}://{web.place}", SPEC, **{"retries": 0, **options})
    with contextlib.closing(client):
        return client.predict_many([b"photograph"] * images)


def refused(answer, match, **options):
    """A server's answer is one sentence, clean and of one line, which is returned."""
    with Web(answer) as web, pytest.raises(ConnectionError, match=match) as error:
        asked(web, **options)
    said = str(error.value)
    assert said.startswith(f"The server at http://{web.place} ") and said.isprintable()
    assert len(said) < 600
    return web


def test_an_answer_that_fits_is_taken():
    with Web(reply({"outputs": GOOD})) as web:
        (pose,) = asked(web)
    np.testing.assert_array_equal(pose.keypoints, GOOD["keypoints"][0])
    np.testing.assert_array_equal(pose.scores, np.float32(GOOD["scores"][0]))
    assert web.headers[0]["Accept-Encoding"] == "identity"


def test_one_row_for_three_photographs_is_no_answer():
    refused(reply({"outputs": GOOD}), r"\(3, 14, 2\). Received: \(1, 14, 2\)", images=3)


def test_three_parts_for_fourteen_are_no_answer():
    outputs = {"keypoints": [[[1, 2]] * 3], "scores": [[1] * 3], "error": [""]}
    refused(reply({"outputs": outputs}), r"\(1, 14, 2\). Received: \(1, 3, 2\)")


@pytest.mark.parametrize(
    "content",
    [
        *([1], "outputs", None, 3, {}),
        *({"outputs": None}, {"outputs": [1]}, {"outputs": "x"}),
        *(b"", b"<html>please log in</html>", b"[" * 200_000, b"\xff\xfe"),
        b'{"outputs":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
    ids=lambda content: str(content)[:20],
)
def test_no_json_of_a_server_is_no_answer(content):
    refused(reply(content), "does not answer in the JSON of TensorFlow Serving")


def test_what_a_server_says_is_said_without_its_control_characters():
    refused(reply({"error": "\x1b]0;mine\x07no\nmodel"}, 404), "says 404: ]0;mine no model$")
    refused(reply(b"\x1b[2Jbroken", 500), r"says 500: \[2Jbroken$")
    refused(reply(b"<html>\x1b[2J", 401), r"says 401: Unauthorized$")
    refused(reply(b"\x1b[2J<html>"), "but: .2J<html>$")
    refused(reply(b"", 302, Location="http://a/\x1b[2J"), "on to http://a/ .2J, which")
    outputs = {**GOOD, "error": ["\x1b[31mred"]}
    with Web(reply({"outputs": outputs})) as web:
        (error,) = asked(web)
    assert str(error) == "The server refused it: [31mred."


def test_a_redirect_is_not_followed():
    with Web(reply({"outputs": GOOD})) as other:
        for status in (301, 302, 303, 307, 308):
            elsewhere = reply({}, status, Location=f"http://{other.place}/")
            refused(elsewhere, f"on to http://{other.place}/, which is not followed")
    assert other.headers == []


def test_a_packed_reply_is_not_unpacked():
    packed = gzip.compress(bytes(1 << 20))
    refused(reply(packed, Content_Encoding="gzip"), "packs its reply")


@pytest.mark.parametrize("said", ["length", "chunks", "nothing"])
def test_a_reply_without_end_is_not_read_to_it(said):
    sent = []

    def answer(handler):
        handler.send_response(200)
        if said == "length":
            handler.send_header("Content-Length", str(1 << 40))
        elif said == "chunks":
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        block = b" " * 0x10000
        for _ in range(1600):
            handler.wfile.write(b"10000\r\n" + block + b"\r\n" if said == "chunks" else block)
            sent.append(len(block))

    refused(answer, "sends more than 2 MB")
    # what is on its way when the client hangs up
    assert sum(sent) < 50 << 20


def dripped(handler, pieces):
    """Sends a piece at a time, each well before a client's patience ends, all long after."""
    for piece in pieces:
        handler.wfile.write(piece)
        handler.wfile.flush()
        time.sleep(0.1)


def slow_headers(handler):
    lines = (b"X-%d: 1\r\n" % number for number in range(90))
    dripped(handler, [b"HTTP/1.1 200 OK\r\n", *lines, b"Content-Length: 0\r\n\r\n"])


def slow_reply(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "90")
    handler.end_headers()
    dripped(handler, [b" "] * 90)


def for_ever_soon(handler):
    dripped(handler, [b"HTTP/1.1 100 Continue\r\n\r\n"] * 90)


@pytest.mark.parametrize("answer", [slow_headers, slow_reply, for_ever_soon])
def test_one_deadline_is_over_all(answer):
    refused(answer, "gives no answer within 0.5 s; give a longer `timeout`", timeout=0.5)


def test_a_server_does_not_say_how_long_it_is_waited_for():
    web = refused(
        reply({"error": "busy"}, 503, Retry_After="3600"), "says 503: busy", retries=2, timeout=9
    )
    assert len(web.headers) == 3
    # the third try would come after the end
    web = refused(reply({"error": "busy"}, 429), "says 429: busy", retries=9, timeout=0.5)
    assert len(web.headers) <= 2


def test_half_a_reply_is_none():
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"outputs": {}}')
        handler.close_connection = True

    refused(answer, "does not answer: IncompleteRead")


def test_connections_are_kept_and_taken_anew():
    made, hang_up = set(), reply({"outputs": GOOD})

    def answer(handler):
        made.add(handler.client_address)
        hang_up(handler)
        # without a word, as servers do after a while
        handler.close_connection = len(made) == 1 and handler.close_after

    with Web(answer) as web:
        client = keras_cpm.Client(f"http://{web.place}", SPEC, retries=0)
        for close_after, connections in ((False, 1), (False, 1), (True, 1), (False, 2)):
            web.handler.close_after = close_after
            client(b"photograph")
            assert len(made) == connections
        client.close()
    assert len(web.headers) == 4


def test_who_says_no_before_all_has_come_is_heard():
    def answer(handler):
        reply({"error": "too large"}, 413)(handler)
        handler.close_connection = True

    refused(answer, "says 413: too large")


def test_tls_and_credentials(tmp_path):
    certificates = Certificates(tmp_path)
    with Web(reply({"outputs": GOOD}), certificates.of_server()) as web:
        (pose,) = asked(web, scheme="https", **certificates.of_user())
        assert pose.keypoints.shape == (14, 2)
        assert web.headers[-1]["Authorization"] == "Bearer secret"
        # the system knows nothing of this authority
        with pytest.raises(ConnectionError, match=r"does not answer: .*self.signed certificate"):
            asked(web, scheme="https")
        with pytest.raises(ConnectionError, match="does not answer"):
            asked(web, scheme="https", authority=certificates["authority.pem"])
        with pytest.raises(ConnectionError, match="does not answer"):
            asked(web)
    assert len(web.headers) == 1


def test_a_greeting_without_end_ends_at_the_deadline():
    """A TLS record that comes byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), connection:
                for byte in b"\x16\x03\x03\x40\0" + bytes(90):
                    connection.sendall(bytes([byte]))
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        client = keras_cpm.Client(
            f"https://127.0.0.1:{listener.getsockname()[1]}", SPEC, timeout=0.5
        )
        with pytest.raises(ConnectionError, match=r"within 0\.5 s"):
            client(b"photograph")
