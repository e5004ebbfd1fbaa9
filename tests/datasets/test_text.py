"""Texts: windows and their next characters, against the text itself."""

import gzip
import json

import numpy as np
import pytest

from ascribe import datasets
from ascribe.datasets import Understood
from ascribe.datasets import characters as characters_of
from ascribe.datasets import text as module
from ascribe.errors import UserError

LINES = "".join(f"{number} green bottles, {number % 7} on the wall;\n" for number in range(40))
"""1,110 characters or so, which repeat themselves."""


@pytest.fixture
def written(tmp_path):
    """Writes a text and tells its address."""

    def write(content, name="song.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"text:{path}"

    return write


def characters(data, codes):
    names = {"space": " ", "\\n": "\n"}
    return "".join(names.get(name, name) for name in np.array(data.class_names)[codes])


@pytest.mark.parametrize("window", [1, 5, 100])
def test_windows_are_the_texts_own_and_put_together_they_are_the_text(written, window):
    data = datasets.load(written(LINES), window=window)
    assert data.input_shape == (window, len(set(LINES))) and data.task == "classification"
    assert [characters(data, [code]) for code in range(data.classes)] == sorted(set(LINES))
    found = ""
    for _, split in data.splits:
        assert (split.inputs.sum(axis=2) == 1.0).all() and set(np.unique(split.inputs)) == {0.0, 1.0}
        windows = [characters(data, row) for row in split.inputs.argmax(axis=2)]
        followed = characters(data, split.targets)
        piece = windows[0] + followed
        assert windows == [piece[at : at + window] for at in range(len(windows))]
        found += piece
    # The pieces follow each other, each with all its windows: no character of the text is in two of them.
    assert found == LINES
    sizes = [len(split) + window for _, split in data.splits]
    assert sizes == [len(LINES) - 2 * round(0.15 * len(LINES)), *[round(0.15 * len(LINES))] * 2]


def test_some_windows_are_some_of_all_from_the_same_pieces(written):
    address = written(LINES)
    whole, some, others = (
        datasets.load(address, window=6, samples=samples, seed=seed) for samples, seed in ((None, 0), (200, 0), (200, 1))
    )
    assert sum(len(split) for _, split in some.splits) == 200
    for (name, split), (_, every), (_, other) in zip(some.splits, whole.splits, others.splits, strict=True):
        assert len(split) == pytest.approx(200 * len(every) / sum(len(one) for _, one in whole.splits), abs=1), name
        there = {(row.tobytes(), int(label)) for row, label in zip(every.inputs, every.targets, strict=True)}
        assert all((row.tobytes(), int(label)) in there for row, label in zip(split.inputs, split.targets, strict=True))
        assert len(other) == len(split) and not np.array_equal(other.inputs, split.inputs)
    assert datasets.load(address, window=6, samples=200).checksum == some.checksum
    assert whole.checksum == datasets.load(address, window=6, seed=1).checksum


def test_long_texts_give_ten_thousand_windows(written, monkeypatch):
    monkeypatch.setattr(module, "WINDOWS", 300)
    data = datasets.load(written(LINES), window=3)
    assert sum(len(split) for _, split in data.splits) == 300
    there = len(LINES) - 9
    assert data.understood.notes[0] == f"300 of {there:,} windows were chosen; `samples={there}` takes all"
    assert len(datasets.load(written(LINES), window=3, samples=there).train) > 300


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (gzip.compress(LINES.encode()), {}),
        (LINES.replace("\n", "\r\n"), {}),
        (LINES.replace("\n", "\r"), {}),
        (LINES.encode("utf-8-sig"), {}),
        (LINES.encode("utf-16"), {}),
        (LINES.encode("cp037"), {"encoding": "cp037"}),
    ],
    ids=["gzip", "Windows", "old Mac", "a mark", "UTF-16", "named"],
)
def test_however_it_is_written_it_is_the_same_text(written, content, options):
    assert datasets.load(written(content), **options).checksum == datasets.load(written(LINES, "other")).checksum


def test_two_characters_are_binary_and_signs_that_nobody_sees_have_names(written):
    data = datasets.load(written("ab" * 100))
    assert (data.task, data.class_names, data.outputs) == ("binary", ("a", "b"), 1)
    data = datasets.load(written("a b\n\t\u2028ä" * 40))
    assert data.class_names == ("\\t", "\\n", "space", "a", "b", "ä", "\\u2028")


def test_what_was_understood_is_told_and_kept(written):
    data = datasets.load(written(LINES, "song.txt.gz"), window=4)
    assert data.name == "song" and data.card.title == "song.txt.gz"
    first, counts, classes, notes = data.understood.sentences()
    assert first == "target: the next character (after a window of 4); task: classification (one class a character)"
    assert counts == f"windows: {len(LINES) - 12:,}" and "space (" in classes
    assert notes.startswith(f"characters: {len(LINES):,}, {data.classes} different ones; train, validation and test are 1 to")
    labels = np.concatenate([split.targets for _, split in data.splits])
    assert list(data.understood.classes.values()) == np.bincount(labels, minlength=data.classes).tolist()
    summary = json.loads(json.dumps(data.summary()))
    assert summary == data.summary()
    assert Understood.from_settings(summary["understood"]) == data.understood
    earlier = {name: value for name, value in summary["understood"].items() if name != "kind"}
    assert Understood.from_settings(earlier).kind == "table"
    assert data.request == {"data": written(LINES, "song.txt.gz"), "seed": 0, "window": 4}


