"""Count-sketched features keep inner products, and keep them better the more features there are."""

import pytest
import torch
from influence.feature_map import kept_exactly, raw_map, whitened_map
from influence.rotation import MatrixRotation


def rotations(count=3, a=8, b=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [MatrixRotation(torch.eye(a), torch.eye(b), torch.rand(a * b, generator=generator).square() + 0.01, 0.05)
            for _ in range(count)]


def features(made, mapping, rows=40, seed=1, common=0.0):
    """(features, exact whitened coordinates) of random gradients with the rotations' own second moments, and a part
    that all rows and coordinates have in common."""
    generator, out, whole = torch.Generator().manual_seed(seed), torch.zeros(rows, mapping.width), []
    for m, rotation in enumerate(made):
        drawn = torch.randn(rows, rotation.count, generator=generator) + common
        coordinates = drawn * rotation.eigenvalue.sqrt()
        mapping.add(m, coordinates, out)
        whole.append(coordinates * rotation.whitening())
    return out.double(), torch.cat(whole, 1).double()


def test_without_need_nothing_is_sketched():
    made = rotations()
    sketched, whole = features(made, whitened_map(made, 960, seed=5))
    torch.testing.assert_close(sketched @ sketched.T, whole @ whole.T, rtol=1e-5, atol=1e-5)


def test_inner_products_are_unbiased_and_their_error_is_what_the_docstring_says():
    made, errors = rotations(), []
    energy = float(torch.cat([r.energy() for r in made]).sum())
    for seed in range(30):
        sketched, whole = features(made, whitened_map(made, 240, seed), seed=9)
        errors.append((sketched @ sketched.T - whole @ whole.T)[~torch.eye(40, dtype=torch.bool)])
    errors = torch.stack(errors)
    assert abs(float(errors.mean())) < 0.05 * energy / 240**0.5
    assert float(errors.square().mean().sqrt()) == pytest.approx(energy / 240**0.5, rel=0.3)


def test_what_all_coordinates_share_does_not_add_up():
    """Without random signs it would: each feature would hold several times the common part."""
    made, ratios = rotations(), []
    for seed in range(20):
        sketched, whole = features(made, whitened_map(made, 240, seed), seed=3, common=1.0)
        ratios.append(float((sketched @ sketched.T).mean() / (whole @ whole.T).mean()))
    assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.1)


def test_strong_directions_keep_a_feature_of_their_own():
    strong = torch.cat([torch.full((50,), 1.0), torch.full((5000,), 1e-3)])
    assert kept_exactly(strong, 100) >= 50
    assert kept_exactly(torch.ones(5000), 100) == 0
    assert kept_exactly(torch.ones(100), 100) == 100


def test_the_raw_map_keeps_matrices_apart():
    made = rotations()
    mapping = raw_map(made, 300, seed=0)
    assert mapping.starts == (0, 100, 200) and mapping.width == 300
    for m, start in enumerate(mapping.starts):
        assert start <= int(mapping.feature[m].min()) and int(mapping.feature[m].max()) < start + 100
