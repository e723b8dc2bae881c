"""The multi-type Geyer saturation process: its statistics, its fit by pseudo-likelihood, and its Metropolis chain."""