def test_prepare_takes_windows_and_texts(written):
    data = datasets.load(written(LINES))
    np.testing.assert_array_equal(data.prepare(data.test.inputs), data.test.inputs)
    assert data.flat().input_shape == (16 * data.classes,)
    end = LINES[-17:-1]  # the window before the text's last character
    for texts in ([end], end, ("green " + end,), np.array([end]), end.replace("\n", "\r\n")):
        np.testing.assert_array_equal(data.prepare(texts), data.test.inputs[-1:])
        np.testing.assert_array_equal(data.flat().prepare(texts), data.flat().test.inputs[-1:])
    encoded = data.encode("constant-one")
    np.testing.assert_array_equal(encoded.prepare([end]), encoded.test.inputs[-1:])
    with pytest.raises(UserError, match="new texts of song have at least 16 characters, as many as a window; got 'green'"):
        data.prepare(["green"])
    with pytest.raises(UserError, match=r"are of its \d+ characters; got 'Z' in 'Z green .*': replace it"):
        data.prepare(["Z green bottles,"])
    with pytest.raises(UserError, match="are numbers of the shape"):
        data.prepare(["green bottles, 3 on the wall", 5])
    with pytest.raises(UserError, match="are numbers of the shape"):
        datasets.load("parity", samples=20).prepare(["0101010101"])


def test_characters_come_back_from_the_names_of_their_classes():
    every = [chr(point) for point in (*range(0x300), 0x2028, 0xE000, 0x1F600, 0xE0001)]
    names = [characters_of.class_of(one) for one in every]
    assert [characters_of.character_of(name) for name in names] == every and len(set(names)) == len(every)
    assert all(name.isprintable() and name.strip() for name in names)


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"", {}, "is a text whose characters are learned; got an empty file: give one with text in it"),
        ("a" * 500, {}, "is a text of at least two different characters; got 'a' alone"),
        ("\r\n" * 500, {}, r"got '\\n' alone"),
        (b"\xef\xbb\xbf", {}, "at least two different characters; got none"),
        ("hello", {}, "is a text of at least 111 characters, so that .* windows of 16 .*; got 5: give a longer one"),
        (LINES[:80], {}, "got 80: give a longer one, or try `window=11`"),
        (LINES, {"window": 10**6}, "is a text of at least 6,666,6.* or try `window="),
        (LINES, {"window": 10**400}, "`window` is 67,108,864 at most"),
        (LINES, {"window": 0}, "`window` is a positive integer"),
        (LINES, {"window": True}, "`window` is a positive integer; got True"),
        (LINES, {"samples": 10**6}, "`samples` is at most .*, all windows that there are; got 1000000"),
        (LINES, {"samples": 9}, "`samples` is an integer of at least 10"),
        (LINES, {"noise": 1}, "a text has no option 'noise': it has window, samples, encoding"),
        (LINES, {"encoding": "nosuch"}, "`encoding` is the name of an encoding of text"),
        (LINES, {"encoding": "utf-32"}, "is utf-32 text; got another encoding"),
        (bytes(range(256)) * 5, {}, "is text; got binary data: give a file of plain text"),
        ("über".encode("cp1252") * 99, {}, "is UTF-8 text; got another encoding on line 1: .* try `encoding='cp1252'`"),
        ("".join(map(chr, range(0x4E00, 0x4F40))), {}, "is a text of at most 256 different characters, .*; got 320"),
        (gzip.compress(LINES.encode())[:-9], {}, "is cut short or damaged"),
    ],
)
def test_what_is_no_such_text_gets_one_sentence(written, content, options, said):
    with pytest.raises(UserError, match=said) as caught:
        datasets.load(written(content), **options)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("text:", "text: stands before the path of a text; got no path: write text:alice.txt"),
        ("text:no/such.txt", "there is no file 'no/such.txt'"),
        ("text:{folder}", "is a folder, not a text: name a file in it"),
        ("text:{folder}/sonk.txt", "there is no file .*: did you mean 'song.txt'"),
        ("text:a\0b", "there is no file"),
        ("text", "unknown data set 'text': .* or text:PATH"),
    ],
)
def test_addresses_of_no_text_get_one_sentence(written, tmp_path, address, said):
    written(LINES)
    with pytest.raises(UserError, match=said):
        datasets.load(address.format(folder=tmp_path))


@pytest.mark.parametrize("packed", [False, True])
def test_texts_have_a_largest_size(written, monkeypatch, packed):
    monkeypatch.setattr(module, "LARGEST", 2**10)
    content = b"ab" * 2**10
    with pytest.raises(UserError, match=r"is a text of at most .* MiB; got more: give a part of it"):
        datasets.load(written(gzip.compress(content) if packed else content))


def test_windows_that_no_memory_holds_are_refused(written, monkeypatch):
    monkeypatch.setattr("ascribe.memory.SMALL", 0)
    monkeypatch.setattr("ascribe.memory.free_memory", lambda: 2**20)
    with pytest.raises(UserError, match=r"memory does not hold 1,\d+ windows of .*; choose fewer with `samples`"):
        datasets.load(written(LINES), window=20)


def test_a_text_is_divided_by_nobody_else(written):
    with pytest.raises(UserError, match="those of song came divided"):
        datasets.folds(datasets.load(written(LINES)), 3)


def test_it_counts_as_a_file(written):
    assert datasets.is_file(written(LINES)) and datasets.is_file("text:nowhere")
