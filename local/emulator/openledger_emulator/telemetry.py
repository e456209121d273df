"""What SageMaker tells the rest of AWS: lines to CloudWatch Logs and state changes to EventBridge."""

from __future__ import annotations

import json
import logging
import threading
import time

from .seam import need

_HOOK = "telemetry"
_log = logging.getLogger("openledger")


class LogStream:
    """One CloudWatch Logs stream. Lines go out in batches, so that a chatty process does not stall on the lock."""

    def __init__(self, account: str, region: str, group: str, stream: str):
        self._scope = need("core.responses", "request_scope", _HOOK)
        self._account, self._region, self._group, self._stream = account, region, group, stream
        self._lock = threading.Lock()
        self._last: list[str] = []
        with self._scope(account, region):
            # Both answer "already exists" when they do: that is fine, and why no result is read.
            need("services.cloudwatch_logs", "_create_log_group", _HOOK)({"logGroupName": group})
            need("services.cloudwatch_logs", "_create_log_stream", _HOOK)(
                {"logGroupName": group, "logStreamName": stream}
            )

    def write(self, line: str) -> None:
        """Append one line. CloudWatch refuses empty messages, so an empty line is left out."""
        if not line:
            return
        with self._lock, self._scope(self._account, self._region):
            self._last = [*self._last[-19:], line]
            need("services.cloudwatch_logs", "_put_log_events", _HOOK)(
                {
                    "logGroupName": self._group,
                    "logStreamName": self._stream,
                    "logEvents": [{"timestamp": int(time.time() * 1000), "message": line[:262_118]}],
                }
            )

    def tail(self, characters: int = 700) -> str:
        """The end of the last lines, for a failure reason: the error itself stands at the end of a traceback."""
        return "\n".join(self._last)[-characters:]


def publish(account: str, region: str, detail_type: str, detail: dict, resource: str) -> None:
    """Put an `aws.sagemaker` event on the default bus. Delivery is best effort, as on AWS."""
    try:
        with need("core.responses", "request_scope", _HOOK)(account, region):
            need("services.eventbridge", "_put_events", _HOOK)(
                {
                    "Entries": [
                        {
                            "Source": "aws.sagemaker",
                            "DetailType": detail_type,
                            "Detail": json.dumps(detail, default=str),
                            "Resources": [resource],
                        }
                    ]
                },
                allow_aws_source=True,
            )
    except Exception:
        _log.warning("no %s event for %s", detail_type, resource, exc_info=True)
