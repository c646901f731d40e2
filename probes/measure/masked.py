"""What can be read without the words that say it: a probe on the tokens outside the evidence."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from probes.activations import Activations, Store, extract
from probes.concepts import Concept
from probes.lineage import LoadedStage
from probes.models import BackendName, Site
from probes.probing import split_rows
from probes.probing.estimators import fit_probe, make_probe
from probes.stats.jackknife import Tested, auroc_contrast


def masked_auroc(
    loaded: LoadedStage,
    concept: Concept,
    site: Site,
    *,
    estimator: str = "logistic",
    groups: Literal["pair", "template"] = "pair",
    store: Store | str | None = None,
    backend: BackendName = "transformers",
    render: Literal["shared", "own"] = "shared",
    seed: int = 0,
    progress: bool = True,
) -> Tested | None:
    """AUROC on test pairs of a probe fitted, at one site, on the mean of the tokens that overlap no evidence.

    Where the two sides of a pair differ in the evidence alone, whatever is read there is in the model's state
    and not in the words that are read (a probe's AUROC can fall from .94 to .57 once the tokens that give the
    label away are gone: arXiv 2509.21344). Evidence that ends the text leaves nothing after it to read, which
    lowers this AUROC for another reason.

    None for a concept without marked evidence. Raises what extraction raises.
    """
    if not all(example.evidence and example.text for example in concept.examples):
        return None
    options: dict[str, Any] = {"backend": backend, "store": store, "render": render, "progress": progress}
    acts = extract(
        loaded, concept, site.kind, layers=[site.layer or 0], position="outside", controls=(), **options
    )
    assert isinstance(acts, Activations)
    splits, labels = split_rows(acts, seed), np.asarray(acts.labels).astype(int)
    values = acts.values[0].astype(np.float64)
    units = np.asarray(acts.groups if groups == "pair" else acts.templates)
    train, test = splits.train, splits.test
    probe = fit_probe(make_probe(estimator), values[train], labels[train], units[train])
    return auroc_contrast([probe.decision_function(values[test])], [1], labels[test], units[test], null=0.5)
