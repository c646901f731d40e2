"""Statistics on arrays: intervals, contrasts, permutation tests, corrections; no model and no table format.

`estimates` holds one mean or one share with its interval, `jackknife` weighted sums of quantities that were
measured on the same pairs, `contrasts` the comparisons that the toolkit makes with them, `permutation` and
`corrections` p-values, and `alignment` what training does to all activations alike.
"""
