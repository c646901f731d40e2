"""Every exception the toolkit raises on purpose, so that callers can catch one family.

    ProbesError
    ├── InputError (also a ValueError)   what was given cannot be used
    │   ├── ManifestError                lineage.toml: file, key, value, what was expected
    │   ├── CheckpointError              weights or an adapter that are damaged, unsafe or do not fit
    │   ├── TokenizerError               a tokenizer or chat template that does not fit the model
    │   ├── ConceptError                 a concept: file, row, field, value
    │   ├── SiteError                    a layer, head or hook point the model does not have
    │   └── RecipeError                  a training recipe
    ├── OutputError (also an OSError)    a result cannot be written
    ├── OfflineError                     a download was needed and the hub cannot be reached
    └── MissingDependencyError           an optional extra, or a browser, is not installed

A message is one line: what was given, what was expected, what to do.
"""


class ProbesError(Exception):
    """Base of every exception raised on purpose by this package."""


class InputError(ProbesError, ValueError):
    """What was given cannot be used."""


class ManifestError(InputError):
    """A `lineage.toml` that cannot be used."""


class CheckpointError(InputError):
    """Weights or an adapter that are damaged, unsafe, or do not fit the model they are meant for."""


class TokenizerError(InputError):
    """A tokenizer or chat template that does not fit the model."""


class ConceptError(InputError):
    """A concept file or table that cannot be used."""


class SiteError(InputError):
    """A layer, head or hook point that the model does not have."""


class RecipeError(InputError):
    """A training recipe that cannot be used."""


class OutputError(ProbesError, OSError):
    """A result that cannot be written where it was asked to go."""


class OfflineError(ProbesError):
    """A download was needed and the hub cannot be reached."""


class MissingDependencyError(ProbesError):
    """An optional extra of this package, or a browser, is not installed."""
