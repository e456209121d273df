"""Hook: the Node worker that runs Lambda functions.

Its script gets our preload as its first line, and its error replies get the error's name: on AWS `errorType` is that
name, and state machines catch and retry by it, while MiniStack calls every error `Runtime.HandlerError`.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

from ..seam import MiniStackMoved, need, replace

HOOK = "lambda worker"
PRELOAD = Path(__file__).with_name("lambda_preload.cjs")
_ERROR_REPLY = 'error: String(err.message || err), trace: err.stack || ""'
_NAMED_REPLY = f'{_ERROR_REPLY}, name: err.name || "Error"'
_MIRRORED = 4_000
_LOG_WAIT_SECONDS = 0.006
_last = threading.local()
_log = logging.getLogger("openledger")


def install() -> None:
    script = need("core.lambda_runtime", "_NODEJS_WORKER_SCRIPT", HOOK)
    if _ERROR_REPLY not in script:
        raise MiniStackMoved(f"hook '{HOOK}': the Node worker no longer replies to an error with `{_ERROR_REPLY}`")
    patched = f"require({json.dumps(str(PRELOAD))});\n" + script.replace(_ERROR_REPLY, _NAMED_REPLY)
    replace("core.lambda_runtime", "_NODEJS_WORKER_SCRIPT", patched, HOOK)

    worker = need("core.lambda_runtime", "Worker", HOOK)
    invoke = worker.invoke

    def remembering_invoke(self, *args, **kwargs):
        response = invoke(self, *args, **kwargs)
        _last.name = response.get("name")
        return response

    worker.invoke = remembering_invoke
    drain = need("core.lambda_runtime", "Worker", HOOK)._drain_stderr_bounded
    # A function that logs nothing would wait 50 ms for its first line. Node writes to a pipe before it goes on, so what
    # was logged lies in the pipe when the answer comes; a few milliseconds let the reading thread fetch it.
    worker._drain_stderr_bounded = lambda self: drain(self, first_line_wait=_LOG_WAIT_SECONDS, idle_confirm=0.002)
    execute = need("services.lambda_svc", "_execute_function_warm", HOOK)

    def named_execute(*args, **kwargs):
        _last.name = None
        result = execute(*args, **kwargs)
        body = result.get("body")
        if result.get("error") and _last.name and body.get("errorType") == "Runtime.HandlerError":
            body["errorType"] = _last.name
        return result

    replace("services.lambda_svc", "_execute_function_warm", named_execute, HOOK)


def mirror_errors() -> None:
    """Failed invocations and error lines also go to the emulator's own log: the file a person looks into first."""
    emit = need("services.lambda_svc", "_emit_lambda_logs", HOOK)

    def mirrored(function, request_id, text, error, duration, **options):
        shown = text if error else "\n".join(line for line in text.splitlines() if '"level":"ERROR"' in line)
        if shown:
            name = (function.get("config") or function).get("FunctionName", "?")
            _log.warning("%s %s\n%s", name, request_id, shown[:_MIRRORED])
        return emit(function, request_id, text, error, duration, **options)

    replace("services.lambda_svc", "_emit_lambda_logs", mirrored, HOOK)
