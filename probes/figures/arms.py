"""The arms of a lineage: which root-to-leaf paths are drawn together in one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One panel: the stages along its axis, and the root-to-leaf paths drawn in it."""

    stages: list[str]
    paths: list[list[str]]
    joined: bool = True
    """Whether each stage of a path was trained from the one before it; False where nobody said so."""

    def shared(self, path: list[str]) -> int:
        """How many stages of the path were drawn with the paths before it."""
        before = {stage for other in self.paths[: self.paths.index(path)] for stage in other}
        return sum(stage in before for stage in path)


def arms(order: Sequence[str], parents: Mapping[str, str | None] | None) -> list[Arm]:
    """Gather the root-to-leaf paths of a lineage into arms, in stage order.

    Paths that share more than their root stand in one arm. Without `parents` there is one arm of all stages,
    which are not joined. The parent of a stage is its nearest ancestor that is drawn.

    Examples
    --------
    >>> parents = {"base": None, "mid": "base", "chat": "mid", "dpo": "mid", "control": "base"}
    >>> [arm.paths for arm in arms(list(parents), parents)]
    [[['base', 'mid', 'chat'], ['base', 'mid', 'dpo']], [['base', 'control']]]
    """
    if parents is None:
        return [Arm(list(order), [list(order)], joined=False)]
    paths: list[list[str]] = []
    for leaf in order:
        path: list[str] = []
        stage: str | None = leaf
        while stage is not None and stage not in path:
            path.append(stage)
            stage = parents.get(stage)
        paths.append([stage for stage in reversed(path) if stage in set(order)])
    inner = {stage for path in paths for stage in path[:-1]}
    together: dict[tuple[str, ...], list[list[str]]] = {}
    for path in paths:
        if path[-1] not in inner:
            together.setdefault(tuple(path[:2]), []).append(path)
    drawn = sorted(together.items(), key=lambda arm: order.index(arm[0][-1]))
    return [Arm(list(dict.fromkeys(s for p in paths for s in p)), paths) for _, paths in drawn]
