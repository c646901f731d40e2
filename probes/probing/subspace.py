"""A subspace of activations in which a concept is written, and the angles between two of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import subspace_angles

from probes.errors import InputError
from probes.models.sites import Site
from probes.probing.direction import Direction
from probes.probing.vector_files import read_vectors, write_vectors
from probes.stats.alignment import Alignment

_ARRAYS = ("basis", "gaps", "covariance")


@dataclass(frozen=True, eq=False)
class Subspace:
    """A subspace at a site, and where it came from.

    Parameters
    ----------
    basis : float32 array `[k, d]`
        Orthonormal rows.
    gaps : float array `[k]`
        Half the distance between the class means along each row, in units of activation.
    covariance : float array `[k, k]`
        That of the activations within the classes, along the rows.
    site : Site
        The place in the model that it belongs to.
    position : str
        The role of the tokens that it was found at (see `probes.locating.ROLES`).
    stage, concept, method : str
        What it was found on, and how.
    digest : str
        Identifies what it was found on.

    Raises
    ------
    InputError
        For rows that are not orthonormal, or shapes that do not fit together.

    Example
    -------
    >>> from probes.models import Site
    >>> from probes.probing import Subspace
    >>> plane = Subspace(
    ...     basis=np.eye(2, 4), gaps=[3.0, 4.0], covariance=np.eye(2), site=Site("resid_post", 2),
    ...     position="evidence", stage="mid", concept="prices", method="das_2", digest="",
    ... )
    >>> plane.k, plane.direction.vector, plane.direction.gap
    (2, array([0.6, 0.8, 0. , 0. ], dtype=float32), 5.0)
    """

    basis: NDArray[np.float32] = field(repr=False)
    gaps: NDArray[np.float64] = field(repr=False)
    covariance: NDArray[np.float64] = field(repr=False)
    site: Site
    position: str
    stage: str
    concept: str
    method: str
    digest: str

    def __post_init__(self) -> None:
        basis = np.array(self.basis, dtype=np.float32)
        k = basis.shape[0] if basis.ndim == 2 else 0
        if not k or not np.allclose(basis @ basis.T, np.eye(k), atol=1e-3):
            raise InputError(f"basis of shape {basis.shape}: expected orthonormal rows [k, d]")
        gaps = np.array(self.gaps, dtype=np.float64)
        covariance = np.array(self.covariance, dtype=np.float64)
        if gaps.shape != (k,) or covariance.shape != (k, k):
            raise InputError(
                f"gaps of shape {gaps.shape} and covariance of shape {covariance.shape}: expected ({k},) and "
                f"({k}, {k}), as the basis has {k} rows"
            )
        for name, array in (("basis", basis), ("gaps", gaps), ("covariance", covariance)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def of_states(
        cls, basis: ArrayLike, states: Float[np.ndarray, "n d"], labels: ArrayLike, **facts: Any
    ) -> Subspace:
        """A subspace with its gaps and covariance measured on activations.

        Parameters
        ----------
        basis : float array `[k, d]`
            Orthonormal rows.
        states : float array `[n, d]`
            Activations.
        labels : array `[n]`
            0 or 1.
        facts
            The other fields.

        Example
        -------
        >>> from probes.probing import Subspace
        >>> states, labels = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0], [6.0, 1.0]]), [0, 0, 1, 1]
        >>> facts = dict(position="last", stage="mid", concept="prices", method="probe", digest="")
        >>> facts |= dict(site=probes.Site("resid_post", 0))
        >>> found = Subspace.of_states([[1.0, 0.0]], states, labels, **facts)
        >>> found.direction.gap, found.direction.scale
        (2.0, 1.414)
        """
        inside = np.asarray(states, dtype=np.float64) @ np.asarray(basis, dtype=np.float64).T
        labels = np.asarray(labels).astype(int)
        means = np.stack([inside[labels == label].mean(0) for label in (0, 1)])
        rest = inside - means[labels]
        covariance = rest.T @ rest / max(1, len(labels) - 2)
        rows = np.asarray(basis, dtype=np.float32)
        return cls(rows, (means[1] - means[0]) / 2, covariance, **facts)

    @property
    def k(self) -> int:
        """The number of dimensions."""
        return len(self.basis)

    @property
    def direction(self) -> Direction:
        """The direction within the subspace in which the class means differ, for everything that takes a
        direction: `probes.steer`, `Add.along`, `Ablate.along`."""
        gap = float(np.linalg.norm(self.gaps))
        inside = self.gaps / gap if gap else self.gaps
        return Direction(
            vector=(inside @ self.basis).astype(np.float32),
            site=self.site,
            position=self.position,
            stage=self.stage,
            concept=self.concept,
            estimator=self.method,
            scale=float(np.sqrt(inside @ self.covariance @ inside)),
            gap=gap,
            digest=self.digest,
        )

    def angles(self, other: Subspace) -> NDArray[np.float64]:
        """The principal angles to another subspace, in degrees, the smallest first.

        There are as many as the smaller one has dimensions. They are 0 where one holds the other, and 90
        where nothing is shared (Björck and Golub 1973, doi:10.1090/S0025-5718-1973-0348991-3). What is small
        depends on how much a subspace turns when it is found again at the same stage: see
        `probes.Location.noise_floor`.

        Raises
        ------
        InputError
            When the widths differ.

        Example
        -------
        >>> from probes.probing import Subspace
        >>> facts = dict(position="last", stage="mid", concept="prices", method="probe", digest="")
        >>> facts |= dict(gaps=np.ones(2), covariance=np.eye(2), site=probes.Site("resid_post", 0))
        >>> one, two = (Subspace(np.eye(4)[rows], **facts) for rows in ([0, 1], [1, 2]))
        >>> one.angles(two)
        array([ 0., 90.])
        """
        if self.basis.shape[1] != other.basis.shape[1]:
            raise InputError(
                f"subspaces of width {self.basis.shape[1]} and {other.basis.shape[1]}: expected one width"
            )
        found = subspace_angles(self.basis.T.astype(float), other.basis.T.astype(float))
        return np.rad2deg(found)[::-1]

    def aligned(self, alignment: Alignment) -> Subspace:
        """The subspace where an alignment of stages takes it (see `probes.stats.alignment.procrustes`).

        Example
        -------
        >>> from probes.probing import Subspace
        >>> from probes.stats.alignment import procrustes
        >>> facts = dict(position="last", stage="mid", concept="prices", method="probe", digest="")
        >>> facts |= dict(gaps=[1.0], covariance=[[1.0]], site=probes.Site("resid_post", 0))
        >>> source = np.random.default_rng(0).normal(size=(20, 2))
        >>> Subspace([[1.0, 0.0]], **facts).aligned(procrustes(source, source[:, ::-1])).basis.round(3) + 0
        array([[0., 1.]], dtype=float32)
        """
        return dataclasses.replace(self, basis=alignment.directions(self.basis).astype(np.float32))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file with the arrays, and everything else as JSON in its metadata.

        Raises
        ------
        OutputError
            When the file cannot be written.
        """
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        arrays = {name: values.pop(name) for name in _ARRAYS}
        write_vectors(path, "subspace", arrays, values)

    @classmethod
    def load(cls, path: str | Path) -> Subspace:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            For a file that is missing or holds something else.

        Example
        -------
        >>> from probes.probing import Subspace
        >>> facts = dict(position="last", stage="mid", concept="prices", method="probe", digest="")
        >>> facts |= dict(gaps=[1.0], covariance=[[1.0]], site=probes.Site("resid_post", 0))
        >>> Subspace([[1.0, 0.0]], **facts).save(folder / "prices.safetensors")
        >>> Subspace.load(folder / "prices.safetensors").site
        Site(kind='resid_post', layer=0)
        """
        return cls(**read_vectors(path, "subspace", [field.name for field in dataclasses.fields(cls)]))
