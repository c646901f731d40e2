"""Intervals, contrasts, permutation tests and corrections on arrays; no model and no table format."""
