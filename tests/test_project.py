"""What a newcomer sees first is what the code says: reference page, README, notebook, Makefile."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import probes
from probes.cli import parser

ROOT = Path(__file__).parent.parent
SHOWN = (ROOT / "README.md", ROOT / "docs" / "your-own.md", ROOT / "docs" / "architecture.md")
"""The pages that show commands and code to type."""
GUIDES = (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md")
"""The pages that say where in the code a thing is."""
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*/README.md")))


def test_reference_page_is_what_the_code_says():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "build.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", SHOWN, ids=lambda p: p.name)
def test_commands_that_are_shown_parse(page):
    shown = re.findall(r"^probes (.+)$", page.read_text(), re.MULTILINE)
    assert shown
    for command in shown:
        words = shlex.split(command.removesuffix("\\"), comments=True)
        assert parser().parse_args(words).run, command


def test_python_in_the_readme_names_what_exists():
    blocks = re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")
        for name in re.findall(r"probes\.(\w+)", block):
            assert name in probes.__all__, name


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if not path.startswith("http"):
            file = page.parent / path if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", GUIDES, ids=lambda p: p.name)
def test_names_in_a_guide_are_in_the_file_they_link_to(page):
    links = re.findall(r"\[`(\w+)`\]\(([^)\s]+\.py)\)", page.read_text())
    assert len(links) > 20
    for name, path in links:
        defined = rf"^\s*(?:def|class) {name}\b|^{name}\b"
        assert re.search(defined, (page.parent / path).read_text(), re.MULTILINE), f"{name} in {path}"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_were_run_to_the_end(path):
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
    assert sum(bool(c["outputs"]) for c in cells) >= len(cells) - 1


def test_every_make_command_has_a_line_of_help():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "check", "bench", "notebooks", "docs"):
        assert re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE), target


def test_what_make_installs_fits_what_users_are_promised():
    promised = (ROOT / "pyproject.toml").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    for name, least in re.findall(r'"([\w-]+)>=([\d.]+)"', promised):
        if name in pins:
            have = [int(x) for x in re.findall(r"\d+", pins[name])[:3]]
            assert have >= [int(x) for x in least.split(".")], name
