"""What may be drawn, and what bounds it."""

from __future__ import annotations

import torch

from open_lora.engine_port import SamplingParameters
from open_lora.settings import read_settings
from open_lora.torch_engine.sampler import Sampler


def drawn(logits: list[float], **parameters) -> set[int]:
    sampler = Sampler.start(SamplingParameters(1, seed=3, **parameters), [])
    return {sampler.pick(torch.tensor(logits)) for _ in range(300)}


def test_min_p_leaves_out_what_is_improbable_beside_the_best():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log().tolist()
    assert drawn(logits) == {0, 1, 2, 3}
    assert drawn(logits, min_p=0.2) == {0, 1, 2}  # at least a tenth
    assert drawn(logits, min_p=0.5) == {0, 1}
    assert drawn(logits, min_p=1.0, temperature=2.0) == {0}


def test_hosting_bounds_the_context_by_its_environment(llama):
    place = ["--base", f"{llama}/base", "--adapters", f"{llama}/adapters"]
    assert read_settings(place, {"OPEN_LORA_MAX_MODEL_TOKENS": "64"}).max_model_tokens == 64
    assert read_settings(place, {}).max_model_tokens is None
