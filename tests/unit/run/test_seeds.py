"""Seeds of single samples."""

from scipy.stats import kstest

from cellscaper.run.seeds import sample_seeds


def test_a_sample_keeps_its_seed_however_many_are_drawn():
    assert sample_seeds(3, 100, use=1)[:7] == sample_seeds(3, 7, use=1)
    assert sample_seeds(3, 0, use=1) == []
    assert sample_seeds(3, 100, use=1)[40:60] == sample_seeds(3, 20, use=1, first=40)


def test_seeds_of_other_runs_and_uses_differ():
    found = [seed for run in range(4) for use in (1, 2, 3) for seed in sample_seeds(run, 50, use)]
    assert len(set(found)) == len(found) == 600
    assert sample_seeds(1, 5, use=2) != sample_seeds(2, 5, use=1)


def test_seeds_fill_the_range_that_torch_takes():
    found = sample_seeds(0, 400, use=1)
    assert all(type(seed) is int and 0 <= seed < 2**63 for seed in found)
    assert kstest([seed / 2**63 for seed in found], "uniform").pvalue > 0.01
