"""Uploads of a folder that a training goes on writing to."""

from __future__ import annotations

import base64
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@pytest.fixture
def s3():
    """A door that takes PutObject and refuses a body that its checksum does not fit; yields (URL, body by path)."""
    taken: dict[str, bytes] = {}

    class Door(BaseHTTPRequestHandler):
        def do_PUT(self):  # noqa: N802
            body = self.rfile.read(int(self.headers["content-length"]))
            if base64.b64decode(self.headers["x-amz-checksum-crc32"]) == zlib.crc32(body).to_bytes(4, "big"):
                taken[self.path] = body
                self.send_response(200)
            else:
                self.send_response(400)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()


def test_a_file_that_changes_while_it_is_sent_goes_as_it_was_and_one_that_is_gone_does_not(s3, tmp_path, service):
    from openledger_emulator.sagemaker.storage import Storage

    url, taken = s3
    storage = Storage(url, "us-east-1", dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "test"))
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"first")

    def meanwhile(**_):
        """The training goes on when the checksum is computed and nothing is sent yet."""
        (tmp_path / "a").write_bytes(b"second, and longer")
        (tmp_path / "b").unlink(missing_ok=True)

    storage._s3.meta.events.register("before-sign.s3.PutObject", meanwhile)
    assert storage.upload_folder(tmp_path, "s3://bucket/checkpoints", changing=True) == 1
    assert taken == {"/bucket/checkpoints/a": b"first"}
