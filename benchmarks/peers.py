"""Other libraries at their own jobs, on the same weights and texts, each where its pins let it live.

    python benchmarks/peers.py [--texts 240] [--items 6] [--repeats 3] [--folder out/bench-peers]
        [--out benchmarks/results/peers.json]

TransformerLens and nnsight share this project's environment. steering-vectors (transformers < 5), sae-probes
(TransformerLens < 4) and nnterp (an older nnsight) get environments of their own under the folder, made once
from the pinned files in `benchmarks/peers/`. The scripts beside those files time one library each, in turns
with a yardstick in the same process; what cannot be installed or run is reported with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from common import batches, fastest_budget, save
from extraction import CONCEPT, extract, passages, ragged_texts

import probes
from probes.activations import run_context
from probes.lineage import LoadedStage
from probes.steering.prompts import prompts_of

HERE = Path(__file__).parent / "peers"
JOBS = {
    "extracting": ("ours", "transformers", "transformer_lens", "nnsight", "nnterp", "steering_vectors"),
    "fitting": ("ours", "sae_probes"),
    "steering": ("ours", "steering_vectors"),
}
ENVIRONMENTS = {"nnterp": "nnterp", "steering_vectors": "steering-vectors", "sae_probes": "sae-probes"}
"""Library -> its environment and file of pins; the others live in this project's."""
DOSES = (-2.0, -1.0, 1.0, 2.0)
PAIRS = 32


def save_model(loaded: LoadedStage, folder: Path) -> None:
    """An ordinary folder of weights and tokenizer, that transformers 4 reads as 5 does."""
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    # Transformers 4 looks for the base of the rotary angles at the top, and takes 10,000 without a word.
    config.setdefault("rope_theta", config["rope_parameters"]["rope_theta"])
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def write_task(folder: Path, lineage: str, n_texts: int, n_items: int, n_rows: int) -> None:
    """Weights, texts, batches, what a reader must find, and the problems of probing and of steering."""
    loaded = probes.load_lineage(lineage).root.load()
    save_model(loaded, folder / "model")
    texts = ragged_texts(n_texts)
    rows = [loaded.tokenizer(text)["input_ids"] for text in texts]
    budget = fastest_budget(loaded.model.get_decoder(), rows)

    concept = probes.load_concept(CONCEPT)
    plain = concept.frame().filter(pl.col("text").is_not_null())
    plain = plain.filter(pl.len().over("pair") == 2).sort("pair", "label", descending=[False, True])[:n_rows]
    pairs = probes.Concept.from_frame(plain.select("pair", "label", "template", "text"), pair="pair")
    n_layers = loaded.model.config.num_hidden_layers
    layers = [k * n_layers // 5 for k in range(1, 5)]
    items = [item for item in concept.choices if item.shift is None and "{first}" in (item.prompt or "")]
    prompts = prompts_of(items[:n_items], run_context(loaded))
    order = np.random.default_rng(0).permutation(len(plain))
    settings = {name: getattr(loaded.tokenizer, name) for name in ("eos_token", "bos_token", "chat_template")}
    task = {
        "texts": texts,
        "tokenizer": {**settings, "pad_token": loaded.tokenizer.pad_token or loaded.tokenizer.eos_token},
        "rows": rows,
        "batches": batches(rows, budget),
        "steered": {
            "concept": CONCEPT,
            "items": [prompt.id for prompt in prompts],
            "rows": [
                ([*prompt, *option], len(prompt)) for one in prompts for prompt, option in one.sequences
            ],
            "layers": layers,
            "doses": DOSES,
            "pairs": plain["text"].to_numpy().reshape(-1, 2)[:PAIRS].tolist(),
        },
    }
    (folder / "task.json").write_text(json.dumps(task))
    np.savez(
        folder / "arrays.npz",
        values=extract(loaded, passages(texts)).values,
        X=extract(loaded, pairs, layers=layers[:3]).values[:, order],
        y=pairs.labels[order],
    )


def environment(name: str, folder: Path) -> Path:
    """The Python of an environment with the pins of `benchmarks/peers/<name>.txt`, made when it is not
    there. Raises CalledProcessError with pip's words where it cannot be."""
    pins, home = HERE / f"{name}.txt", folder / name
    stamp, python = home / "installed.txt", home / "bin" / "python"
    if stamp.exists() and stamp.read_text() == pins.read_text():
        return python
    options = {"check": True, "capture_output": True, "text": True}
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], **options)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", pins], **options)
    stamp.write_text(pins.read_text())
    return python


def run(job: str, library: str, folder: Path, repeats: int) -> dict[str, Any]:
    """What one library took for one job, or why it did not do it."""
    out = folder / f"{job}-{library}.json"
    try:
        name = ENVIRONMENTS.get(library)
        python = sys.executable if name is None else environment(name, folder)
        command = [python, HERE / f"{job}.py", library, folder, out, "--repeats", str(repeats)]
        paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")] if name is None else [str(HERE.parent)]
        settings = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, check=True, capture_output=True, text=True, env=settings)
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if line.strip()]
        return {"failed": lines[-1] if lines else f"exit status {error.returncode}"}
    return json.loads(out.read_text())


def agreement(steered: dict[str, dict[str, Any]]) -> None:
    """Say how far each library's choice logits are from ours, in place of the logits."""
    choices = {library: np.array(one.pop("choice_logits", [])) for library, one in steered.items()}
    for library, logits in choices.items():
        if logits.size and choices["ours"].size:
            steered[library]["largest_difference_in_a_choice_logit"] = float(
                np.abs(logits - choices["ours"]).max()
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=240)
    parser.add_argument("--rows", type=int, default=432, help="rows of the probing problem")
    parser.add_argument("--items", type=int, default=6, help="choice items scored at every dose")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=list(JOBS))
    parser.add_argument("--lineage", default="checkpoints/msm-mini")
    parser.add_argument("--folder", type=Path, default=Path("out/bench-peers"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/peers.json"))
    args = parser.parse_args()

    folder = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_task(folder, args.lineage, args.texts, args.items, args.rows)
    jobs: dict[str, dict[str, Any]] = {}
    for job in args.jobs:
        jobs[job] = {}
        for library in JOBS[job]:
            jobs[job][library] = result = run(job, library, folder, args.repeats)
            print(f"{job} {library}: {result.get('failed') or format(result['ratio'], '.3f')}", flush=True)
    if "steering" in jobs:
        agreement(jobs["steering"])
    save({"texts": args.texts, "jobs": jobs}, args.out)


if __name__ == "__main__":
    main()
