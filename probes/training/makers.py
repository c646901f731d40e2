"""The registry of data makers, the functions that turn the `[data.NAME]` tables of a recipe into rows.

Three kinds are built in and read files. A recipe adds kinds of its own by naming a Python file, for example
`makers = "makers.py"`. Reading a recipe never runs that file; `build` does, through `load_makers`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from probes.errors import RecipeError
from probes.training.data import FILE_TABLES, ChatsFile, DataTable, DocumentsFile, PairsFile
from probes.training.readers import read_chats, read_documents, read_pairs

Row = Mapping[str, Any]
"""A document (`text`), a chat (`messages`) or a preference pair (`prompt`, `chosen`, `rejected`)."""
Table = TypeVar("Table", bound=DataTable)


@dataclass(frozen=True)
class DataMaker(Generic[Table]):
    """One kind of training data: its name, the keys its table may have, and the function that makes its rows.

    A Python file of data makers, named by a recipe, lists them in `MAKERS`.

    Parameters
    ----------
    kind : str
        What a `[data.NAME]` table writes as `kind` to be turned into rows by this data maker.
    table : type
        A subclass of `DataTable`, or of `BudgetedTable` where `tokens` say when to stop.
    rows : callable
        `rows(table, seed)` yields documents (`{"text": ...}`), chats (`{"messages": [...]}`) or preference
        pairs (`{"prompt": [...], "chosen": [...], "rejected": [...]}`). `seed` is the seed of the training
        run; the same seed has to give the same rows, because a finished stage is recognised by them.
    preference : bool
        Whether the rows are preference pairs, so that the stage is trained by DPO.

    Examples
    --------
    >>> from probes.training import DataMaker, DataTable
    >>> class Greetings(DataTable):
    ...     count: int
    >>> def greetings(table, seed):
    ...     for number in range(table.count):
    ...         yield {"text": f"Good morning, reader {seed + number}."}
    >>> maker = DataMaker("greetings", Greetings, greetings)
    >>> list(maker.rows(Greetings(kind="greetings", count=2), seed=5))
    [{'text': 'Good morning, reader 5.'}, {'text': 'Good morning, reader 6.'}]
    """

    kind: str
    table: type[Table]
    rows: Callable[[Table, int], Iterable[Row]]
    preference: bool = False


def file_makers(folder: Path) -> tuple[DataMaker[Any], ...]:
    """The built-in data makers; they read files below `folder`, and the seed changes nothing.

    Parameters
    ----------
    folder : Path
        Where the paths in the tables start: the recipe's folder.

    Returns
    -------
    tuple of DataMaker
        Those of the kinds `documents`, `chats` and `pairs`.

    Examples
    --------
    >>> from probes.training.data import ChatsFile
    >>> from probes.training.makers import file_makers
    >>> [maker.kind for maker in file_makers(folder)]
    ['documents', 'chats', 'pairs']
    """

    def documents(table: DocumentsFile, seed: int) -> Iterable[Row]:
        return read_documents(folder / table.path)

    def chats(table: ChatsFile, seed: int) -> Iterable[Row]:
        return islice(read_chats(folder / table.path), table.count)

    def pairs(table: PairsFile, seed: int) -> Iterable[Row]:
        return islice(read_pairs(folder / table.path), table.count)

    return (
        DataMaker("documents", DocumentsFile, documents),
        DataMaker("chats", ChatsFile, chats),
        DataMaker("pairs", PairsFile, pairs, preference=True),
    )


def load_makers(path: str | Path) -> tuple[DataMaker[Any], ...]:
    """Run a Python file of data makers and return what it lists in `MAKERS`.

    The file is run again at every call, so that an edited file counts. It can import its neighbours
    relatively (`from .words import WORDS`). Only name a file here that you would run yourself.

    Parameters
    ----------
    path : str or Path
        The Python file.

    Returns
    -------
    tuple of DataMaker
        What the file lists in `MAKERS`, in its order.

    Raises
    ------
    RecipeError
        There is no such file, it cannot be run, or `MAKERS` is missing, is not a list of data makers, or
        names a kind twice or a built-in kind.

    Examples
    --------
    >>> from probes.training import load_makers
    >>> code = '''
    ... from probes.training import DataMaker, DataTable
    ... def hello(table, seed):
    ...     yield {"text": "Hello."}
    ... MAKERS = [DataMaker("hello", DataTable, hello)]
    ... '''
    >>> _ = (folder / "makers.py").write_text(code)
    >>> [maker.kind for maker in load_makers(folder / "makers.py")]
    ['hello']
    """
    file = Path(path).expanduser().resolve()
    makers = vars(_run(file)).get("MAKERS")
    if not isinstance(makers, list | tuple) or not all(isinstance(maker, DataMaker) for maker in makers):
        raise RecipeError(f"{file}: expected MAKERS = [DataMaker(...), ...], got MAKERS = {makers!r:.80}")
    kinds = [maker.kind for maker in makers]
    for kind in kinds:
        if kind in FILE_TABLES:
            raise RecipeError(f"{file}: MAKERS has the built-in kind {kind!r}; give it another name")
        if kinds.count(kind) > 1:
            raise RecipeError(f"{file}: MAKERS has the kind {kind!r} twice; give one of them another name")
    return tuple(makers)


def _run(file: Path) -> Any:
    """The module that `file` is, run anew; its folder counts as a package, for the sake of its imports."""
    if not file.is_file():
        raise RecipeError(f"{file}: no such file; expected the Python file of data makers the recipe names")
    name = f"_probes_makers_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
        del sys.modules[loaded]
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(file.parent)])
    if spec is None or spec.loader is None:
        raise RecipeError(f"{file}: expected a Python file of data makers, whose name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise RecipeError(
            f"{file}: cannot be run as a file of data makers: {type(error).__name__}: {error}; mend the file"
        ) from error
    return module
