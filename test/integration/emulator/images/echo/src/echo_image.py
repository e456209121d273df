"""A training and serving image of the tests: small, and the same contract as the real ones.

`train`: what the hyperparameter `mode` says: copy the rows to the model, fail with a reason, or run on until SIGTERM.
`serve`: /ping, and /invocations that echoes, streams, refuses, or ends the process.
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path(os.environ["SAGEMAKER_BASE_DIR"])


def train() -> int:
    parameters = json.loads((BASE / "input/config/hyperparameters.json").read_text())
    print(f"METRIC rows={len(list((BASE / 'input/data/rows').rglob('*.jsonl')))}", flush=True)
    if parameters["mode"] == "fail":
        (BASE / "output/failure").write_text("rows are not rows")
        return 3
    if parameters["mode"] == "wait":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        (BASE / "model/partial.json").write_text("{}")
        time.sleep(60)
    if parameters["mode"] == "slow":
        time.sleep(4)
    for file in (BASE / "input/data/rows").rglob("*.jsonl"):
        (BASE / "model" / file.name).write_text(file.read_text())
    isolated = "AWS_ACCESS_KEY_ID" not in os.environ
    (BASE / "model/seen.json").write_text(json.dumps({"isolated": isolated, "greeting": os.environ["ECHO_GREETING"]}))
    return 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = json.loads(body)
        time.sleep(asked.get("sleep", 0))
        if asked.get("exit"):
            os._exit(1)
        if "status" in asked:
            self._answer(asked["status"], b"no")
        elif asked.get("stream"):
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for index in range(asked["stream"]):
                part = f"data: {index}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
                time.sleep(0.2)
            self.wfile.write(b"0\r\n\r\n")
        else:
            told = self.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")
            self._answer(200, json.dumps({"echo": asked, "attributes": told, "pid": os.getpid()}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> int:
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit({"train": train, "serve": serve}[sys.argv[1]]())
