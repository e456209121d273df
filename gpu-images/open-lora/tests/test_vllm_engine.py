"""VllmEngine against a server that speaks vLLM's wire format; no GPU is needed."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import stat
import sys
from pathlib import Path

import httpx
import pytest
from fake_vllm import EOS, tokens_of
from safetensors.torch import load_file, save_file

from open_lora.assembly import assemble
from open_lora.engine_port import GenerationRequest, SamplingParameters
from open_lora.refusals import Refusal
from open_lora.settings import read_settings
from open_lora.vllm_engine.admission import Admission
from open_lora.vllm_engine.server import attach
from open_lora.vllm_engine.wire import metrics_of, server_sent, token_events


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """A folder with a `vllm` command."""
    path = tmp_path_factory.mktemp("bin") / "vllm"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).parent / "fake_vllm.py"}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path.parent


@pytest.fixture
def server(llama, tmp_path, program, monkeypatch):
    """(assembled server over a folder of its own, the fake's URL)"""
    shutil.copytree(llama / "base", tmp_path / "base")
    for name in ("r4-all", "r8-qv", "r8-all"):
        shutil.copytree(llama / "adapters" / name, tmp_path / "adapters" / name)
    monkeypatch.setenv("PATH", str(program), prepend=":")
    words = ["--base", f"{tmp_path}/base", "--adapters", f"{tmp_path}/adapters", "--port", "0", "--engine", "vllm", "--vllm-adapters", "2", "--max-batch", "2", "--max-rank", "48"]
    assembled = assemble(read_settings(words, {}))
    yield assembled, assembled.summary["vllm"]
    assembled.engine.close()
    assert assembled.engine.server.process.poll() is not None


def seen(url: str) -> dict:
    return httpx.get(f"{url}/seen").json()


def key_of(engine, name: str) -> str:
    return next(row["key"] for row in engine.residency() if row["adapter"] == name)


async def tokens(engine, name: str | None, prompt: list[int], **parameters) -> list:
    lease = await engine.acquire(name) if name else None
    request = GenerationRequest(prompt, SamplingParameters(**({"max_tokens": 5} | parameters)), lease.adapter if lease else None, "r1")
    try:
        return [event async for event in engine.generate(request)]
    finally:
        if lease:
            lease.release()


def test_the_whole_way_from_the_openai_route(server, tmp_path):
    assembled, url = server

    async def run():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(assembled.app), base_url="http://x") as client:
            body = {"model": "r4-all", "prompt": [5, 6, 8], "max_tokens": 5, "temperature": 0, "logprobs": 2, "openledger": {"transcript": True}}
            first, second = [await client.post("/v1/completions", json=body) for _ in range(2)]
            base = await client.post("/v1/completions", json=body | {"model": "base"})
            return first.json(), second.json(), base.json(), (await client.get("/metrics")).text, (await client.get("/ping")).status_code

    first, second, base, metrics, ping = asyncio.run(run())
    look = seen(url)
    key = key_of(assembled.engine, "r4-all")
    assert len(key) == 32 and look["loads"] == [[key, f"{tmp_path}/adapters/r4-all"]]  # once, by digest
    assert [token["id"] for token in first["openledger"]["output_tokens"]] == tokens_of(key, [5, 6, 8], 5)
    assert [token["id"] for token in base["openledger"]["output_tokens"]] == tokens_of("base", [5, 6, 8], 5)
    assert (first["openledger"]["found"], second["openledger"]["found"]) == ("disk", "device")
    assert first["choices"][0]["logprobs"]["token_logprobs"] == [-0.5] * 5
    assert all(len(top) <= 2 for top in first["choices"][0]["logprobs"]["top_logprobs"])
    assert 'openlora_adapter_found_total{tier="disk"} 1.0' in metrics and ping == 200
    words = look["arguments"]
    assert words[0] == "serve" and look["env"] == "True" and words[words.index("--host") + 1] == "127.0.0.1"
    for flag, value in (("--max-loras", "2"), ("--max-cpu-loras", "2"), ("--max-lora-rank", "64"), ("--generation-config", "vllm")):
        assert words[words.index(flag) + 1] == value


def test_sampling_parameters_reach_vllm_and_no_default_of_its_own_does(server):
    assembled, url = server
    asyncio.run(tokens(assembled.engine, None, [5], temperature=0.7, top_p=0.9, top_k=4, seed=3, logit_bias={9: 2.0}, frequency_penalty=1, ignore_eos=True))
    body = seen(url)["bodies"][-1]
    wanted = {"temperature": 0.7, "top_p": 0.9, "top_k": 4, "seed": 3, "logit_bias": {"9": 2.0}, "frequency_penalty": 1, "ignore_eos": True}
    assert {name: body[name] for name in wanted} == wanted
    assert body["return_token_ids"] and body["repetition_penalty"] == 1 and body["min_p"] == 0 and "logprobs" not in body


def test_the_end_token_ends_it(server):
    events = asyncio.run(tokens(server[0].engine, "r8-qv", [7, 8], max_tokens=50))
    assert events[-1].token == EOS and [event.finish for event in events] == [None, None, None, "stop"]


def test_closing_the_stream_aborts_at_vllm_and_frees_the_slot(server):
    assembled, url = server
    engine = assembled.engine

    async def run():
        lease = await engine.acquire("r4-all")
        stream = engine.generate(GenerationRequest([5], SamplingParameters(180), lease.adapter))
        await anext(stream)
        assert engine.stats()["running"] == 1
        await stream.aclose()
        assert engine.stats()["running"] == 0 and engine.stats()["cancelled"] == 1
        for _ in range(100):
            if not (await asyncio.to_thread(seen, url))["running"]:
                return
            await asyncio.sleep(0.02)

    asyncio.run(run())
    assert (seen(url)["running"], seen(url)["aborted"]) == (0, 1)


