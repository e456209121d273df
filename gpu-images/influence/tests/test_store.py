"""Fit, store and score on a tiny model: planted rows, repeatable bits, refusals."""

import json
import multiprocessing
import shutil

import pytest
import torch
from influence.base_model import load_base
from influence.errors import InfluenceError
from influence.fit import checkpoint_folders, fit_store
from influence.score import open_scorer
from influence.settings import Settings
from influence.store import exclusive, read_store

from conftest import write_adapter

ALL = ("ekfac", "datainf", "dot")


def read_bytes(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def store_dir(base_dir, adapter_dir, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("fit") / "influence"
    fit_store(base_dir, [adapter_dir], rows, out, methods=ALL)
    return out


@pytest.mark.parametrize("method", ALL)
def test_the_planted_row_ranks_first_with_a_positive_score(store_dir, base_dir, adapter_dir, rows, method):
    scorer = open_scorer(store_dir, base_dir, adapter_dir)
    for n in (0, 5, 11):
        scored = scorer.score(scorer.sequence({"id": "q", "text": rows[n]["text"]}), method)
        assert int(scored.scores.argmax()) == n and scored.scores[n] > 0
        assert not scored.gated


@pytest.mark.parametrize("method", ALL)
def test_a_step_against_a_helpful_rows_gradient_lowers_the_loss(store_dir, base_dir, adapter_dir, rows, method):
    """The sign by its meaning: training on the best row lowers the loss of the output, on the worst it does less."""
    from influence.adapter import Adapter, LoraModule, read_adapter
    from influence.gradients import row_gradients
    from influence.probe import LoraProbe

    base = load_base(base_dir)
    scorer = open_scorer(store_dir, base_dir, adapter_dir, base)
    query = scorer.sequence({"id": "q", "prompt": "lease ", "completion": "tenant landlord swap"})
    scored = scorer.score(query, method, normalise=False)
    adapter = read_adapter(adapter_dir)

    def loss_after(row):
        probe, gradient = LoraProbe(base.model, adapter), {}
        row_gradients(probe, [scorer.sequence({"id": "r", "text": rows[row]["text"]})], gradient.__setitem__)
        step = 1e-3
        moved = Adapter(tuple(LoraModule(m.name, m.a - step * gradient[2 * i][0], m.b - step * gradient[2 * i + 1][0].T,
                                         m.scale) for i, m in enumerate(adapter.modules)), "")
        probe.use(moved)
        (loss,) = row_gradients(probe, [query], lambda *_: None)
        probe.detach()
        return loss

    best, worst = int(scored.scores.argmax()), int(scored.scores.argmin())
    assert loss_after(best) < scored.loss
    assert loss_after(best) < loss_after(worst)


def test_the_same_bits_on_a_rerun_and_in_any_company(base_dir, adapter_dir, rows, store_dir, tmp_path):
    again = tmp_path / "influence"
    fit_store(base_dir, [adapter_dir], rows, again, methods=ALL)
    assert read_bytes(again) == read_bytes(store_dir)
    scorer = open_scorer(store_dir, base_dir, adapter_dir)
    query = scorer.sequence({"id": "q", "text": "oracle vault"})
    first = scorer.score(query).scores
    scorer.score(scorer.sequence({"id": "other", "text": rows[3]["text"]}))
    assert torch.equal(first, scorer.score(query).scores)


def test_checkpoints_are_taken_in_order_and_the_store_belongs_to_the_final_adapter(base_dir, rows, tmp_path):
    final = write_adapter(base_dir, tmp_path / "final", seed=9)
    for step in (5, 10, 120):
        write_adapter(base_dir, final / "checkpoints" / f"step-{step}", seed=step)
    assert [p.name for p in checkpoint_folders(final)] == ["step-5", "step-10", "step-120"]
    made = fit_store(base_dir, checkpoint_folders(final), rows, tmp_path / "store", adapter_dir=final)
    assert made["checkpoints"] == 3 and made["rows"] == 12 and made["bytesPerRow"] == made["components"] + 2
    scorer = open_scorer(tmp_path / "store", base_dir, final)
    assert int(scorer.score(scorer.sequence({"id": "q", "text": rows[4]["text"]})).scores.argmax()) == 4
    with pytest.raises(InfluenceError) as refused:
        open_scorer(tmp_path / "store", base_dir, final / "checkpoints" / "step-120")
    assert refused.value.code == "influence.store_mismatch"


def test_four_bits_rank_the_planted_row_first_too(base_dir, adapter_dir, rows, tmp_path):
    fit_store(base_dir, [adapter_dir], rows, tmp_path / "store", settings=Settings(row_bytes=10))
    scorer = open_scorer(tmp_path / "store", base_dir, adapter_dir)
    assert int(scorer.score(scorer.sequence({"id": "q", "text": rows[7]["text"]})).scores.argmax()) == 7


def test_sketched_sides_and_recomputed_gradients_give_nearly_the_same_scores(base_dir, adapter_dir, rows, tmp_path,
                                                                            store_dir):
    small = Settings(dense_side=16, side_rank=28, cache_bytes=0, features=4096, batch_tokens=200)  # several batches
    fit_store(base_dir, [adapter_dir], rows, tmp_path / "store", settings=small)
    text = {"id": "q", "prompt": "gamma ", "completion": "delta lease vault"}
    exact = open_scorer(store_dir, base_dir, adapter_dir)
    sketch = open_scorer(tmp_path / "store", base_dir, adapter_dir)
    left, right = exact.score(exact.sequence(text)).scores, sketch.score(sketch.sequence(text)).scores
    assert torch.corrcoef(torch.stack([left, right]))[0, 1] > 0.97


def test_gibberish_is_gated(store_dir, base_dir, adapter_dir):
    scorer = open_scorer(store_dir, base_dir, adapter_dir)
    noise = torch.randint(1, 257, (40,), generator=torch.Generator().manual_seed(8)).tolist()
    assert scorer.score(scorer.sequence({"id": "q", "prompt_tokens": [0], "output_tokens": noise})).gated


@pytest.mark.parametrize("name", ["rows.safetensors", "rotation.safetensors", "checkpoint-0.safetensors", "rows.jsonl"])
def test_a_cut_or_flipped_store_is_refused(store_dir, tmp_path, name):
    for damage in (lambda b: b[: len(b) // 2], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: None):
        broken = tmp_path / "broken"
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(store_dir, broken)
        left = damage((broken / name).read_bytes())
        (broken / name).unlink() if left is None else (broken / name).write_bytes(left)
        with pytest.raises(InfluenceError) as refused:
            read_store(broken)
        assert refused.value.code == "influence.store_corrupt" and name in refused.value.message


def test_a_header_that_is_cut_or_of_another_version_is_refused(store_dir, tmp_path):
    shutil.copytree(store_dir, tmp_path / "s")
    header = tmp_path / "s" / "store.json"
    for text in (header.read_text()[:100], json.dumps({**json.loads(header.read_text()), "version": 1}), "{}"):
        header.write_text(text)
        with pytest.raises(InfluenceError) as refused:
            read_store(tmp_path / "s")
        assert refused.value.code == "influence.store_corrupt"


def test_a_failed_fit_leaves_nothing_and_keeps_the_old_store(base_dir, rows, tmp_path, adapter_dir):
    out = tmp_path / "influence"
    fit_store(base_dir, [adapter_dir], rows, out)
    before = read_bytes(out)
    exploding = write_adapter(base_dir, tmp_path / "bad", size=1e25)
    with pytest.raises(InfluenceError) as refused:
        fit_store(base_dir, [exploding], rows, out)
    assert refused.value.code == "influence.gradient_not_finite"
    assert read_bytes(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad", "influence"]


def _hold(out, held, release):
    with exclusive(out):
        held.set()
        release.wait(20)


def test_two_fits_at_once_are_refused(base_dir, adapter_dir, rows, tmp_path):
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "out", held, release))
    other.start()
    assert held.wait(20)
    with pytest.raises(InfluenceError) as refused:
        fit_store(base_dir, [adapter_dir], rows, tmp_path / "out")
    assert refused.value.code == "influence.fit_in_progress"
    release.set()
    other.join()


def test_another_base_is_refused(store_dir, base_dir, adapter_dir, tmp_path):
    other = tmp_path / "base"
    shutil.copytree(base_dir, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    with pytest.raises(InfluenceError) as refused:
        open_scorer(store_dir, other, adapter_dir)
    assert refused.value.code == "influence.store_mismatch"


def test_a_single_token_row_scores_zero_and_is_named(base_dir, adapter_dir, rows, tmp_path):
    made = fit_store(base_dir, [adapter_dir], [*rows, {"id": "one", "input_ids": [5]}], tmp_path / "s")
    assert made["rows"] == 13 and made["scored"] == 12
    scorer = open_scorer(tmp_path / "s", base_dir, adapter_dir)
    scored = scorer.score(scorer.sequence({"id": "q", "text": "bond coupon"}))
    assert scored.scores[12] == 0 and scorer.store.header["unscored"] == ["one"]


def test_datainf_is_the_dense_formula_for_few_and_for_many_rows():
    """h_k = 1/(N l) sum_i (g_k - g_i (g_i . g_k)/(l + |g_i|^2)): the mean over i of the dense inverses
    (g_i g_i^T + l I)^-1 g_k (Sherman and Morrison)."""
    from influence.methods import datainf_block

    generator = torch.Generator().manual_seed(4)
    for count, width in ((5, 9), (40, 7)):
        gradients, damping = torch.randn(count, width, generator=generator), 0.3
        exact = gradients.double()
        inverse = sum(torch.linalg.inv(torch.outer(g, g) + damping * torch.eye(width, dtype=torch.float64)) for g in exact)
        torch.testing.assert_close(datainf_block(gradients, damping).double(), exact @ inverse / count, rtol=1e-5, atol=1e-6)


def test_whitened_features_are_the_dense_curvatures_inverse(base_dir, adapter_dir, rows):
    """phi_i . phi_j = g_i^T (U diag(e + l) U^T)^-1 g_j with U the dense Kronecker product of the two eigenbases."""
    from influence.adapter import read_adapter
    from influence.curvature import learn_rotations, write_features
    from influence.feature_map import whitened_map
    from influence.gradient_source import GradientSource
    from influence.probe import LoraProbe
    from influence.rows import to_sequence

    base = load_base(base_dir)
    probe = LoraProbe(base.model, read_adapter(adapter_dir))
    sequences = [to_sequence(r, base.tokenizer, 64, base.vocabulary) for r in rows]
    source, raw = GradientSource(probe, sequences, Settings()), {}
    source.replay(list(range(len(rows))), lambda m, at, g: raw.setdefault(m, torch.zeros(len(rows), g[0].numel()))
                  .index_copy_(0, at, g.flatten(1)))
    rotation, *others = learn_rotations(source, Settings(), 0)
    for side in ("left", "right"):  # float16 is not quite orthonormal, and an inverse is strict about that
        setattr(rotation, side, torch.linalg.qr(getattr(rotation, side).double()).Q.float())
    mapping = whitened_map([rotation, *others], 1 << 20, 0)
    features = torch.zeros(len(rows), mapping.width)
    again = GradientSource(probe, sequences, Settings())
    again.turn([rotation, *others])
    write_features(again, [(mapping, features)])
    dense = torch.kron(rotation.left, rotation.right).double()
    gradients = raw[0].double()
    eigenvalues = (gradients @ dense).square().mean(0)
    assert float((rotation.eigenvalue - eigenvalues).abs().max()) < 1e-3 * float(eigenvalues.max())
    curvature = dense @ torch.diag(rotation.eigenvalue.double() + rotation.damping) @ dense.T
    expected = gradients @ torch.linalg.pinv(curvature, hermitian=True) @ gradients.T
    white = features[:, mapping.feature[0].long()].double()
    torch.testing.assert_close(white @ white.T, expected, rtol=1e-3, atol=1e-4)
    assert rotation.damping == pytest.approx(0.1 * float(gradients.square().mean()), rel=1e-4)


def test_kept_gradients_in_blocks_of_several_batches_give_the_features_of_recomputed_ones(base_dir, adapter_dir, rows,
                                                                                          monkeypatch):
    from influence import gradient_source
    from influence.adapter import read_adapter
    from influence.curvature import learn_rotations, write_features
    from influence.feature_map import whitened_map
    from influence.probe import LoraProbe
    from influence.rows import to_sequence

    monkeypatch.setattr(gradient_source, "KEPT_ROWS", 4)
    base, products = load_base(base_dir), []
    sequences = [to_sequence(r, base.tokenizer, 64, base.vocabulary) for r in rows]
    for cache_bytes in (0, 1 << 30):
        settings = Settings(batch_tokens=130, cache_bytes=cache_bytes)
        probe = LoraProbe(base.model, read_adapter(adapter_dir))
        source = gradient_source.GradientSource(probe, sequences, settings)
        rotations = learn_rotations(source, settings, 0)
        mapping = whitened_map(rotations, 1 << 20, 0)
        features = torch.zeros(len(rows), mapping.width)
        write_features(source, [(mapping, features)])
        probe.detach()
        products.append(features @ features.T)
        assert source.cached == bool(cache_bytes) and len({int(a[1][0]) for a in source._cache or ()}) in (0, 2, 3)
    torch.testing.assert_close(*products, rtol=1e-2, atol=1e-2 * float(products[0].abs().max()))
