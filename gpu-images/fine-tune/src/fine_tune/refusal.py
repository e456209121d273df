"""Why a training cannot go on, in words that the builder of a recipe can act on."""

from pathlib import Path

# SageMaker shows the first 1,024 characters of output/failure as FailureReason
# (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html).
REASON_LIMIT = 1024


class Refusal(Exception):
    """A failure with a stable code; `str()` is `code: detail`."""

    def __init__(self, code: str, detail: str):
        super().__init__(f"{code}: {detail}")
        self.code = code


class Interrupted(BaseException):
    """SIGTERM came: what is saved is where the same job goes on when it is started again. No `except Exception` keeps it."""


def write_failure(root: Path, reason: str) -> None:
    """Write output/failure, whole characters within the limit."""
    folder = root / "output"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failure").write_text(reason[:REASON_LIMIT], encoding="utf-8", errors="backslashreplace")