def test_new_content_under_a_name_is_another_adapter_for_vllm(server, llama, tmp_path):
    assembled, url = server
    engine = assembled.engine

    async def run():
        before = await tokens(engine, "r4-all", [5])
        old = key_of(engine, "r4-all")
        shutil.copytree(llama / "adapters" / "r8-all", tmp_path / "adapters" / "r4-all", dirs_exist_ok=True)
        return old, before, await tokens(engine, "r4-all", [5])

    old, before, after = asyncio.run(run())
    new = seen(url)["loads"][-1][0]
    assert old != new
    assert [e.token for e in before] == tokens_of(old, [5], 5) and [e.token for e in after] == tokens_of(new, [5], 5)


def test_room_for_two_unloads_the_idle_one_and_waits_for_leases(server):
    assembled, url = server
    engine = assembled.engine

    async def run():
        first, second = await engine.acquire("r4-all"), await engine.acquire("r8-qv")
        with pytest.raises(Refusal) as refused:
            await engine.acquire("r8-all")
        second.release()
        third = await engine.acquire("r8-all")
        unloaded = await engine.unload("r4-all") if first.release() is None else None
        third.release()
        again = await tokens(engine, "r8-qv", [5])
        return refused.value.code, second.adapter.key, first.adapter.key, unloaded, again

    code, second, first, unloaded, again = asyncio.run(run())
    look = seen(url)
    assert code == "no_adapter_capacity" and unloaded and set(look["unloads"]) >= {first, second}
    assert first not in look["loras"] and len(look["loras"]) <= 2
    assert [event.token for event in again] == tokens_of(second, [5], 5)


def test_what_is_refused_never_reaches_vllm_and_what_vllm_refuses_has_a_code(server, tmp_path):
    assembled, url = server
    broken = tmp_path / "adapters" / "r8-all" / "adapter_model.safetensors"
    weights = load_file(broken)
    next(iter(weights.values()))[0, 0] = math.nan
    save_file(weights, broken)
    config = tmp_path / "adapters" / "r8-qv" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"target_modules": ["q_proj", "v_proj", "lm_head"]}))
    for name, code in (("r8-all", "adapter_not_finite"), ("r8-qv", "adapter_unsupported"), ("nobody", "model_not_found"), ("../x", "invalid_adapter_name")):
        with pytest.raises(Refusal) as refused:
            asyncio.run(tokens(assembled.engine, name, [5]))
        assert refused.value.code == code
    assert len(seen(url)["loads"]) == 1 and seen(url)["bodies"] == []


def test_an_adapter_that_vllm_lost_is_loaded_anew(server):
    assembled, url = server

    async def run():
        await tokens(assembled.engine, "r4-all", [5])
        await asyncio.to_thread(httpx.post, f"{url}/restart")
        with pytest.raises(Refusal) as refused:
            await tokens(assembled.engine, "r4-all", [5])
        return refused.value.code, await tokens(assembled.engine, "r4-all", [5])

    code, after = asyncio.run(run())
    assert code == "engine_failed" and len(after) == 5


def test_ping_is_honest_when_vllm_is_gone(server):
    assembled, _ = server

    async def run():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(assembled.app), base_url="http://x") as client:
            before = (await client.get("/ping")).status_code
            assembled.engine.server.process.kill()
            assembled.engine.server.process.wait(5)
            after = await client.post("/v1/completions", json={"model": "base", "prompt": [5]})
            return before, (await client.get("/ping")).status_code, after.json()["error"]["code"]

    assert asyncio.run(run()) == (200, 503, "engine_failed")


def test_only_loopback_is_attached_to():
    with pytest.raises(ValueError, match="loopback"):
        attach("http://10.0.0.1:8000")


def test_admission_is_fair_bounded_and_survives_hang_ups():
    async def run():
        admission = Admission(slots=1, queue=10, queue_per_adapter=8, seconds=0.2)
        order: list[str] = []

        async def one(flow: str):
            await admission.enter(flow, 200)
            order.append(flow)
            await asyncio.sleep(0)
            admission.leave()

        await admission.enter("x", 1)
        hot = [asyncio.create_task(one("hot")) for _ in range(8)]
        await asyncio.sleep(0)
        cold, gone = asyncio.create_task(one("cold")), asyncio.create_task(one("gone"))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="too many"):
            await one("hot")
        gone.cancel()
        await asyncio.sleep(0)
        admission.leave()
        await asyncio.gather(*hot, cold)
        assert order.index("cold") < 3 and "gone" not in order and admission.running == 0
        await admission.enter("x", 1)
        with pytest.raises(Refusal) as refused:
            await one("late")
        assert refused.value.code == "queue_timeout" and not len(admission.queue)

    asyncio.run(run())


def test_wire_details():
    async def parts():
        for part in (b'data: {"a":"\xe2\x80', b'\xa8"}\n', b"\n: ping\n\ndata: [DONE]\n\n", b'data: {"b":1}\n\n'):
            yield part

    async def read():
        return [event async for event in server_sent(parts())]

    assert asyncio.run(read()) == [{"a": "\u2028"}]
    for chunk in ({"error": {"message": "no"}}, {"choices": [{"finish_reason": None}]}, {"choices": [{"token_ids": [1], "finish_reason": "abort"}]}, {"choices": [{"token_ids": [], "finish_reason": "stop"}]}):
        with pytest.raises(Refusal):
            list(token_events(chunk, None))
    assert metrics_of('vllm:num_requests_running{a="}"} 2.0\nvllm:num_requests_running{a="2"} 3\n# vllm:x 1\nother 4\n') == {"vllm_running": 5.0}
