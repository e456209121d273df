"""Stored rows: the widths fill the bytes, the numbers come back, and a score is the product with what is stored."""

import pytest
import torch
from influence.components import principal_components, turned
from influence.quantise import quantise, row_size, tiers
from influence.score import stored_scores


def normal(rows, components, seed=0):
    return torch.randn(rows, components, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("row_bytes", [258, 514])
def test_every_component_that_fits_is_kept_at_the_widest_codes(row_bytes):
    for components in (1, 7, 255, 256, 257, 511, 512, 513, 700, 1019, 1021, 1300, 1536, 1999, 5000):
        kept = tiers(components, row_bytes)
        assert row_size(kept) <= row_bytes
        assert sum(t.count for t in kept) == min(components, 4 * (row_bytes - 4))
        assert [t.start for t in kept] == [sum(t.count for t in kept[:n]) for n in range(len(kept))]
        assert [t.at for t in kept] == [sum(t.size for t in kept[:n]) for n in range(len(kept))]
        if components > row_bytes - 2:  # no room is left in which 8 components could be wider
            assert row_size(kept) > row_bytes - 8
    assert [t.bits for t in tiers(512, 514)] == [8] and [t.bits for t in tiers(1536, 514)] == [4, 2]


@pytest.mark.parametrize("components, error", [(12, 0.01), (512, 0.01), (600, 0.08), (1020, 0.11), (1536, 0.30), (2040, 0.35)])
def test_rows_come_back(components, error):
    """Relative error of normal numbers: 8 bits by the largest, 4 bits sqrt(.0115), 2 bits sqrt(.119) (Max, 1960)."""
    rows, kept = normal(50, components), tiers(components, 514)
    made = quantise(rows, kept)
    assert made.codes.dtype == torch.uint8 and made.codes.shape[1] + 2 * made.scales.shape[1] == row_size(kept)
    ((_, back),) = made.blocks()
    assert float((back - rows).norm() / rows.norm()) < error


@pytest.mark.parametrize("components", [3, 512, 601, 1536, 2040])
def test_a_score_is_the_product_with_the_stored_row_whoever_else_is_stored(components):
    rows, kept, query = normal(1500, components), tiers(components, 514), normal(1, components, 5)[0]
    rows[7] = 0
    made = quantise(rows, kept)
    codes, factors = made.codes, made.scales.float() * made.unit
    scores = stored_scores(codes, factors, kept, query)
    ((_, back),) = made.blocks()
    expected = back @ query
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-3)
    assert scores[7] == 0
    for count in (1, 1024, 1300):
        assert torch.equal(stored_scores(codes[:count], factors[:count], kept, query), scores[:count])


def test_turned_components_keep_inner_products_and_spread_a_lone_direction():
    components, kept = torch.eye(1536), tiers(1536, 514)
    made = turned(components, kept, seed=3)
    torch.testing.assert_close(made @ made.T, torch.eye(1536), rtol=0, atol=1e-4)
    assert float(made.abs().max()) < 0.3


@pytest.mark.parametrize("rows", [100, 5000])
def test_stored_rows_and_components_keep_the_products_of_queries_and_rows(rows):
    """At 8 bits, rows of rank 30: by their Gram matrix, and by the randomised way."""
    made, asked = normal(rows, 30) @ normal(30, 200, 1), normal(9, 200, 5)
    made[1], made[3] = made[0], made[2] + 1e-3 * made[4]
    components, stored = principal_components(made, 64, 514, seed=0)
    assert [t.bits for t in stored.tiers] == [8] and components.shape[1] == stored.width <= 64
    back = torch.cat([block for _, block in stored.blocks()])
    for queries in (asked, made[:5]):
        expected = queries @ made.T
        assert float((queries @ components @ back.T - expected).abs().max()) < 1e-2 * float(expected.abs().max())


@pytest.mark.parametrize("row_bytes", [514, 258])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 256, 300, 513, 1016])
def test_with_no_more_rows_than_components_each_row_is_one_and_nothing_is_lost_but_the_map_s_rounding(rows, row_bytes):
    made, asked = normal(rows, 1500) * normal(rows, 1, 2).abs(), normal(9, 1500, 5)
    made[rows // 2] = 0
    made[-1] = made[0]
    components, stored = principal_components(made, 2040, row_bytes, seed=0)
    assert stored.width == components.shape[1] == rows and row_size(stored.tiers) <= row_bytes
    scores = asked @ components.half().float() @ torch.cat([block for _, block in stored.blocks()]).T
    expected = asked @ made.T
    assert float((scores - expected).abs().max()) <= 4e-3 * float(expected.abs().max())
    assert rows == 2 or not scores[:, rows // 2].any()


@pytest.mark.parametrize("rows", [1200, 4200])
def test_a_query_is_read_by_the_map_that_undoes_the_rounding_best(rows):
    """A flat spectrum at 2 and 4 bits: directions alone would lose what was rounded (.1 of the square and more)."""
    made, asked = normal(rows, 1100), normal(20, 1100, 5)
    components, stored = principal_components(made, 1100, 514, seed=0)
    assert 2 in [t.bits for t in stored.tiers]
    back = torch.cat([block for _, block in stored.blocks()])
    least = torch.linalg.lstsq(back.double(), made.double()).solution.T.float()
    error = lambda map_: float((asked @ map_ @ back.T - asked @ made.T).square().mean() / (asked @ made.T).square().mean())
    assert error(components.half().float()) < 1.02 * error(least) + 1e-4
