"""How the cells of a text table are written: numbers, gaps and dates, and what may have been meant otherwise."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ascribe.errors import option

SPREADSHEET_ERRORS = ("#n/a", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!")
GAPS = frozenset({"", "na", "n/a", "nan", "<na>", "?", "null", "none", ".", *SPREADSHEET_ERRORS})
"""The usual ways to write a missing value, in lower case; a formula that failed has no value either."""
_WHOLE = re.compile(r"[+-]?[0-9]+")
_THOUSANDS = re.compile(r"[+-]?(0|[1-9][0-9]{0,2}(\.[0-9]{3})?)")
_WORDS, _LONGEST = 6, 20
"""So many texts, of so many letters, are named where they may stand for missing values."""
_SIGNS = "$€£¥% "
_AS_TEXT = re.compile(rf"[{_SIGNS}]*[+-]?([0-9]{{1,3}}([.,][0-9]{{3}})+|[0-9]*)([.,][0-9]*)?[{_SIGNS}]*")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:.*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{2}|\d{4})([T ]\d{1,2}:.*)?")


@dataclass(frozen=True)
class Writing:
    """How the cells of a text table are written.

    **Arguments:**

    - `decimal`: what stands before the decimals, a point or a comma.
    - `thousands`: what stands between groups of three digits; nothing by default.
    - `gaps`: the ways to write a missing value, in lower case.
    """

    decimal: str = "."
    thousands: str = ""
    gaps: frozenset[str] = GAPS

    def is_gap(self, cell: str) -> bool:
        """True for a missing value. A missing word that is a number stands for it in every writing: -99 for -99.0 too.

        >>> Writing(gaps=frozenset({"-99"})).is_gap("-99.0"), Writing(gaps=frozenset({"1"})).is_gap("01")
        (True, False)
        """
        if cell.casefold() in self.gaps:
            return True
        return bool(self._gap_numbers) and not has_leading_zero(cell) and self.number(cell) in self._gap_numbers

    @cached_property
    def _gap_numbers(self) -> frozenset[float]:
        words = self.gaps - GAPS
        return frozenset(number for word in words for number in (self.number(word), PLAIN.number(word)) if number is not None)

    def unused(self, cells: Collection[str]) -> list[str]:
        """The missing words beside the usual ones that none of the cells is."""
        words = {word: replace(self, gaps=frozenset({word})) for word in sorted(self.gaps - GAPS)}
        return [word for word, alone in words.items() if not any(map(alone.is_gap, cells))]

    def number(self, cell: str) -> float | None:
        """The number a cell holds, or None. Python's `1_000` is no number in a data file.

        >>> Writing(decimal=",", thousands=".").number("1.234,5")
        1234.5
        """
        cell = cell.replace("\u2212", "-")  # the minus sign of typesetting
        if self.thousands and self.thousands in cell:
            groups = rf"[+-]?\d{{1,3}}({re.escape(self.thousands)}\d{{3}})+({re.escape(self.decimal)}\d*)?"
            if re.fullmatch(groups, cell) is None:
                return None
            cell = cell.replace(self.thousands, "")
        if self.decimal != ".":
            if "." in cell:
                return None
            cell = cell.replace(self.decimal, ".")
        if "_" in cell:
            return None
        try:
            return float(cell)
        except ValueError:
            return None


PLAIN = Writing()


def is_whole_number(cell: str) -> bool:
    """Whether a cell is written as a whole number."""
    return _WHOLE.fullmatch(cell) is not None


def is_date(text: str) -> bool:
    """Whether a text looks like a date: 2024-01-31 or 31.1.2024, with a time or without."""
    return _DATE.fullmatch(text) is not None


def has_leading_zero(cell: str) -> bool:
    """Whether a number would lose zeros at its beginning."""
    digits = cell.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits.isdecimal()


def find_grouped(cells: Sequence[str]) -> str:
    """The first cell with a point, where some have none and, with the point between thousands, all are whole numbers."""
    dotted = next((cell for cell in cells if "." in cell), "")
    if not dotted or all("." in cell for cell in cells):
        return ""
    return dotted if all(_THOUSANDS.fullmatch(cell) for cell in cells) else ""


def number_as_text(texts: Sequence[str]) -> str:
    """One of some texts that all are numbers in another writing (1,5 or 1,200 or 20 % or $3); empty where not all are."""
    odd = [text for text in texts if PLAIN.number(text) is None]
    return odd[0] if odd and all(_AS_TEXT.fullmatch(text) and re.search("[0-9]", text) for text in texts) else ""


def number_advice(cell: str, others: Sequence[str] = ()) -> str:
    """What to do about a cell that is nearly a number; `others`: what else in its column is none."""
    if PLAIN.number(cell) is not None:  # it is none for its point alone, where the comma is named as the decimal mark
        grouped = re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+", cell) is not None
        between = f"give {option('thousands', '.')} if the point stands between thousands"
        return between if grouped else "write the decimals of all columns with the same mark, which is a point here"
    bare = cell.strip(_SIGNS)
    if bare != cell and PLAIN.number(bare.replace(",", "")) is not None:
        return f"write them without the sign {cell.replace(bare, '').strip()}"
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", cell):
        decimals = "" if "." in cell or cell.count(",") > 1 else f", or {option('decimal', ',')} if it is the decimal comma"
        return f"give {option('thousands', ',')} if the comma stands between thousands{decimals}"
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?", cell) and ("," in cell or cell.count(".") > 1):
        return f"give {option('decimal', ',')} and {option('thousands', '.')}"
    if PLAIN.number(cell.replace(",", ".", 1)) is not None:
        return f"give {option('decimal', ',')} for the decimal comma"
    return _words_advice(list(dict.fromkeys([cell, *others])))


def _words_advice(words: Sequence[str]) -> str:
    """What to do about texts among numbers: all of them, where they are few words."""
    if 1 < len(words) <= _WORDS and not any("," in word or len(word) > _LONGEST for word in words):
        return f"write numbers, give {option('missing_words', ','.join(words))} if these stand for missing values"
    return f"write a number, give {option('missing_words', words[0][:40])} if it stands for a missing value"
