"""The probe of a fit: the same gradients with B A in the base's weights, which come back as they were."""

import pytest
import torch
from influence.adapter import read_adapter
from influence.base_model import load_base
from influence.errors import InfluenceError
from influence.fit import fit_store
from influence.gradients import row_gradients
from influence.merged_probe import MergedProbe, fitting_probe
from influence.probe import LoraProbe
from influence.rows import Sequence, Window, to_sequence
from influence.settings import Settings

from conftest import TARGETS, write_adapter


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(model, before):
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gradients_and_losses_are_those_of_the_adapter_beside_the_base(base_dir, adapter_dir, rows, tmp_path):
    base, settings = load_base(base_dir), Settings()
    adapters = [read_adapter(adapter_dir), read_adapter(write_adapter(base_dir, tmp_path, seed=8, alpha=3))]
    sequences = [to_sequence(r, base.tokenizer, 64, base.vocabulary) for r in [*rows[:3], {"id": "ab", "text": "ab"}]]
    expected = []
    for adapter in adapters:
        probe, got = LoraProbe(base.model, adapter), {}
        expected.append((row_gradients(probe, sequences, got.__setitem__), got))
        probe.detach()
    before, probe = weights(base.model), fitting_probe(base.model, adapters[0], settings)
    assert type(probe) is MergedProbe
    for adapter, (losses, gradients) in zip(adapters, expected):
        probe.use(adapter)
        got = {}
        assert row_gradients(probe, sequences, got.__setitem__) == pytest.approx(losses, rel=1e-5)
        assert got.keys() == gradients.keys()
        for matrix, gradient in gradients.items():
            torch.testing.assert_close(got[matrix], gradient, rtol=1e-3, atol=1e-6)
    assert not same(base.model, before)
    probe.detach()
    assert same(base.model, before)


def test_a_base_has_its_own_weights_again_after_a_fit_and_after_one_that_failed(base_dir, adapter_dir, rows, tmp_path):
    base = load_base(base_dir)
    before = weights(base.model)
    fit_store(base_dir, [adapter_dir], rows, tmp_path / "store", base=base)
    assert same(base.model, before)
    exploding = write_adapter(base_dir, tmp_path / "exploding", size=1e25)
    with pytest.raises(InfluenceError):
        fit_store(base_dir, [exploding], rows, tmp_path / "none", base=base)
    assert same(base.model, before)


@pytest.mark.parametrize("odd", ["bfloat16", "tied", "too large"])
def test_nothing_is_merged_where_that_would_round_reach_further_or_take_too_much_memory(odd, base_dir, tmp_path):
    base = load_base(base_dir)
    targets = (*TARGETS, "lm_head") if odd == "tied" else TARGETS
    adapter = read_adapter(write_adapter(base_dir, tmp_path, targets=targets))
    model = base.model.bfloat16() if odd == "bfloat16" else base.model
    probe = fitting_probe(model, adapter, Settings(cache_bytes=1000) if odd == "too large" else Settings())
    assert type(probe) is LoraProbe
    losses = row_gradients(probe, [Sequence("r", (Window((1, 2, 3), (1, 2)),))], lambda *_: None)
    assert losses[0] > 0
