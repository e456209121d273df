"""Typed errors with stable codes; the server maps them to HTTP statuses, the CLI prints them."""


class InfluenceError(Exception):
    """An expected refusal. `code` is stable and public, `status` is the HTTP status of the endpoint."""

    def __init__(self, code: str, message: str, status: int = 422):
        super().__init__(message)
        self.code = f"influence.{code}"
        self.message = message
        self.status = status

    def as_dict(self) -> dict:
        return {"code": self.code, "message": self.message}


def adapter_unsupported(reason: str) -> InfluenceError:
    return InfluenceError("adapter_unsupported", reason)


def adapter_invalid(reason: str) -> InfluenceError:
    return InfluenceError("adapter_invalid", reason)


def rows_invalid(reason: str) -> InfluenceError:
    return InfluenceError("rows_invalid", reason)


def output_invalid(reason: str) -> InfluenceError:
    return InfluenceError("output_invalid", reason)


def gradient_not_finite(who: str) -> InfluenceError:
    return InfluenceError("gradient_not_finite", f"{who}: the loss or its gradient is not a finite number, or too large to be squared")


def store_corrupt(reason: str) -> InfluenceError:
    return InfluenceError("store_corrupt", reason)


def store_mismatch(reason: str) -> InfluenceError:
    return InfluenceError("store_mismatch", reason, 409)


def fit_in_progress(out: str) -> InfluenceError:
    return InfluenceError("fit_in_progress", f"another fit is writing {out}", 409)


def out_occupied(out: str) -> InfluenceError:
    return InfluenceError("out_occupied", f"{out} holds something that is no influence store: give another folder", 409)


def not_found(reason: str) -> InfluenceError:
    return InfluenceError("not_found", reason, 404)


def base_invalid(reason: str) -> InfluenceError:
    return InfluenceError("base_invalid", reason)
