"""The full record of a comparison, in open formats:

record.json               configuration, versions, rules, chosen rates, status, scores, confusion matrices; checksums of the
                          files and of itself
runs.csv                  one row a run: rule, seed, rate, whether it was tuned, hyper-parameters, epochs, status, scores
curves/RULE.npz           every curve, (seeds, epochs), class maps of some epochs, and what tuning tried
parameters/RULE.safetensors   the trained networks of all seeds
data.npz                  the data before its transforms, where it is small
statistics.npz            what was fitted to the inputs, where that is too long for record.json
landscape.npz             the loss landscape, where one was asked for
folds/1, folds/2, ...     of cross-validation: the record of every fold, without a page, in place of curves, parameters and data
index.html, figures/      the page, and its pictures as PNG and SVG
"""

import hashlib
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.checksums import intact, sealed
from ascribe.datasets import Card, Dataset, Split, Transform, Understood
from ascribe.datasets.base import LISTED, short_settings
from ascribe.datasets.npz import load_arrays
from ascribe.errors import UserError, names_in_words
from ascribe.files import path_of, short
from ascribe.networks import Unbuilt
from ascribe.networks.registry import sources
from ascribe.search import Tuning
from ascribe.training import Runs

from .export import csv_table, run_rows
from .folder import FOLDS, RECORD, whole_folder
from .landscape import load_landscape, save_landscape
from .parameters import load_parameters, save_parameters
from .shape import FOLDED, misfit
from .shape import RECORD as SHAPE

FORMAT = 1
SMALL_DATA = 8 * 2**20
"""Bytes up to which the data is kept with the record."""


def save(
    comparison: Any,
    folder: Path,
    *,
    draw: Callable[[Path], object],
    overwrite: bool = False,
    replacing: Path | None = None,
) -> Path:
    """Writes everything into `folder`, whole or not at all, and returns the page's path. `draw` writes the page and its figures
    into the folder that it is given; `replacing`: as in `whole_folder`.

    **Raises:** `UserError` where the folder cannot be written. Where only the page cannot be drawn, the record stands.
    """
    undrawn: Exception | None = None
    with whole_folder(folder, overwrite=overwrite, replacing=replacing) as temporary:
        content = _in_folds(comparison, temporary) if comparison.folds else _numbers(comparison, temporary)
        try:
            draw(temporary)
        except Exception as error:  # a picture must never cost the numbers
            undrawn = error
        _seal(comparison, temporary, content)
    if undrawn is not None:
        raise UserError(
            f"the results are in {str(folder)!r}, but their page could not be drawn ({type(undrawn).__name__}: {undrawn}): "
            f"try `ascribe report {folder}`."
        ) from undrawn
    return folder / "index.html"


def _numbers(comparison: Any, folder: Path) -> dict[str, Any]:
    """Writes everything but the page, and returns what the record says of it."""
    (folder / "curves").mkdir()
    (folder / "parameters").mkdir()
    slugs = _slugs(comparison)
    for name, runs in (comparison.runs | comparison.controls).items():
        arrays = {f"curve:{key}": runs.curves[key] for key in sorted(runs.curves)}
        arrays |= {f"score:{key}": value for key, value in runs.scores.items()}
        arrays |= {f"class_map:{epoch}": maps for epoch, maps in runs.class_maps.items()}
        arrays |= {"learning_rates": runs.learning_rates, "diverged_at": runs.diverged_at}
        tuning = comparison.tuning.get(name)
        if tuning is not None:
            arrays |= {
                "tuning:learning_rates": tuning.learning_rates,
                "tuning:scores": tuning.scores,
                "tuning:losses": tuning.losses,
                **{f"tuning:leaf:{key}": tuning.hyperparameters[key] for key in sorted(tuning.hyperparameters)},
            }
        np.savez_compressed(folder / "curves" / f"{slugs[name]}.npz", allow_pickle=False, **arrays)
        path = folder / "parameters" / f"{slugs[name]}.safetensors"
        save_parameters(path, runs.networks, runs.states, runs.network)
    _save_data(comparison.data, folder)
    _save_statistics(comparison, slugs, folder)
    _save_table(comparison, folder / "runs.csv")
    return {
        "rules": {name: _about(comparison, name, slugs[name]) for name in comparison.runs},
        "controls": {name: _about(comparison, name, slugs[name]) for name in comparison.controls},
        "landscape": None if comparison.landscape is None else save_landscape(comparison.landscape, folder),
    }


