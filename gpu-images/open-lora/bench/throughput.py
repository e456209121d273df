"""Decoding: base, ours, PEFT's mixed batch and PEFT one adapter after the other, at the same lengths, in one process.

On a CPU the unit is tokens per CPU second of one thread (other processes on the machine disturb it least); on a GPU
tokens per second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from peft import LoraConfig, get_peft_model
from shapes import MIDDLE, block_sites, make_model, make_resident

from open_lora.engine_port import SamplingParameters
from open_lora.torch_engine.base_model import prepare
from open_lora.torch_engine.batch import PackedBatch
from open_lora.torch_engine.lora_linear import PlanHolder, attach
from open_lora.torch_engine.sampler import Sampler, greedy_tokens
from open_lora.torch_engine.sequence import Sequence

PROMPT = 64
MOST = 16_000  # ranks of all adapters together: 5 GB
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Clock:
    def __init__(self, device: str):
        self.cuda = device == "cuda"

    def now(self) -> float:
        if self.cuda:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()


class Ours:
    """The packed batch itself: join, decode, leave; every request has another adapter."""

    def __init__(self, seed: int, device: str):
        self.device, self.clock = device, Clock(device)
        self.base = prepare(make_model(MIDDLE, seed, device), None)
        assert self.base.packed
        self.holder = PlanHolder()
        self.sites = block_sites(attach(self.base.model, self.holder))
        self.pool: dict[int, list] = {}

    def adapters(self, rank: int, count: int) -> list:
        have = self.pool.setdefault(rank, [])
        while len(have) < count:
            have.append(make_resident(f"r{rank}-{len(have)}", self.sites, rank, self.base.model.lm_head.weight, len(have)))
        return have[:count]

    @torch.inference_mode()
    def beside_base(self, batch: int, rank: int, adapters: int, tokens: int, rounds: int) -> tuple[float, float]:
        """(base, ours): rates of the same batch without LoRA and with another adapter for every request.

        Their steps alternate, so that whatever disturbs the machine disturbs both; joining and leaving count. The
        first round is not counted: caches and blocks grow in it.
        """
        pools = ([None], self.adapters(rank, adapters))
        batches = [PackedBatch(self.base, self.holder, batch, 0) for _ in pools]
        spent = [0.0, 0.0]
        for start in range(0, (rounds + 1) * batch, batch):
            staged = [self._staged(packed, pool, batch, start) for packed, pool in zip(batches, pools, strict=True)]
            for turn in range(tokens):
                for which, packed in enumerate(batches):
                    began = self.clock.now()
                    self._turn(packed, staged[which] if turn == 0 else [], last=turn == tokens - 1)
                    spent[which] += self.clock.now() - began if start else 0.0
        return tuple(batch * tokens * rounds / seconds for seconds in spent)

    def _staged(self, packed: PackedBatch, pool: list, batch: int, start: int) -> list[Sequence]:
        parameters = SamplingParameters(512 - PROMPT, temperature=0, ignore_eos=True)
        prompts = torch.randint(2, MIDDLE["vocab_size"], (batch, PROMPT)).tolist()
        sequences = [
            Sequence(prompt, parameters, pool[(start + i) % len(pool)], lambda _: None, Sampler.start(parameters, prompt))
            for i, prompt in enumerate(prompts)
        ]
        for sequence in sequences:
            packed.begin(sequence)
        logits = packed.forward([(sequence, PROMPT) for sequence in sequences])
        for sequence, row in zip(sequences, logits[len(packed.rows) :], strict=True):
            sequence.output.append(int(row.argmax()))
        return sequences

    def _turn(self, packed: PackedBatch, joining: list[Sequence], last: bool) -> None:
        for sequence in joining:
            packed.join(sequence)
        best, _ = greedy_tokens(packed.forward([]))
        for sequence, token in zip(packed.rows, best, strict=True):
            sequence.output.append(token)
        for sequence in list(packed.rows) if last else []:
            packed.leave(sequence)


class Peft:
    """Stock PEFT over stock transformers: `adapter_names` for a mixed batch, `set_adapter` for one by one."""

    def __init__(self, seed: int, device: str, rank: int, adapters: int):
        self.clock, self.device = Clock(device), device
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=ALL, init_lora_weights=False)
        self.model = get_peft_model(make_model(MIDDLE, seed, device), config, adapter_name="a0").eval()
        for index in range(1, adapters):
            self.model.add_adapter(f"a{index}", config)
        self.names = [f"a{index}" for index in range(adapters)]

    @torch.inference_mode()
    def mixed(self, batch: int, tokens: int, rounds: int) -> float:
        names = [self.names[i % len(self.names)] for i in range(batch)]
        return max(_stock_round(lambda **kw: self.model(adapter_names=names, **kw), batch, tokens, self.clock, self.device) for _ in range(rounds))

    @torch.inference_mode()
    def one_by_one(self, batch: int, tokens: int) -> float:
        spent = 0.0
        for i in range(batch):
            began = self.clock.now()
            self.model.set_adapter(self.names[i % len(self.names)])
            spent += self.clock.now() - began
            spent += tokens / _stock_round(self.model, 1, tokens, self.clock, self.device)
        return batch * tokens / spent


@torch.inference_mode()
def stock_base(seed: int, device: str, batch: int, tokens: int, rounds: int) -> float:
    model = make_model(MIDDLE, seed, device)
    return max(_stock_round(model, batch, tokens, Clock(device), device) for _ in range(rounds))


def _stock_round(model: Callable, batch: int, tokens: int, clock: Clock, device: str) -> float:
    out = model(input_ids=torch.randint(2, MIDDLE["vocab_size"], (batch, PROMPT), device=device), use_cache=True)
    cache, token = out.past_key_values, out.logits[:, -1:].argmax(-1)
    began = clock.now()
    for _ in range(tokens):
        token = model(input_ids=token, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)
    return batch * tokens / (clock.now() - began)


def measure(seed: int, quick: bool, device: str, say: Callable[[str], None]) -> dict:
    """Rates per case, and the two ratios of the design at batch 16, rank 8 and the largest pool measured."""
    ours = Ours(seed, device)
    tokens, rounds = (16, 3) if quick else (48, 3)
    batches = (8, 16) if quick else (1, 8, 16, 32)
    ranks = (8,) if quick else (8, 16, 64)
    pools = (64,) if quick else (1, 8, 32, 1000)
    out: dict = {"unit": "tokens/s" if device == "cuda" else "tokens per CPU second, one thread", "ours": {}, "peft": {}, "over base by batch": {}}
    for batch in batches:
        row = out["ours"][f"batch {batch}"] = {"stock transformers": round(stock_base(seed, device, batch, tokens, rounds), 1)}
        for rank in ranks:
            for pool in pools:
                case = f"r{rank}, {pool} adapters"
                if rank * pool > MOST:
                    row[case] = {"why": f"{pool} adapters of rank {rank} take {pool * ours.adapters(rank, 1)[0].bytes / 1e9:.0f} GB"}
                    continue
                # What no goal is about is measured shortly.
                base, rate = ours.beside_base(batch, rank, pool, tokens, rounds if rank == 8 or pool == 32 else 1)
                row[case] = {"base": round(base, 1), "ours": round(rate, 1), "ratio": round(rate / base, 3)}
        out["over base by batch"][batch] = row[f"r8, {pools[-1]} adapters"]["ratio"]
        say(f"ours, batch {batch}: {row}")
    for rank in ranks:
        peft = Peft(seed, device, rank, 32)
        for batch in batches:
            figures = {"mixed batch": peft.mixed(batch, tokens, rounds - 1), "one by one": peft.one_by_one(4 if quick else min(batch, 8), tokens)}
            out["peft"][f"batch {batch}, r{rank}"] = {name: round(rate, 1) for name, rate in figures.items()}
            say(f"PEFT, batch {batch}, r{rank}: {out['peft'][f'batch {batch}, r{rank}']}")
    mixed = out["ours"]["batch 16"][f"r8, {pools[-1]} adapters"]
    out["base"], out["over base"] = mixed["base"], mixed["ratio"]
    out["over PEFT mixed batch"] = round(mixed["ours"] / out["peft"]["batch 16, r8"]["mixed batch"], 2)
    out["MB of memory per adapter"] = {f"r{rank}": round(ours.adapters(rank, 1)[0].bytes / 1e6, 2) for rank in ranks}
    return out
