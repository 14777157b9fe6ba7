"""The benchmark: how fast the network is, against what it could be.

Every comparison is paired: the contenders take turns in one run, and a ratio is the median of the ratios of neighbours,
with the smallest and largest. Nothing is downloaded; images are random. `parts/` has one file per table.
"""
