"""A server that speaks as vLLM's OpenAI server does (`vllm serve`): the wire format and messages of its source, no model.

Its tokens are a function of (adapter name, prompt), so that a test can tell whose answer it got. `/seen` tells what it saw.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

EOS = 1


def tokens_of(model: str, prompt: list[int], count: int) -> list[int]:
    seed = sum(model.encode()) + sum(prompt)
    return [2 + (seed * 31 + 17 * index) % 300 for index in range(count)]


def make_app(arguments: list[str]) -> FastAPI:
    app = FastAPI()
    seen = {"arguments": arguments, "env": os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING"), "bodies": [], "loads": [], "unloads": [], "aborted": 0}
    loras: dict[str, str] = {}
    running = 0

    def error(status: int, message: str, kind: str) -> Response:
        return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": status}}, status)

    @app.get("/health")
    async def health() -> Response:
        return Response()

    @app.get("/v1/models")
    async def models() -> dict:
        base = [{"id": "base", "object": "model", "root": "x", "parent": None, "max_model_len": 192}]
        return {"object": "list", "data": base + [{"id": name, "object": "model", "parent": "base"} for name in loras]}

    @app.get("/metrics")
    async def metrics() -> Response:
        return PlainTextResponse(
            "# HELP vllm:num_requests_running Number of requests in model execution batches.\n# TYPE vllm:num_requests_running gauge\n"
            f'vllm:num_requests_running{{engine="0",model_name="base"}} {float(running)}\n'
            'vllm:kv_cache_usage_perc{engine="0",model_name="base"} 0.25\nvllm:prefix_cache_hits_total{engine="0",model_name="base"} 64.0\n'
        )

    @app.get("/seen")
    async def look() -> dict:
        return {**seen, "loras": loras, "running": running}

    @app.post("/restart")
    async def restart() -> None:
        loras.clear()

    @app.post("/v1/load_lora_adapter")
    async def load(request: Request) -> Response:
        body = await request.json()
        name, path = body["lora_name"], body["lora_path"]
        seen["loads"].append([name, path])
        if name in loras:
            return error(400, f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.", "InvalidUserInput")
        config = json.loads(open(f"{path}/adapter_config.json").read())
        if "lm_head" in config["target_modules"]:
            return error(500, "Call to add_lora method failed: base_model.model.lm_head is unsupported LoRA weight", "InternalServerError")
        loras[name] = path
        return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")

    @app.post("/v1/unload_lora_adapter")
    async def unload(request: Request) -> Response:
        name = (await request.json())["lora_name"]
        seen["unloads"].append(name)
        if loras.pop(name, None) is None:
            return error(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
        return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")

    @app.post("/v1/completions")
    async def complete(request: Request) -> Response:
        body = await request.json()
        seen["bodies"].append(body)
        if body["model"] not in (*loras, "base"):
            return error(404, f"The model `{body['model']}` does not exist.", "NotFoundError")
        return StreamingResponse(stream(body), media_type="text/event-stream")

    async def stream(body: dict):
        nonlocal running
        running += 1
        whole = False
        try:
            out, best = tokens_of(body["model"], body["prompt"], body["max_tokens"]), body.get("logprobs")
            if body["prompt"][0] == 7 and not body["ignore_eos"]:
                out = [*out[:3], EOS]
            for at in range(0, len(out), 2):  # two tokens a chunk, as with --stream-interval or speculation
                delta, last = out[at : at + 2], at + 2 >= len(out)
                logprobs = None
                if best is not None:
                    top = [{f"token_id:{token}": -0.5, **{f"token_id:{300 + rank}": -0.1 * (rank + 1) for rank in range(best)}} for token in delta]
                    logprobs = {"text_offset": [0] * len(delta), "token_logprobs": [-0.5] * len(delta), "tokens": [f"token_id:{token}" for token in delta], "top_logprobs": top}
                finish = None if not last else "stop" if delta[-1] == EOS else "length"
                choice = {"index": 0, "text": "\u2028\n漢", "logprobs": logprobs, "finish_reason": finish, "stop_reason": None, "prompt_token_ids": body["prompt"] if not at else None, "token_ids": delta}
                chunk = {"id": "cmpl-1", "object": "text_completion", "created": int(time.time()), "model": body["model"], "choices": [choice], "usage": None}
                yield f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
                await asyncio.sleep(0.02 if body["max_tokens"] > 100 else 0)
            yield b"data: [DONE]\n\n"
            whole = True
        finally:
            running -= 1
            seen["aborted"] += not whole

    return app


if __name__ == "__main__":
    words = sys.argv[1:]
    port = int(words[words.index("--port") + 1])
    uvicorn.run(make_app(words), host=words[words.index("--host") + 1], port=port, log_level="error")
