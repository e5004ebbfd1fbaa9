"""What was understood of a table or text: its target, its task, its columns, and what became of its rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

TABLE, TEXT = "table", "text"
"""What there is to understand."""
LISTED = 20
"""A sentence names so many columns or classes, and counts the rest."""


@dataclass(frozen=True)
class ColumnRead:
    """What was understood of one column.

    **Arguments:**

    - `name`: as in the table.
    - `role`: `"feature"`, `"target"` or `"left out"`.
    - `holds`: numbers, or how many different texts, and what became of them.
    - `missing`: rows without a value in it.
    """

    name: str
    role: str
    holds: str
    missing: int = 0


@dataclass(frozen=True)
class Understood:
    """What was understood of a table of the user's own (a file, a data frame or arrays) or a text. Plain values throughout.

    **Arguments:**

    - `target`: the name of the target column; of arrays, which have none, `y`.
    - `target_chosen`: how it was chosen: `"named"`, or `"guessed: "` and why.
    - `task`: binary, classification or regression.
    - `task_chosen`: `"named"`, or `"guessed: "` and why.
    - `rows`: the rows of the table; of a text, the windows.
    - `dropped`: rows that were left out, because something was missing in them or their class was not wanted.
    - `filled`: cells of features that were filled with the mean of their column over the training rows.
    - `columns`: every column in its order; none for arrays and texts.
    - `classes`: the rows of every class, after some were left out; empty for regression.
    - `notes`: what else should be known, one sentence each.
    - `kind`: `"table"` or `"text"`.
    """

    target: str
    target_chosen: str
    task: str
    task_chosen: str
    rows: int
    dropped: int = 0
    filled: int = 0
    columns: tuple[ColumnRead, ...] = ()
    classes: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()
    kind: str = TABLE

    @property
    def headline(self) -> str:
        """The target and the task, with how each was chosen, in one line."""
        return f"target: {self.target} ({self.target_chosen}); task: {self.task} ({self.task_chosen})"

    def sentences(self) -> list[str]:
        """All of it in a few lines, the target first."""
        features = [column for column in self.columns if column.role == "feature"]
        left_out = [column.name for column in self.columns if column.role == "left out"]
        counts = f"{'windows' if self.kind == TEXT else 'rows'}: {self.rows:,}"
        counts += f", {self.dropped:,} of them left out" if self.dropped else ""
        counts += f"; {self.filled:,} missing cells filled with the mean of their column" if self.filled else ""
        lines = [self.headline, counts]
        if self.classes:
            lines.append(f"classes: {listed([f'{name} ({count:,})' for name, count in self.classes.items()])}")
        if features:
            lines.append(f"features: {listed([column.name for column in features])}")
        if left_out:
            lines.append(f"left out: {listed(left_out)}")
        constant = [column.name for column in features if column.holds.startswith(CONSTANT)]
        if constant:
            lines.append(f"the same in every row: {listed(constant)}")
        return [*lines, *self.notes]

    def settings(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold."""
        return {
            **asdict(self),
            "columns": [asdict(column) for column in self.columns],
            "classes": dict(self.classes or {}),
            "notes": list(self.notes),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Understood":
        """What `settings` told."""
        told = {"kind": TABLE, **settings}  # which earlier records do not say
        known = {field.name: told[field.name] for field in fields(cls)}
        columns = tuple(ColumnRead(**{field.name: one[field.name] for field in fields(ColumnRead)}) for one in known["columns"])
        return cls(**{**known, "columns": columns, "notes": tuple(known["notes"])})


CONSTANT = "always "
"""How `holds` begins for a column that has one value."""


def listed(names: Sequence[str]) -> str:
    """The first names with commas between, and how many there are if that is not all."""
    text = ", ".join(names[:LISTED])
    return text if len(names) <= LISTED else f"{text}, ... ({len(names):,})"
