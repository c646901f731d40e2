"""spec-probes: what each training stage of a model knows, uses and keeps of a concept.

The public names are listed in `__init__.pyi`, which type checkers read and from which they are imported on
first use, so that `import probes` is quick.
"""

from __future__ import annotations

from typing import Any

import lazy_loader

from probes.tables.drawing import draw_with

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _draw(result: Any, **options: Any) -> Any:
    from probes.figures import draw

    return draw(result, **options)


draw_with(_draw)
