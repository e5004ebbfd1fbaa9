"""`ascribe compare --dry-run`: what would be trained, and where the results would go."""

import json
from pathlib import Path
from typing import Any

from .console import aside, duration, show
from .data import folds_told
from .keeping import DEFAULT_FOLDER

APART = "drawing the page and what a store has already are not counted"

NAMED = 20
"""Names of inputs that are told."""


def tell_plan(dataset: Any, settings: dict[str, Any], out: Path | None, *, elsewhere: bool, as_json: bool) -> int:
    """Prints the plan; `elsewhere`: whether other processes would train, whose time cannot be told from here."""
    from ascribe.experiments.compare import preview  # noqa: PLC0415 - late, so that --help is instant
    from ascribe.store import free_folder  # noqa: PLC0415

    with aside(as_json):
        plan = preview(dataset, **settings)
    if elsewhere:
        plan["time"] = None
    place = out or free_folder(DEFAULT_FOLDER, dataset.name)
    data = about_data(dataset)
    if plan["folds"]:
        data["examples"] = plan["folds"][0]
    if as_json:
        print(json.dumps({"dry_run": True, "data": data, **plan, "out": str(place)}, allow_nan=False))
        return 0
    lines = {**_data_lines(data), **_plan_lines(plan), "would be written to": str(place)}
    for name, text in lines.items():
        show(f"{name}: {text}", soft_wrap=True, highlight=False, markup=False)
    return 0


def about_data(dataset: Any) -> dict[str, Any]:
    """What the data are: name, task, target and how these were chosen and what else should be known (of a table of the user's
    own), classes, examples of each split, shape of an input."""
    read = dataset.understood
    return {
        "name": dataset.name,
        "task": dataset.task,
        "target": None if read is None else read.target,
        "target_chosen": None if read is None else read.target_chosen,
        "task_chosen": None if read is None else read.task_chosen,
        "classes": list(dataset.class_names),
        "examples": {name: len(split) for name, split in dataset.splits},
        "input_shape": list(dataset.input_shape),
        "features": list(dataset.feature_names),
        "notes": [] if read is None else list(read.notes),
    }


def _data_lines(data: dict[str, Any]) -> dict[str, str]:
    sizes = ", ".join(f"{count} {name}" for name, count in data["examples"].items())
    shape = " x ".join(map(str, data["input_shape"]))
    numbers = "number" if shape == "1" else "numbers"
    target = f"{data['target']} ({data['target_chosen']})" if data["target"] else "the data set's own"
    named, more = data["features"][:NAMED], "" if len(data["features"]) <= NAMED else ", ..."
    classes = f"; classes {', '.join(data['classes'])}" if data["classes"] else ""
    return {
        "data": f"{data['name']}, {sizes} examples of {shape} {numbers}",
        **({"inputs": f"{', '.join(named)}{more}"} if named else {}),
        "target": f"{target}{classes}",
        "task": f"{data['task']} ({data['task_chosen']})" if data["task_chosen"] else data["task"],
        **{f"note {number}": note for number, note in enumerate(data["notes"], 1)},
    }


def _plan_lines(plan: dict[str, Any]) -> dict[str, str]:
    layers = ", ".join(f"{name} {count}" for name, count in plan["layers"].items() if count)
    lines = {
        "network": plan["network"],
        "parameters": f"{plan['parameters']} ({layers})",
        "rules": ", ".join(plan["rules"]),
    }
    lines |= {"controls": ", ".join(plan["controls"])} if plan["controls"] else {}
    for name, rule in (plan["rules"] | plan["controls"]).items():
        lines |= {f"{name}, which differs": "; ".join(rule["notes"])} if rule["notes"] else {}
    lines |= {f"left out, {name}": why for name, why in plan["left_out"].items()}
    every = [*plan["rules"].values(), *plan["controls"].values()]
    tuning, training = (sum(one[phase] for one in every) for phase in ("tuning", "training"))
    if plan["folds"]:
        lines["folds"] = folds_told(len(plan["folds"]), sum(plan["folds"][0].values()))
    everywhere = f" in {len(plan['folds'])} folds" if plan["folds"] else ""
    lines["runs"] = f"{plan['runs']} of {plan['epochs']} epochs{everywhere}: {tuning} to tune, {training} with fresh seeds"
    lines["memory"] = f"about {_bytes(plan['memory'])}, of the runs that train at a time and the data"
    lines["time"] = _time(plan["time"], len(every))
    return lines


def _time(time: dict[str, Any] | None, rules: int) -> str:
    if time is None:
        return "not told: other processes would train, and only this one can be measured"
    others = ", as if all others were as fast" if rules > 1 else ""
    measured = (
        f"measured on {time['measured_on']}, which took {_seconds(time['its_compilation'])} to compile and "
        f"{_seconds(time['its_epoch'])} for an epoch of {time['runs_in_its_epoch']} runs"
    )
    parts = f"{duration(time['compiling'])} to compile and {duration(time['training'])} to train"
    return f"about {duration(time['seconds'])}, {parts}; {measured}{others}; {APART}"


def _seconds(seconds: float) -> str:
    """A measured time, a short one with its first digits: `0.013 s`."""
    return f"{seconds:.2g} s" if seconds < 9.5 else duration(seconds)


def _bytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
