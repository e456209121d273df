"""SageMaker hosting container: GET /ping, POST /invocations; scores outputs of adapters that it pulls itself."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from . import errors
from .commands import run_command
from .errors import InfluenceError
from .methods import METHODS
from .residency import Residency
from .score import Scorer
from .sources import source_from
from .store import Store

UNIT = 1 << 20
TOP_ROWS = 256
MAX_OUTPUTS = 512
MAX_BODY = 25 * 1024 * 1024  # SageMaker's own limit for a real-time invocation


def _check_request(body) -> tuple[str, list[dict], str, int]:
    """Raises request_invalid that names the field."""
    refuse = lambda field, why: errors.InfluenceError("request_invalid", f"{field}: {why}", 400)
    if not isinstance(body, dict):
        raise refuse("body", "not a JSON object")
    outputs, method, top = body.get("outputs"), body.get("method", "ekfac"), body.get("top", TOP_ROWS)
    if not isinstance(outputs, list) or not 0 < len(outputs) <= MAX_OUTPUTS:
        raise refuse("outputs", f"not a list of 1 to {MAX_OUTPUTS} outputs")
    if method not in METHODS:
        raise refuse("method", f"not one of {', '.join(METHODS)}")
    if not isinstance(top, int) or isinstance(top, bool) or not 0 < top <= 100_000:
        raise refuse("top", "not an integer from 1 to 100000")
    for n, output in enumerate(outputs):
        if not isinstance(output, dict) or not isinstance(output.get("id"), str):
            raise refuse(f"outputs[{n}].id", "not a string")
    return body.get("adapter"), outputs, method, top


def _check_output(output: dict) -> dict:
    ids = lambda name: isinstance(output.get(name), list) and all(
        isinstance(t, int) and not isinstance(t, bool) for t in output[name])
    if "output_tokens" in output:
        if not ids("output_tokens") or not ids("prompt_tokens"):
            raise errors.output_invalid(f"{output['id']}: prompt_tokens and output_tokens must be lists of integers")
        if not output["output_tokens"]:
            raise errors.output_invalid(f"{output['id']}: the completion is empty")
        return {k: output[k] for k in ("id", "prompt_tokens", "output_tokens")}
    if not isinstance(output.get("completion"), str) or not isinstance(output.get("prompt", ""), str):
        raise errors.output_invalid(f"{output['id']}: neither tokens nor prompt and completion")
    return {"id": output["id"], "prompt": output.get("prompt", ""), "completion": output["completion"]}


def top_rows(scores: torch.Tensor, store: Store, count: int) -> list[list]:
    """The `count` rows with the largest |score|, as integers in 2^-20 units; ties in store order; zeros left out.
    A row's influence speaks for the part of it that is its own text (own_part.py); truncated towards zero."""
    weighted = scores.double() * torch.tensor(store.own, dtype=torch.float64)
    order = torch.sort(weighted.abs(), descending=True, stable=True).indices[:count].tolist()
    units = [(store.row_ids[i], own_influence(round(float(scores[i]) * UNIT), store.own[i])) for i in order]
    return [[row, value] for row, value in units if value]


def own_influence(score: int, own: int) -> int:
    return score * own // UNIT if score >= 0 else -(-score * own // UNIT)


def score_one(scorer: Scorer, output: dict, method: str, top: int) -> dict:
    """One entry of `scores`; a bad output gets its error and does not spoil the others."""
    try:
        scored = scorer.score(scorer.sequence(_check_output(output)), method)
    except InfluenceError as refused:
        return {"id": output["id"], "error": refused.as_dict()}
    rows = [] if scored.gated else top_rows(scored.scores, scorer.store, top)
    return {"id": output["id"], "rows": rows, "gated": scored.gated, "loss": round(scored.loss * UNIT)}


def answer(residency: Residency, body) -> dict:
    adapter, outputs, method, top = _check_request(body)
    with residency.lock:
        scorer = residency.scorer(adapter)
        if method not in scorer.store.header["methods"]:
            raise errors.store_mismatch(f"the store holds no {method!r} rows")
        scores = [score_one(scorer, output, method, top) for output in outputs]
    return {"adapter": adapter, "store_digest": scorer.store.digest, "method": method,
            "confidence": scorer.confidence, "quarantined": scorer.quarantined, "scores": scores}


def create_app(residency: Residency) -> FastAPI:
    app, registry = FastAPI(openapi_url=None), CollectorRegistry()
    requests = Counter("influence_requests_total", "Invocations by outcome", ["code"], registry=registry)
    seconds = Histogram("influence_seconds", "Seconds of an invocation", registry=registry)

    @app.get("/ping")
    def ping() -> dict:
        return {"status": "ok", "base": residency.base_id, "adapters": residency.loaded()}

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.post("/invocations")
    async def invocations(request: Request) -> JSONResponse:
        from fastapi.concurrency import run_in_threadpool

        started = time.monotonic()
        try:
            raw = await request.body()
            if len(raw) > MAX_BODY:
                raise errors.InfluenceError("request_too_large", f"body: more than {MAX_BODY} bytes", 413)
            try:
                body = await request.json()
            except (ValueError, RecursionError):
                raise errors.InfluenceError("request_invalid", "body: not JSON", 400) from None
            reply = await run_in_threadpool(answer, residency, body)
        except InfluenceError as refused:
            requests.labels(refused.code).inc()
            return JSONResponse({"error": refused.as_dict()}, refused.status)
        requests.labels("ok").inc()
        seconds.observe(time.monotonic() - started)
        return JSONResponse(reply)

    return app


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="influence serve", description="Influence endpoint (SageMaker container).")
    port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    parser.add_argument("--models", default=os.environ.get("MODELS_URI"), help="s3://bucket/ or a folder (MODELS_URI)")
    parser.add_argument("--base-id", default=os.environ.get("BASE_ID"), help="folder under bases/ (BASE_ID)")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--cache", type=Path, default=None, help="folder for pulled adapters (default: a temporary one)")
    args = parser.parse_args([a for a in argv if a != "serve"])  # SageMaker starts containers with the word `serve`
    if not args.models or not args.base_id:
        parser.error("MODELS_URI and BASE_ID (or --models and --base-id) are required")
    import uvicorn

    device = "cuda" if torch.cuda.is_available() else "cpu"
    cache = args.cache or Path(tempfile.mkdtemp(prefix="influence-"))
    budget = int(os.environ.get("ADAPTER_CACHE_BYTES", "2000000000"))
    residency = Residency(source_from(args.models, cache), args.base_id, budget, device)
    uvicorn.run(create_app(residency), host=args.host, port=args.port, log_level="warning")


if __name__ == "__main__":
    run_command(main, sys.argv[1:])
