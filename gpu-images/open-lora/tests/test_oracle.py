"""Token for token what stock transformers + PEFT answer, whatever else is in the batch."""

from __future__ import annotations

import asyncio
import random

import pytest
import torch
from worlds import VOCABULARY, make_adapter, make_base, make_engine, stock

from open_lora.engine_port import GenerationRequest, SamplingParameters

ADAPTERS = ["r4-all", "r8-qv", "r16-rslora", "r3-down", "r40-mlp", "r8-all", "patterns", None]


async def greedy(engine, adapter: str | None, prompt: list[int], tokens: int, delay: float = 0.0) -> list[int]:
    await asyncio.sleep(delay)
    lease = await engine.acquire(adapter) if adapter else None
    request = GenerationRequest(prompt, SamplingParameters(tokens, temperature=0), lease.adapter if lease else None)
    out = [event.token async for event in engine.generate(request)]
    if lease:
        lease.release()
    return out


def cases(seed: int, count: int, adapters: list) -> list[tuple]:
    rng = random.Random(seed)
    return [
        (
            rng.choice(adapters),
            [rng.randrange(2, VOCABULARY) for _ in range(rng.choice((1, 2, 7, 30, 90)))],
            rng.randint(1, 40),
            rng.random() * 0.05,
        )
        for _ in range(count)
    ]


def check(engine, root, work) -> None:
    async def run():
        return await asyncio.gather(*(greedy(engine, *case) for case in work))

    try:
        got = asyncio.run(run())
    finally:
        engine.close()
    for (adapter, prompt, tokens, _), out in zip(work, got, strict=True):
        assert out == stock(root, adapter, tuple(prompt), tokens), (adapter, len(prompt))


@pytest.mark.parametrize("seed", [1, 2])
def test_mixed_adapters_in_any_order(llama, seed):
    engine = make_engine(llama, max_rows=6, chunk_tokens=16)
    assert engine.base.packed
    work = cases(seed, 40, ADAPTERS)
    check(engine, llama, work)
    assert engine.counters["finished"] == 40


def test_one_row_or_many_gives_the_same(llama):
    work = cases(3, 12, ADAPTERS)
    for rows in (1, 12):
        check(make_engine(llama, max_rows=rows, chunk_tokens=512), llama, work)


def test_adapters_differ_from_the_base_and_from_each_other(llama):
    """The oracle can tell them apart, so that the tests above can fail."""
    outputs = {tuple(stock(llama, adapter, (5, 6, 7, 8, 9), 12)) for adapter in ADAPTERS}
    assert len(outputs) >= len(ADAPTERS) - 1


@pytest.mark.parametrize("kind", ["qwen2", "mistral", "gpt2", "neox", "gemma2", "phi3", "dynamic rope"])
def test_other_architectures(tmp_path, kind):
    """Biases, sliding windows, Conv1D with fan_in_fan_out, fused maps, soft caps, an LM head as a target."""
    make_base(tmp_path / "base", kind)
    make_adapter(tmp_path, "all", rank=4)
    make_adapter(tmp_path, "wide", rank=12, seed=3)
    make_adapter(tmp_path, "head", rank=4, targets=["lm_head"], seed=4)
    engine = make_engine(tmp_path, max_rows=5, chunk_tokens=16)
    assert engine.base.packed
    check(engine, tmp_path, cases(4, 14, ["all", "wide", "head", None]))


@pytest.mark.parametrize(
    ("kind", "way", "targets"),
    [
        ("falcon", "cached", "all-linear"), ("lfm2", "cached", "all-linear"), ("llama4", "cached", "all-linear"),
        ("mamba2", "whole", ["lm_head"]),
    ],  # fmt: skip
)
def test_architectures_that_cannot_be_packed(tmp_path, kind, way, targets):
    """A subclass of Linear, convolutions with a state, no key/value cache: one by one, and still stock PEFT's answers."""
    make_base(tmp_path / "base", kind)
    make_adapter(tmp_path, "one", rank=4, targets=targets)
    make_adapter(tmp_path, "two", rank=12, targets=targets, seed=3)
    engine = make_engine(tmp_path, max_rows=4, chunk_tokens=16)
    assert engine.base.way == way
    check(engine, tmp_path, cases(5, 5, ["one", "two", None]))


