"""Hit rates against capacity, held against an LRU cache that is simulated whole."""

import collections
import dataclasses

import numpy as np
import pytest
from tables import memory_config, rows_of

import tf_hps
from tf_hps._library import load_core
from tf_hps.capacity import HitRateCurve, hit_rate_curve, server_tables, split_budget
from tf_hps.capacity.budget import OVERHEAD_BYTES
from tf_hps.capacity.hit_rate_curve import reuse_distances
from tf_hps.cli import main
from tf_hps.metrics_reader import parse_figures


def lru_hit_rate(keys, capacity):
    cache = collections.OrderedDict()
    hits = 0
    for key in keys.tolist():
        if key in cache:
            hits += 1
            cache.move_to_end(key)
        else:
            if len(cache) >= capacity:
                cache.popitem(last=False)
            cache[key] = None
    return hits / len(keys)


def zipf(exponent, rows, lookups, seed):
    random = np.random.default_rng(seed)
    sums = np.cumsum(np.arange(1, rows + 1) ** -exponent)
    ranks = np.searchsorted(sums, random.uniform(0, sums[-1], lookups))
    return random.permutation(rows)[np.minimum(ranks, rows - 1)] * 7919 - 5


def test_distances_count_the_keys_between_two_uses():
    assert reuse_distances([5, 6, 5, 7, 7, 6, 5]).tolist() == [-1, -1, 1, -1, 0, 2, 2]
    assert reuse_distances(np.zeros(0, np.int64)).tolist() == []


def test_without_sampling_the_curve_is_exact():
    keys = zipf(1.0, 300, 5000, seed=1)
    curve = hit_rate_curve(keys)
    assert curve.rows == len(set(keys.tolist()))
    for capacity in curve.capacities[1::7]:
        assert curve.at(capacity) == pytest.approx(lru_hit_rate(keys, int(capacity)), abs=1e-12)


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.2])
def test_a_sample_of_a_fifth_is_within_two_points(exponent):
    keys = zipf(exponent, 30_000, 200_000, seed=2)
    curve = hit_rate_curve(keys, max_followed=40_000)
    for capacity in (500, 4000, 20_000):
        exact = lru_hit_rate(keys, capacity)
        assert abs(curve.at(capacity) - exact) < 0.02, (capacity, exact)


def test_a_hot_set_that_moves_and_a_scan_are_within_two_points():
    random = np.random.default_rng(3)
    moving = np.concatenate([random.integers(0, 2000, 25_000) + 1500 * i for i in range(4)])
    scan = np.tile(np.arange(100_000, 120_000), 4)
    for keys in (moving, scan):
        # Uniform inside of the set: there the error is that of how many of its keys were drawn.
        curve = hit_rate_curve(keys, max_followed=keys.size // 2)
        for capacity in (1500, 5000, 25_000):
            assert abs(curve.at(capacity) - lru_hit_rate(keys, capacity)) < 0.02, capacity


def test_a_budget_goes_where_a_byte_brings_most_hits():
    def steps(*points, lookups=100):
        capacities, rates = np.array(points, float).T
        return HitRateCurve(capacities.astype(np.int64), rates, lookups, int(capacities[-1]))

    row = 100 - OVERHEAD_BYTES
    curves = {"hot": steps((0, 0), (10, 0.9), (100, 1.0)), "cold": steps((0, 0), (50, 0.5))}
    row_bytes = {"hot": row, "cold": row}
    assert split_budget(curves, row_bytes, 1000) == {"hot": 10, "cold": 0}
    assert split_budget(curves, row_bytes, 3000) == {"hot": 10, "cold": 20}
    assert split_budget(curves, row_bytes, 6500) == {"hot": 15, "cold": 50}
    assert split_budget(curves, row_bytes, 10**9) == {"hot": 100, "cold": 50}
    # A table of ten times the lookups comes first, one of wide rows last.
    busy = {"hot": curves["hot"], "cold": steps((0, 0), (50, 0.5), lookups=10_000)}
    assert split_budget(busy, row_bytes, 1000) == {"hot": 0, "cold": 10}
    assert split_budget(busy, {"hot": row, "cold": 100 * row}, 1000)["hot"] == 10


def test_plan_prints_and_plots(tmp_path, capsys):
    np.save(tmp_path / "user.npy", zipf(1.1, 1000, 20_000, seed=4))
    np.save(tmp_path / "movie.npy", zipf(0.6, 1000, 5_000, seed=5))
    arguments = ["plan", "--budget", "1e5", "--row_bytes", "user=64", "--plot", f"{tmp_path}/p.png"]
    for table in ("user", "movie"):
        arguments += ["--trace", f"{table}={tmp_path}/{table}.npy"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "user: 20,000 lookups of about " in out and "movie: 5,000 lookups" in out
    assert "100,000 bytes split so that" in out and "memory.capacity_rows" in out
    assert (tmp_path / "p.png").stat().st_size > 5000
    assert main(["plan", "--trace", "user"]) == 2
    assert "--trace is TABLE=VALUE. Received: user" in capsys.readouterr().err


def test_an_open_tables_lookups_have_a_curve_on_the_metrics_page():
    config = dataclasses.replace(memory_config(), memory=tf_hps.MemoryConfig(capacity_rows=500))
    table = tf_hps.Table("movie_id", config)
    table.insert(np.arange(500), rows_of(np.arange(500)))
    keys = zipf(1.0, 2000, 100_000, seed=6)
    for _ in range(2):
        for batch in keys.reshape(-1, 1000):
            table._table.lookup(batch)
            table.stats()  # as the thread does that looks a few times a second
    stats = table.stats()
    curve = stats["hit_rate_curve"]
    assert curve["windows"] >= 1 and curve["sampled_keys"] >= 65_536
    figures = [f for f in parse_figures(load_core().metrics()) if f.table[0] == table.deployment]
    (seen,) = server_tables(figures).values()
    np.testing.assert_array_equal(seen.curve.capacities, curve["capacity_rows"])
    np.testing.assert_allclose(seen.curve.hit_rates, curve["hit_rates"], atol=1e-6)
    assert (seen.curve.lookups, seen.row_bytes, seen.capacity_rows) == (200_000, 16, 500)
    (memory,) = stats["tiers"]
    assert seen.hit_rate == pytest.approx(memory["hits"] / 200_000)
    twice = np.concatenate([keys, keys])
    for capacity in (20, 200, 1000):
        # Of the second half: a cache that has been in use.
        hits = 2 * lru_hit_rate(twice, capacity) - lru_hit_rate(keys, capacity)
        assert abs(seen.curve.at(capacity) - hits) < 0.02, capacity


def test_tables_of_one_name_are_told_apart_by_deployment_and_generation():
    page = "".join(
        f':tf_hps:hits_per_million{{deployment="{d}",table="{t}",generation="g",capacity_rows="{c}"}} {h}\n'
        for d, t, c, h in (
            ("eu", "user", 10, 500_000),
            ("eu", "user", 0, 0),
            ("us", "user", 0, 0),
            ("us", "item", 0, 0),
        )
    )
    tables = server_tables(parse_figures(page))
    assert set(tables) == {"eu/user/g", "us/user/g", "item"}
    assert tables["eu/user/g"].curve.capacities.tolist() == [0, 10]
    assert tables["eu/user/g"].curve.at(5) == 0.25
