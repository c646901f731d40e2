"""The lint: it looks for everything that lets a probe tell the labels apart without the concept.

`probes.concepts` does not import it, so that reading a concept does not load scikit-learn.
"""

from probes.concepts.linting.checks import lint
from probes.concepts.linting.cutting import read_tokenizer
from probes.concepts.linting.report import LintIssue, LintReport

__all__ = ["LintIssue", "LintReport", "lint", "read_tokenizer"]