def _in_folds(comparison: Any, folder: Path) -> dict[str, Any]:
    """The same of cross-validation: every fold has a record of its own."""
    for number, fold in enumerate(comparison.folds, 1):
        own = folder / FOLDS / str(number)
        own.mkdir(parents=True)
        _seal(fold, own, _numbers(fold, own))
    _save_table(comparison, folder / "runs.csv")
    scores = {
        part: {name: _scores(runs) for name, runs in some.items()}
        for part, some in (("rules", comparison.runs), ("controls", comparison.controls))
    }
    return {"folds": len(comparison.folds), **scores}


def _seal(comparison: Any, folder: Path, content: dict[str, Any]) -> None:
    """Writes the record itself, when everything else is there."""
    whole = {
        "format": FORMAT,
        "configuration": comparison.configuration,
        "data": comparison.data.summary(),
        **content,
        "files": {path.relative_to(folder).as_posix(): _checksum(path) for path in sorted(folder.rglob("*")) if path.is_file()},
    }
    (folder / RECORD).write_text(json.dumps(sealed(whole), indent=1, allow_nan=False), encoding="utf-8")


def configuration(place: Path) -> dict[str, Any]:
    """What the comparison was asked for whose record is in this folder, or is this file.

    **Raises:** as `load`, of which it reads the record alone.
    """
    place = path_of(place, "a record")
    return dict(_content(place if place.is_file() else place / RECORD)["configuration"])


