"""The hooks' per-row gradients against autograd through PEFT, one row at a time."""

import pytest
import torch
from influence import gradients
from influence.adapter import read_adapter
from influence.base_model import load_base
from influence.errors import InfluenceError
from influence.gradients import batches, row_gradients
from influence.probe import LoraProbe
from influence.rows import Sequence, Window, cut_windows, to_sequence

from conftest import write_adapter


def autograd_gradients(base_dir, adapter_dir, sequence):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_dir), adapter_dir, is_trainable=True)
    model.eval()
    (window,) = sequence.windows
    labels = torch.full((1, len(window.tokens)), -100)
    labels[0, list(window.targets)] = torch.tensor(window.tokens)[list(window.targets)]
    loss = model(input_ids=torch.tensor([window.tokens]), labels=labels).loss
    loss.backward()
    return loss.item(), {n: p.grad for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("rslora", [False, True])
def test_per_row_gradients_equal_autograd_of_each_row(base_dir, tmp_path, rows, rslora):
    folder = write_adapter(base_dir, tmp_path, rank=3, use_rslora=rslora, rank_pattern={}, alpha_pattern={"k_proj": 5})
    base, adapter = load_base(base_dir), read_adapter(folder)
    records = [rows[0], {"id": "short", "text": "ab"}, {"id": "pc", "prompt": "alpha ", "completion": "beta gamma"}]
    sequences = [to_sequence(r, base.tokenizer, 64, base.vocabulary) for r in records]
    got = {}
    losses = row_gradients(LoraProbe(base.model, adapter), sequences, got.__setitem__)
    for n, sequence in enumerate(sequences):
        loss, expected = autograd_gradients(base_dir, folder, sequence)
        assert losses[n] == pytest.approx(loss, rel=1e-5)
        for m, module in enumerate(adapter.modules):
            for matrix, side in ((2 * m, "A"), (2 * m + 1, "B")):
                want = expected[f"base_model.model.{module.name}.lora_{side}.default.weight"]
                mine = got[matrix][n] if side == "A" else got[matrix][n].T
                torch.testing.assert_close(mine, want, rtol=2e-4, atol=2e-6)


def test_windows_count_every_target_once_with_context_before_it():
    tokens = list(range(100))
    windows = cut_windows(tokens, list(range(10, 100)), 32)
    counted = [w.tokens[t] for w in windows for t in w.targets]
    assert counted == list(range(10, 100))
    assert all(len(w.tokens) <= 32 for w in windows)
    assert all(min(w.targets) >= 8 for w in windows)
    assert cut_windows([7], [0], 32) == ()


def test_a_row_of_many_windows_is_the_weighted_sum_of_them(base_dir, adapter_dir):
    base = load_base(base_dir)
    probe = LoraProbe(base.model, read_adapter(adapter_dir))
    tokens = torch.randint(0, 257, (100,), generator=torch.Generator().manual_seed(0)).tolist()
    windows = cut_windows(tokens, list(range(1, 100)), 64)
    assert len(windows) == 2
    whole, parts = {}, []
    row_gradients(probe, [Sequence("whole", windows), Sequence("other", (Window((1, 2), (1,)),))], whole.__setitem__)
    for window in windows:
        part = {}
        row_gradients(probe, [Sequence("part", (window,))], part.__setitem__)
        parts.append((len(window.targets) / 99, part))
    for matrix in whole:
        summed = sum(weight * part[matrix][0] for weight, part in parts)
        torch.testing.assert_close(whole[matrix][0], summed, rtol=1e-4, atol=1e-6)


def test_batches_hold_every_row_once_within_the_token_limit():
    sequences = [Sequence(str(n), (Window(tuple(range(5 + n % 7)), (1,)),)) for n in range(40)]
    groups = list(batches(sequences, 50))
    assert sorted(i for g in groups for i in g) == list(range(40))
    assert all(len(g) * max(len(sequences[i].windows[0].tokens) for i in g) <= 50 for g in groups)


def test_a_gradient_that_is_not_finite_names_the_row(base_dir, tmp_path):
    folder = write_adapter(base_dir, tmp_path, size=1e25)
    base = load_base(base_dir)
    probe = LoraProbe(base.model, read_adapter(folder))
    with pytest.raises(InfluenceError) as refused:
        row_gradients(probe, [Sequence("row_x", (Window((1, 2, 3), (1, 2)),))], lambda *_: None)
    assert refused.value.code == "influence.gradient_not_finite" and "row_x" in refused.value.message


@pytest.mark.parametrize("gap", [1.0, 60.0, 300.0])
def test_loss_and_slope_are_autograds_also_where_a_chance_rounds_to_nothing(gap):
    logits = (gap * torch.randn(2, 5, 11, generator=torch.Generator().manual_seed(1))).requires_grad_()
    tokens, owner = torch.arange(10).view(2, 5), torch.tensor([0, 1])
    weights = torch.tensor([[0, 0.25, 0.25, 0.25, 0.25], [0, 0.5, 0, 0, 0.5]])
    per_token = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, 11), tokens[:, 1:].reshape(-1), reduction="none")
    expected = (per_token.view(2, 4) * weights[:, 1:]).sum(1)
    expected.sum().backward()
    found, slope = gradients._losses_and_slope(logits.detach(), tokens, weights, owner, 2)
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(slope, logits.grad)