def test_longrope_ends_where_its_frequencies_change(tmp_path):
    """Past the original context a cache and the input as a whole give different keys: what is answered is stock's."""
    make_base(tmp_path / "base", "longrope")
    make_adapter(tmp_path, "one", rank=4)
    engine = make_engine(tmp_path, max_rows=4, chunk_tokens=16)
    assert engine.max_model_tokens == 32
    prompts = [[7 + 3 * i for i in range(length)] for length in (1, 4, 20, 31)]
    check(engine, tmp_path, [("one", prompt, 32 - len(prompt), 0) for prompt in prompts])


@pytest.mark.parametrize(("kind", "why"), [("not runnable", "does not run"), ("recurrent_gemma", "keeps state")])
def test_architectures_that_cannot_be_served_are_refused_at_the_start(tmp_path, kind, why):
    make_base(tmp_path / "base", kind)
    with pytest.raises(ValueError, match=why):
        make_engine(tmp_path)


def test_preempted_sequences_go_on_where_they_were(llama):
    """Two rows, one adapter with a long line, others that want in."""
    engine = make_engine(llama, max_rows=2, chunk_tokens=32, progress_before_preemption=1)
    rng = random.Random(6)
    prompts = [[rng.randrange(2, VOCABULARY) for _ in range(9)] for _ in range(60)]
    long = [prompt for prompt in prompts if len(stock(llama, "r4-all", tuple(prompt), 60)) == 60][:4]
    hot = [("r4-all", prompt, 60) for prompt in long]
    others = [(name, prompt, 12) for name, prompt in zip(("r8-qv", "r3-down", "r8-all", None), prompts, strict=False)]

    async def run():
        tasks = [asyncio.create_task(greedy(engine, *case)) for case in hot]
        while len(engine.scheduler.batch.rows) < 2:
            await asyncio.sleep(0.001)
        return await asyncio.gather(*tasks, *(greedy(engine, *case) for case in others))

    try:
        got = asyncio.run(run())
    finally:
        engine.close()
    assert engine.counters["preempted"] > 0 and len(long) == 4
    for (adapter, prompt, tokens), out in zip(hot + others, got, strict=True):
        assert out == stock(llama, adapter, tuple(prompt), tokens)


def test_known_prefixes_are_reused_under_their_own_adapter_only(llama):
    engine = make_engine(llama, max_rows=4, prefix_bytes=8 << 20)
    rng = random.Random(7)
    shared = [rng.randrange(2, VOCABULARY) for _ in range(60)]
    work = [(name, shared + [11 + turn], 10, 0.1 * turn) for turn in range(3) for name in ("r8-all", "r4-all", None)]
    check(engine, llama, work)
    assert engine.scheduler.batch.prefixes.hits >= 6
    assert engine.scheduler.batch.prefixes.hit_tokens >= 6 * 60


def test_a_step_leaves_nothing_behind(llama):
    """After the last request the batch is empty and the cache rows are zero."""
    engine = make_engine(llama, max_rows=4, prefix_bytes=0)
    check(engine, llama, cases(8, 8, ADAPTERS))
    assert not engine.scheduler.batch.rows and not engine.scheduler.batch.lora.classes and not engine.scheduler.prefilling
    assert not torch.count_nonzero(engine.scheduler.batch.cache.keys[:, :, :, :100])


def test_a_long_sequence_gives_its_memory_back_and_its_neighbours_go_on(tmp_path):
    make_base(tmp_path / "base", "long")
    engine = make_engine(tmp_path, max_rows=4, prefix_bytes=0, chunk_tokens=1024)
    sizes = []  # at each step

    def counted(chunks, forward=engine.scheduler.batch.forward):
        sizes.append(engine.scheduler.batch.cache.bytes)
        return forward(chunks)

    engine.scheduler.batch.forward = counted
    long, short = [7 + i % 300 for i in range(3000)], [5, 6, 7]

    async def run():
        return await asyncio.gather(*(greedy(engine, None, *work) for work in [(long, 3), *(([*short, i], 300) for i in range(3))]))

    try:
        first, *others = asyncio.run(run())
    finally:
        engine.close()
    assert max(sizes) == 4 * 4096 * engine.base.kv.bytes_per_token and sizes[-1] == max(sizes) // 8
    assert first == stock(tmp_path, None, tuple(long), 3)
    for index, out in enumerate(others):
        assert out == stock(tmp_path, None, (*short, index), 300)
