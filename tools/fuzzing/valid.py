"""Valid files, made once: inputs are spoiled from them, and they lie beside every input, where nothing may change."""

import importlib
import itertools
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

LEAST = ["--samples", "20", "--epochs", "1", "--network", "2", "--batch-size", "8"]
"""Options with which next to nothing is trained."""
UNTUNED = ["--tune", "0", "--seeds", "1", "--controls", "none"]
COMPARE = ["compare", "moons", *LEAST, *UNTUNED]
DISCOVER = ["discover", "moons", *LEAST, "--seeds", "1", "--evaluations", "4", "--batch", "2", "--fresh-seeds", "2"]
DISCOVER += ["--tune", "1", "--transfer", "none", "--no-random-search"]


@dataclass(frozen=True)
class Maker:
    """What an input is made with: chance, the folder that it lies in (the child's working folder), the valid files, and the
    file that nothing may ever make."""

    chance: random.Random
    folder: Path
    valid: Path
    canary: Path

    def copied(self, name: str, to: str | None = None) -> Path:
        """A valid file or folder, copied into the input's folder."""
        target = self.folder / (to or name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (self.valid / name).is_dir():
            shutil.copytree(self.valid / name, target)
        else:
            shutil.copyfile(self.valid / name, target)
        return target

    def write(self, name: str, data: bytes) -> Path:
        """A new file in the input's folder."""
        path = self.folder / name
        path.write_bytes(data)
        return path


def table(rows: int = 24) -> str:
    """A table of two features, a text and a class, as CSV."""
    chance = np.random.default_rng(0)
    lines = ["a,b,color,label"]
    for number in range(rows):
        x, y = chance.normal(size=2)
        lines.append(f"{x:.4f},{y:.4f},{('red', 'blue')[number % 2]},{int(x > y)}")
    return "\n".join(lines) + "\n"


def make(folder: Path) -> None:
    """All valid files; trains, so that it is called in a child of its own."""
    from ascribe import Model, datasets, networks, train  # noqa: PLC0415 - late: the parent only imports
    from ascribe.cli import main  # noqa: PLC0415

    _timeless()
    os.chdir(folder)
    (folder / "table.csv").write_text(table(), encoding="utf-8")
    _arrays(folder)
    rules = ["--rules", "backprop,feedback-alignment", "--tune", "0", "--seeds", "2", "--landscape", "linear1"]
    if main(["compare", "moons", *LEAST, *rules, "--out", "record"]) or main([*DISCOVER, "--out", "found"]):
        raise SystemExit("the valid files could not be made")
    data = datasets.load("moons", samples=20)
    runs = train(networks.mlp([2, 2, 1]), data, "backprop", epochs=1, seeds=1, batch_size=8)
    Model.of(runs, seed=0).save(folder / "model.safetensors")
    beside = folder / "beside"
    (beside / "record").mkdir(parents=True)
    for name in ("table.csv", "model.safetensors", "record/record.json", "record/ascribe.sqlite", "record/runs.csv"):
        shutil.copyfile(folder / name, beside / name)


def _timeless() -> None:
    """In this process nothing takes time and nothing is random, so that the files are the same ones each time they are made,
    and so is what a seed makes of them."""
    from ascribe.store import book, keeper  # noqa: PLC0415

    numbers = itertools.count(1)
    moments = itertools.count()
    book.now = keeper.now = lambda: f"2026-01-01T00:00:{next(moments) % 60:02d}.000+00:00"
    book.secrets = SimpleNamespace(token_hex=lambda size: f"{next(numbers):0{2 * size}x}")
    clock = itertools.count(0.0, 1e-3)
    timeless = SimpleNamespace(perf_counter=lambda: next(clock), monotonic=lambda: next(clock))
    for name in ("driver", "experiment"):
        module: Any = importlib.import_module(f"ascribe.training.{name}")
        module.time = timeless


def _arrays(folder: Path) -> None:
    """Tables as NPZ and Parquet, and a Parquet file that is a thousand times its size when it is read."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    chance = np.random.default_rng(0)
    inputs = chance.normal(size=(24, 3)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int32)
    np.savez(folder / "plain.npz", x=inputs, y=labels)
    np.savez_compressed(folder / "split.npz", x_train=inputs, y_train=labels, x_test=inputs[:8], y_test=labels[:8])
    columns = {"a": inputs[:, 0], "b": inputs[:, 1], "color": np.where(labels, "red", "blue"), "label": labels}
    pq.write_table(pa.table(columns), folder / "table.parquet")
    zeros = pa.array(np.zeros(30_000_000, np.int8))
    pq.write_table(pa.table({"a": zeros, "label": zeros}), folder / "bomb.parquet")
