"""What one request brings with it ends that request, not its neighbours, and leaves no caller waiting."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from test_oracle import greedy
from transformers import AutoTokenizer
from worlds import VOCABULARY, make_engine, stock

from open_lora.engine_port import GenerationRequest, SamplingParameters
from open_lora.front.prompting import make_prompts
from open_lora.front.request import parse_request
from open_lora.refusals import Refusal
from open_lora.torch_engine.engine import TorchEngine


@pytest.mark.parametrize("body", [{"prompt": "hi <more>"}, {"messages": [{"role": "user", "content": "<more>"}]}, {"prompt": [10**30]}])
def test_tokens_that_the_model_has_no_row_for(llama, body):
    tokenizer = AutoTokenizer.from_pretrained(llama / "base")
    tokenizer.add_tokens([f"<{index}>" for index in range(VOCABULARY - len(tokenizer))] + ["<more>"])
    with pytest.raises(Refusal, match=f"must be below {VOCABULARY}"):
        make_prompts(parse_request({"model": "x"} | body, "messages" in body), tokenizer, VOCABULARY, 192)


def test_messages_that_render_to_nothing(llama):
    tokenizer = AutoTokenizer.from_pretrained(llama / "base")
    tokenizer.chat_template = "{{ '' }}"
    request = parse_request({"model": "x", "messages": [{"role": "user", "content": "x"}]}, True)
    with pytest.raises(Refusal, match="empty"):
        make_prompts(request, tokenizer, VOCABULARY, 192)


def break_once(monkeypatch, owner: object, method: str, marked) -> None:
    """The method raises for the arguments that `marked` picks."""
    own = getattr(owner, method)

    def broken(*arguments):
        if marked(*arguments):
            raise MemoryError
        return own(*arguments)

    monkeypatch.setattr(owner, method, broken)


def assert_it_ends_alone(engine: TorchEngine, root: Path) -> None:
    """Of three requests the one that begins with 99 was made to fail."""

    async def run():
        work = (greedy(engine, "r4-all", [first, 6, 7], 30) for first in (5, 99, 8))
        return await asyncio.wait_for(asyncio.gather(*work, return_exceptions=True), 20)

    try:
        before, failed, after = asyncio.run(run())
    finally:
        engine.close()
    assert isinstance(failed, Refusal) and failed.code == "engine_failed"
    for first, out in ((5, before), (8, after)):
        assert out == stock(root, "r4-all", (first, 6, 7), 30)
    assert not engine.counters["failed_steps"] and not engine.scheduler.running()


BREAKS = {
    "no memory for its prompt": ("batch.begin", lambda sequence: sequence.prompt[0] == 99),
    "no memory for its row": ("batch.join", lambda sequence: sequence.prompt[0] == 99),
    "no memory to remember its prompt": ("batch.remember_prompt", lambda sequence: sequence.prompt[0] == 99),
    "no memory to park it": ("batch.park", lambda sequence: True),
}


@pytest.mark.parametrize("what", list(BREAKS)[:2])
def test_a_request_that_fails_alone(llama, monkeypatch, what):
    engine = make_engine(llama, max_rows=4)
    place, marked = BREAKS[what]
    break_once(monkeypatch, engine.scheduler.batch, place.removeprefix("batch."), marked)

    assert_it_ends_alone(engine, llama)


def test_a_row_that_cannot_be_drawn_from_fails_alone(llama, monkeypatch):
    engine = make_engine(llama, max_rows=4)

    async def sampled():
        request = GenerationRequest([5, 6], SamplingParameters(20, temperature=1e-5, logit_bias={}, seed=1), None)
        monkeypatch.setattr("open_lora.torch_engine.sampler.Sampler._draw", lambda *_: 1 / 0)
        return [event.token async for event in engine.generate(request)]

    async def run():
        return await asyncio.gather(greedy(engine, "r4-all", [5, 6, 7], 30), sampled(), return_exceptions=True)

    try:
        neighbour, failed = asyncio.run(run())
    finally:
        engine.close()
    assert isinstance(failed, Refusal) and failed.code == "engine_failed"
    assert neighbour == stock(llama, "r4-all", (5, 6, 7), 30)


@pytest.mark.parametrize("what", list(BREAKS)[2:])
def test_whatever_fails_nobody_waits_for_ever(llama, monkeypatch, what):
    engine = make_engine(llama, max_rows=1, progress_before_preemption=1)
    place, marked = BREAKS[what]
    break_once(monkeypatch, engine.scheduler.batch, place.removeprefix("batch."), marked)

    async def run():
        work = (greedy(engine, name, [first, 6, 7], 40) for name, first in (("r4-all", 5), ("r4-all", 99), ("r8-all", 7), ("r8-qv", 8)))
        return await asyncio.wait_for(asyncio.gather(*work, return_exceptions=True), 20)

    try:
        assert len(asyncio.run(run())) == 4
    finally:
        engine.close()


def test_a_forward_that_fails_alone_where_nothing_can_be_packed(llama, monkeypatch):
    monkeypatch.setattr("open_lora.torch_engine.base_model._may_be_packed", lambda model: False)
    engine = make_engine(llama, max_rows=4)
    assert engine.base.way == "cached"
    break_once(monkeypatch, engine.scheduler.batch, "_one", lambda sequence, tokens: sequence.prompt[0] == 99 and len(sequence.output) == 2)

    assert_it_ends_alone(engine, llama)