def _content(path: Path) -> dict[str, Any]:
    """What a record's own file says.

    **Raises:** `UserError` where there is none, it is a newer one, or damaged.
    """
    folder = path.parent
    if folder.is_file():
        raise UserError(f"{str(folder)!r} is a file: name the folder that compare wrote.")
    if not path.is_file():
        raise UserError(f"{str(folder)!r} holds no ascribe record ({RECORD} is missing): name a folder that compare wrote.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
        whole = intact(content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if path.name != RECORD:
            raise UserError(f"{str(path)!r} is no record: name the folder that compare wrote, or its {RECORD}.") from error
        raise _damaged(path, error) from error
    if version != FORMAT:
        raise UserError(f"the record {str(path)!r} has the format {version!r}; this version of ascribe reads {FORMAT}.")
    if not whole:
        raise UserError(f"the record {str(path)!r} is damaged: it is not what was written; put back a copy of it.")
    wrong = misfit(content, FOLDED if content.get("folds") is not None else SHAPE)
    if wrong is not None or not content["rules"]:
        raise UserError(f"the record {str(path)!r} is damaged: no such thing can be its {wrong or 'rules'}; put back a copy.")
    return content


def load(folder: Path) -> dict[str, Any]:
    """The fields of the `Comparison` that `save` wrote into this folder, or whose record this file is; of cross-validation
    `folds`, with those of every fold, and the `configuration`.

    **Raises:** `UserError` where there is no record, a newer one, or a file that is missing or damaged.
    """
    folder = folder.parent if folder.name == RECORD and folder.is_file() else folder
    content = _content(folder / RECORD)
    try:
        count = content.get("folds")
        own = (".npz", ".safetensors") if count is None else (f"/{RECORD}",)  # those of folds are asked below
        for name, expected in content["files"].items():
            if name.endswith(own) and _checksum(folder / name) != expected:
                raise UserError(f"the file {str(folder / name)!r} is not the one that was recorded: it is damaged.")
        if count is not None:
            if count < 2:
                raise ValueError(f"folds are at least 2, got {count}")
            folds = [load(folder / FOLDS / str(number)) for number in range(1, count + 1)]
            return {"folds": folds, "configuration": content["configuration"]}
        statistics = folder / "statistics.npz"
        long = load_arrays(statistics) if statistics.is_file() else {}
        data = load_data(content["data"], folder, long)
        beside = content.get("controls") or {}
        every = content["rules"] | beside
        loaded = {name: _load_rule(name, about, data, folder, long) for name, about in every.items()}
        unbuilt = {name: runs.network.reason for name, (runs, _) in loaded.items() if isinstance(runs.network, Unbuilt)}
        for reason in dict.fromkeys(unbuilt.values()):
            of = names_in_words([name for name, its in unbuilt.items() if its == reason])
            text = f"without the networks of {of}, which stay as they are in the record: {reason}"
            warnings.warn(text, stacklevel=3)
        return {
            "data": data,
            "runs": {name: loaded[name][0] for name in content["rules"]},
            "controls": {name: loaded[name][0] for name in beside},
            "tuning": {name: tuning for name, (_, tuning) in loaded.items() if tuning is not None},
            "configuration": content["configuration"],
            "landscape": load_landscape(content.get("landscape"), folder),
        }
    except UserError:
        raise
    except Exception as error:  # any value may stand in a damaged record, and meet any code that reads it
        raise _damaged(folder, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    reason = f"{type(error).__name__}: {error}".split("\n")[0].rstrip(".")
    return UserError(f"the record {str(path)!r} is damaged: {reason}.")


def _about(comparison: Any, name: str, slug: str) -> dict[str, Any]:
    runs, tuning = (comparison.runs | comparison.controls)[name], comparison.tuning.get(name)
    return {
        "file": slug,
        "loss": runs.loss,
        "network": str(runs.network),
        "layers": runs.network.sources if isinstance(runs.network, Unbuilt) else sources(runs.network),
        "settings": runs.rule_settings,
        "seeds": list(runs.seeds),
        "learning_rate": float(runs.learning_rates[0]),
        "hyperparameters": short(runs.hyperparameters),
        "optimizer": runs.optimizer,
        "status": ["diverged" if diverged else "finished" for diverged in runs.diverged],
        "diverged_at_epoch": [int(epoch) for epoch in runs.diverged_at],
        "scores": {key: [_number(value) for value in values] for key, values in runs.scores.items()},
        "score": runs.score,
        "confusion": None if runs.confusion is None else runs.confusion.tolist(),
        "seconds": runs.seconds,
        "compile_seconds": runs.compile_seconds,
        "notes": list(runs.notes),
        "encoding": [short_settings(transform) for transform in runs.encoding],
        "tuning": None
        if tuning is None
        else {
            "chosen": tuning.chosen,
            "at_edge": tuning.at_edge,
            "seeds": list(tuning.seeds),
            "seconds": tuning.seconds,
            "candidates": [float(rate) for rate in tuning.learning_rates],
        },
    }


def _scores(runs: Any) -> dict[str, Any]:
    """What the record of cross-validation says of a rule's runs, whose fold has all of them."""
    return {
        "folds": list(runs.folds),
        "seeds": list(runs.seeds),
        "learning_rates": [float(rate) for rate in runs.learning_rates],
        "status": ["diverged" if diverged else "finished" for diverged in runs.diverged],
        "scores": {key: [_number(value) for value in values] for key, values in runs.scores.items()},
        "notes": list(runs.notes),
    }


def _load_rule(
    name: str, about: dict[str, Any], data: Dataset, folder: Path, long: dict[str, np.ndarray]
) -> tuple[Runs, Tuning | None]:
    arrays = load_arrays(folder / "curves" / f"{about['file']}.npz")
    pick = lambda start: {key[len(start) :]: value for key, value in arrays.items() if key.startswith(start)}
    parameters = folder / "parameters" / f"{about['file']}.safetensors"
    template, stacked, states = load_parameters(parameters, about.get("network", ""), about.get("layers"))
    runs = Runs(
        rule=name,
        rule_settings=about["settings"],
        data=data,
        loss=about["loss"],
        network=template,
        seeds=tuple(about["seeds"]),
        learning_rates=arrays["learning_rates"],
        hyperparameters=about["hyperparameters"],
        curves=pick("curve:"),
        scores=pick("score:"),
        diverged_at=arrays["diverged_at"],
        networks=stacked,
        states=states,
        seconds=about["seconds"],
        compile_seconds=about["compile_seconds"],
        optimizer=about["optimizer"],
        notes=tuple(about["notes"]),
        encoding=load_transforms(about.get("encoding", []), f"encoding:{about['file']}", long),
        score=about.get("score"),
        confusion=_confusion(about.get("confusion"), data, about["seeds"]),
        class_maps=_class_maps(pick("class_map:"), data, about["seeds"]),
    )
    if about["tuning"] is None:
        return runs, None
    kept = about["tuning"]
    tuning = Tuning(
        arrays["tuning:learning_rates"],
        pick("tuning:leaf:"),
        arrays["tuning:scores"],
        arrays["tuning:losses"],
        kept["chosen"],
        kept["at_edge"],
        tuple(kept["seeds"]),
        kept["seconds"],
    )
    return runs, tuning


def _confusion(kept: Any, data: Dataset, seeds: list[int]) -> np.ndarray | None:
    if kept is None:
        return None
    matrix, shape = np.asarray(kept), (len(seeds), data.classes, data.classes)
    if matrix.shape != shape or matrix.dtype.kind != "i":
        raise ValueError(f"confusion holds whole numbers of the shape {shape}, got {matrix.dtype} {matrix.shape}")
    return matrix


def _class_maps(kept: dict[str, np.ndarray], data: Dataset, seeds: list[int]) -> dict[int, np.ndarray]:
    for maps in kept.values():
        if maps.dtype != np.uint8 or maps.ndim != 4 or (len(maps), maps.shape[3]) != (len(seeds), data.classes - 1):
            raise ValueError(f"class maps are bytes of the shape (seeds, side, side, classes - 1), got {maps.shape}")
    return {int(epoch): maps for epoch, maps in kept.items()}


def _save_data(data: Dataset, folder: Path) -> None:
    arrays = {}
    for name, split in (data if data.original is None else data.original).splits:
        arrays |= {f"{name}_inputs": split.inputs, f"{name}_targets": split.targets}
    if sum(array.nbytes for array in arrays.values()) <= SMALL_DATA:
        np.savez_compressed(folder / "data.npz", allow_pickle=False, **arrays)


def _save_statistics(comparison: Any, slugs: dict[str, str], folder: Path) -> None:
    """Means, scales and fitted transforms that a summary leaves out: without them, no new row could be prepared."""
    data = comparison.data
    arrays = {"input_mean": data.input_mean, "input_scale": data.input_scale}
    fitted = {"transforms": data.transforms}
    every = comparison.runs | comparison.controls
    fitted |= {f"encoding:{slugs[name]}": runs.encoding for name, runs in every.items()}
    for owner, transforms in fitted.items():
        for number, transform in enumerate(transforms):
            place = f"{owner}:{number}"
            arrays |= {f"{place}:minimum": transform.minimum, f"{place}:scale": transform.scale}
    long = {name: array for name, array in arrays.items() if array is not None and array.size > LISTED}
    if long:
        np.savez_compressed(folder / "statistics.npz", allow_pickle=False, **long)


def load_transforms(recorded: Any, owner: str, long: dict[str, np.ndarray]) -> tuple[Transform, ...]:
    """Fitted transforms, from their short settings and the long arrays of their owner."""
    found = []
    for number, settings in enumerate(recorded):
        start = f"{owner}:{number}:"
        arrays = {name[len(start) :]: array for name, array in long.items() if name.startswith(start)}
        try:
            found.append(Transform.from_settings(settings | arrays))
        except UserError as error:  # it does not know the folder
            raise ValueError(str(error).rstrip(".")) from error
    return tuple(found)


def load_data(summary: dict[str, Any], folder: Path, long: dict[str, np.ndarray]) -> Dataset:
    """The recorded data; where it was too large to be kept, its description with no examples."""
    shape, before = summary["input_shape"], summary.get("original") or summary
    if (folder / "data.npz").is_file():
        arrays = load_arrays(folder / "data.npz")
        splits = {name: Split(arrays[f"{name}_inputs"], arrays[f"{name}_targets"]) for name in summary["sizes"]}
    else:
        regression = summary["task"] == "regression"
        targets = np.zeros((0, summary["outputs"]), np.float32) if regression else np.zeros(0, np.int32)
        splits = dict.fromkeys(summary["sizes"], Split(np.zeros((0, *before["input_shape"]), np.float32), targets))
    array = lambda values: None if values is None else np.asarray(values)
    broadcast = lambda values: np.asarray(values[0]) if values is not None and len(values) == 1 else array(values)
    card = Card(*(summary[key] for key in ("title", "description", "source", "license", "url", "task", "size")))
    request, understood = summary["request"], summary.get("understood")
    original = Dataset(
        summary["name"],
        summary["task"],
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        class_names=tuple(summary["class_names"]),
        feature_names=tuple(before["feature_names"]),
        card=card,
        target_mean=array(summary["target_mean"]),
        target_scale=array(summary["target_scale"]),
        input_mean=long.get("input_mean", broadcast(summary["input_mean"])),
        input_scale=long.get("input_scale", broadcast(summary["input_scale"])),
        request={name: value for name, value in request.items() if name != "transforms"},
        fold=tuple(summary["fold"]) if summary.get("fold") else None,
        understood=None if understood is None else Understood.from_settings(understood),
    )
    # Between and after its transforms, the data may have been made flat.
    data = original
    for transform in load_transforms(summary.get("transforms", []), "transforms", long):
        data = (data if data.input_shape == transform.input_shape else data.flat()).encode(transform)
    data = data if data.input_shape == tuple(shape) else data.flat()
    return replace(data, request=request, augmentations=tuple(summary.get("augmentations", ())))


def _save_table(comparison: Any, path: Path) -> None:
    path.write_bytes(csv_table(run_rows(comparison)))


def _slugs(comparison: Any) -> dict[str, str]:
    """A file name for every rule and control, whatever characters its name has."""
    found: dict[str, str] = {}
    for name in (*comparison.runs, *comparison.controls):
        told = name if name in comparison.runs else f"control {name}"
        slug = base = re.sub(r"[^A-Za-z0-9_-]+", "-", told).strip("-")[:80] or "rule"
        number = 2
        while slug.lower() in (other.lower() for other in found.values()):  # some file systems do not tell case apart
            slug, number = f"{base}-{number}", number + 1
        found[name] = slug
    return found


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
