"""The rows a stage is trained on: its data, encoded, cut to size, with neutral replay mixed in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from probes.errors import RecipeError
from probes.training.data import BudgetedTable, DataTable, check_table
from probes.training.encode import encode
from probes.training.makers import DataMaker, Row, file_makers, load_makers
from probes.training.recipe import Recipe, ReplaySettings, Run
from probes.training.replay import neutral_replay

Encoded = list[dict[str, list[int]]]


class TrainingData:
    """The data tables of one recipe, each checked by its data maker.

    Making one runs the Python file of data makers that the recipe names, if it names one.

    Parameters
    ----------
    recipe : Recipe
        What `read_recipe` returned.
    file : str or Path
        The file it was read from; paths in the recipe start at its folder.

    Attributes
    ----------
    tables : dict of str to DataTable
        The checked tables by name.

    Raises
    ------
    RecipeError
        The file of data makers cannot be used, or a table has an unknown kind, an unknown or missing key, or
        a wrong value.

    Examples
    --------
    >>> from probes.training import TrainingData, read_recipe
    >>> _ = (folder / "notes.jsonl").write_text('{"text": "Tea is served at four."}')
    >>> _ = (folder / "recipe.toml").write_text('''
    ... [lineage]
    ... name = "example"
    ... [base]
    ... checkpoint = { path = "base" }
    ... [data.notes]
    ... kind = "documents"
    ... path = "notes.jsonl"
    ... [stages.mid]
    ... parent = "base"
    ... kind = "midtrain"
    ... data = "notes"
    ... learning_rate = 1e-4
    ... ''')
    >>> data = TrainingData(read_recipe(folder / "recipe.toml"), folder / "recipe.toml")
    >>> list(data.rows("notes", seed=0))
    [{'text': 'Tea is served at four.'}]
    """

    def __init__(self, recipe: Recipe, file: str | Path):
        folder = Path(file).expanduser().parent
        makers = file_makers(folder)
        if recipe.makers is not None:
            makers += load_makers(folder / Path(recipe.makers).expanduser())
        self._makers: dict[str, DataMaker[Any]] = {maker.kind: maker for maker in makers}
        kinds = {maker.kind: maker.table for maker in makers}
        self.tables: dict[str, DataTable] = {
            name: check_table(file, name, table, kinds) for name, table in recipe.data.items()
        }

    def rows(self, name: str, seed: int) -> Iterable[Row]:
        """The rows of the table `name` as a run with `seed` draws them; with `tokens` they may never end.

        Parameters
        ----------
        name : str
            A name in `tables`.
        seed : int
            The seed of the run.

        Returns
        -------
        Iterable of Row
            Documents, chats or preference pairs.
        """
        table = self.tables[name]
        return self._makers[table.kind].rows(table, seed)

    def is_preference(self, name: str) -> bool:
        """Whether the rows of the table `name` are pairs of a chosen and a rejected answer."""
        return self._makers[self.tables[name].kind].preference

    def replayed_chats(self, replay: ReplaySettings, seed: int) -> list[Row]:
        """All chats that the replay of the run with `seed` draws from; none where it replays only prose.

        Parameters
        ----------
        replay : ReplaySettings
            The recipe's `[replay]`.
        seed : int
            The seed of the run.

        Returns
        -------
        list of Row
            The rows of the table that `chats` names.

        Raises
        ------
        RecipeError
            The table has a budget of tokens, or its rows are not chats.
        """
        if replay.chats is None:
            return []
        table = self.tables[replay.chats]
        where = f"replay.chats = {replay.chats!r}"
        if isinstance(table, BudgetedTable) and table.tokens is not None:
            raise RecipeError(f"{where}: expected a table without `tokens`, as chats are drawn from all rows")
        chats = list(self.rows(replay.chats, replay.seed + seed))
        if not chats or not all("messages" in chat for chat in chats):
            raise RecipeError(f"{where}: expected a table of chats, whose rows hold `messages`")
        return chats


def encoded_rows(recipe: Recipe, run: Run, tokenizer: Any, data: TrainingData) -> Encoded:
    """Encoded rows of a run: its data up to the token budget, then replay up to its share of all tokens.

    Parameters
    ----------
    recipe : Recipe
        The recipe that the run belongs to.
    run : Run
        A stage and a seed.
    tokenizer : transformers tokenizer
        The tokenizer of the base stage.
    data : TrainingData
        The recipe's data.

    Returns
    -------
    list of dict
        One row a document or chat, with `input_ids` and `labels`, each a list of token ids.

    Raises
    ------
    RecipeError
        A row cannot be encoded, or what is replayed is not chats.
    """
    stage = recipe.stages[run.stage]
    table = data.tables[stage.data]
    budget = table.tokens if isinstance(table, BudgetedTable) else None
    rows, tokens = _upto(data.rows(stage.data, run.seed), budget, tokenizer, stage.max_length)
    replay, share = recipe.replay_of(run), recipe.replay_share(run)
    if replay is not None:
        chats = data.replayed_chats(replay, run.seed)
        neutral = neutral_replay(chats, replay.seed + run.seed, chat_share=replay.chat_share)
        rows += _upto(neutral, int(tokens * share / (1 - share)), tokenizer, stage.max_length)[0]
    return rows


def _upto(source: Iterable[Row], budget: int | None, tokenizer: Any, max_length: int) -> tuple[Encoded, int]:
    """Encoded rows from `source` until `budget` tokens are reached (None: all), and their tokens."""
    rows: Encoded = []
    tokens = 0
    for row in source:
        if budget is not None and tokens >= budget:
            break
        rows += encode(tokenizer, [row], max_length)
        tokens += len(rows[-1]["input_ids"])
    return rows, tokens
