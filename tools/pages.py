"""What the documentation site has beside the pages of docs/, made when it is built (`mkdocs build --strict`).

From the registries and docstrings: the facts on each rule's page, the list of the source documents, the data sets, the
networks and layers, the commands, and one page of the API for each public module. From the root of the repository:
CONTRIBUTING.md and CHANGELOG.md. Formulas become MathML, which browsers draw without a script.
"""

import ast
import dataclasses
import hashlib
import html
import importlib
import inspect
import io
import json
import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

import ascribe
from ascribe import datasets, papers, rules
from ascribe.cards.card import SECTIONS
from ascribe.cli import COMMANDS, app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "ascribe"

FROM_ROOT = {"contributing.md": "CONTRIBUTING.md", "changes.md": "CHANGELOG.md"}
DRAFT = ("needs", "limit")
"""The parts of the rules' cards in a draft of the site."""
PLAY = "play.html"
"""The playground on the site; where docs/ has a picture of it, the site has the page itself."""
PICTURE = re.compile(r"!\[[^]]*\]\(images/playground\.png\)")
COMPARED = "rules=backpropagation,feedback-alignment,forward-pass&amp;control=no&amp;architecture=2-8-1&amp;activation=relu"
TASKS = {"binary": "two classes", "classification": "several classes", "regression": "regression"}


def pages() -> dict[str, str]:
    """Every page that docs/ has not, or has in part, by its place in docs/."""
    return {
        **{page: (ROOT / name).read_text(encoding="utf-8") for page, name in FROM_ROOT.items()},
        "datasets.md": data_sets(),
        "networks.md": networks(),
        "command-line.md": command_line(),
        "documents/index.md": documents(),
        **rule_pages(),
        **api_pages(),
    }


# Rules


def rule_pages() -> dict[str, str]:
    """A page for every registered rule: what docs/rules/ says of it, and its facts."""
    found = {"rules/index.md": rule_index()}
    for name in rules.registry.TABLE:
        path = DOCS / "rules" / f"{name}.md"
        row = rules.describe(name)
        own = path.read_text(encoding="utf-8") if path.exists() else f"# `{name}`\n\n{_sentence(row.description)}\n"
        head, heading, rest = own.partition("\n## ")
        parts = (f"{rule_facts(name)}\n{heading}{rest}", rule_card(name), rule_fields(name))
        found[f"rules/{name}.md"] = "\n\n".join((head, *parts))
    return found


def rule_card(name: str) -> str:
    """The picture of a registered rule's card, which `cards` makes, and the way to the whole of it."""
    return (
        f"## The card\n\nMade when this site was built, from the rule's own program ([what a card says](../cards.md)); "
        f"`ascribe inspect {name}` makes it here and now. [The whole card](cards/{name}.html).\n\n"
        f"![The card of {name}](cards/{name}.svg)\n"
    )


def kept(*kinds: str) -> Path:
    """A folder in the user's cache for what is made of all files of these kinds, so that a site is built at once where they did
    not change."""
    digest = hashlib.sha256(version("jax").encode())
    for path in sorted(path for kind in kinds for path in SOURCE.rglob(kind)):
        digest.update(path.read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascribe" / "site" / digest.hexdigest()[:16]
    base.mkdir(parents=True, exist_ok=True)
    return base


def playground() -> dict[str, str]:
    """The page of `ascribe play`."""
    path = kept("*.py", "*.js", "*.json", "*.html", "*.css") / PLAY
    if not path.exists():
        ascribe.play("moons", out=path)
    return {PLAY: path.read_text(encoding="utf-8")}


def framed(link: str) -> str:
    """The playground in a frame of a page beside it, and the way to it alone."""
    named = 'title="Three learning rules, side by side" loading="lazy"'
    return (
        f'<iframe class="playground" src="{PLAY}#{link}&amp;compact=yes" {named}></iframe>\n\n'
        f'<p class="alone"><a href="{PLAY}#{link}">Open alone</a>: with data, inputs, networks and lessons to choose.</p>'
    )


def cards() -> dict[str, str]:
    """Pictures and pages of the rules' cards, by their place in docs/. With `ASCRIBE_SITE=draft` they have only what costs
    little: what a rule needs, and its limit."""
    draft = os.environ.get("ASCRIBE_SITE") == "draft"
    base, found = kept("*.py") / ("draft" if draft else "whole"), {}
    base.mkdir(exist_ok=True)
    for name in rules.registry.TABLE:
        files = [base / f"{name}.{kind}" for kind in ("html", "svg")]
        if not all(path.exists() for path in files):
            card = ascribe.card(name, sections=DRAFT if draft else SECTIONS, depths=(4,), timed=False)
            for path in files:
                card.save(path)
        found |= {f"rules/cards/{path.name}": path.read_text(encoding="utf-8") for path in files}
    return found


def rule_index() -> str:
    """docs/rules/index.md, with a table of the registered rules that it does not name."""
    path = DOCS / "rules" / "index.md"
    text = path.read_text(encoding="utf-8") if path.exists() else "# The rules\n"
    rows = [
        (f"[`{name}`]({name}.md)", _cell(row.description))
        for name, row in rules.registry.TABLE.items()
        if f"({name}.md)" not in text
    ]
    return text + (f"\nOther rules:\n\n{_table(('rule', 'what it does'), rows)}" if rows else "")


def place_of_rule(kind: type) -> str:
    """The full name of a rule's class in the API: that of its own file, where `rules/__init__.py` has it not."""
    module = "ascribe.rules" if kind.__name__ in public_names("rules") else kind.__module__
    return f"{module}.{kind.__name__}"


def rule_facts(name: str) -> str:
    """Source, tasks and demands of a registered rule."""
    rule, row = rules.get(name), rules.describe(name)
    made = "".join(f"{option}={value!r}, " for option, value in row.options.items()).rstrip(", ")
    told = inspect.getdoc(importlib.import_module(type(rule).__module__)) or ""
    source = " ".join(told.partition("Source: ")[2].split()) or row.source
    if source != row.source and row.source.startswith("ours"):
        source = f"ours, after: {source}"
    lines = [
        ("In Python", f"[`{row.kind.__name__}({made})`](../api/rules.md#{place_of_rule(row.kind)})"),
        ("On the command line", f"`--rules {name}`"),
        ("Source", _cell(source)),
        ("Learns", ", ".join(TASKS[task] for task in rule.tasks)),
    ]
    if rule.forced:
        lines.append(("Sets itself", ", ".join(f"{setting} {value}" for setting, value in rule.forced.items())))
    return _table(("", ""), lines)


def rule_fields(name: str) -> str:
    """The fields of a registered rule with their defaults and ranges, and the docstring of its class."""
    row, rule_class = rules.describe(name), type(rules.get(name))
    metadata = {one.name: one.metadata for one in dataclasses.fields(rule_class)}
    numbers, others = [], []
    for field, parameter in inspect.signature(rule_class).parameters.items():
        default = row.options.get(field, parameter.default)
        interval = metadata.get(field, {}).get("interval")
        if interval:
            numbers.append((f"`{field}`", f"`{default}`", f"`{interval}`"))
        else:
            others.append((f"`{field}`", "–" if default is inspect.Parameter.empty else f"`{default!r}`"))
    text = "## Hyper-parameters\n\n"
    if numbers:
        first = numbers[0][0].strip("`")
        text += (
            f"Numbers are array leaves: a new value compiles nothing. `--rules {name}:{first}=VALUE` sets one, and "
            f"`--search {name}.{first}=LOW:HIGH` tunes one.\n\n" + _table(("number", "default", "range"), numbers)
        )
    if others:
        text += "\n" + _table(("option", "default"), others)
    if not numbers and not others:
        text += "None."
    return f"{text}\n\n## The class\n\n{inspect.getdoc(rule_class)}\n"


# The source documents


def documents() -> str:
    """The list of the pages of docs/documents/."""
    rows = [
        (f"[{_title(path)}]({path.name})", ", ".join(f"`{name}`" for name in held))
        for path in document_pages()
        if (held := [name for name, entry in papers.TABLE.items() if entry.source.startswith(_title(path))])
    ]
    return (
        "# The source documents\n\nWhat each states, how we read it, and what came out here. "
        "`ascribe reproduce NAME` computes it again.\n\n"
        f"{_table(('document', '`ascribe reproduce`'), rows)}"
    )


def document_pages() -> list[Path]:
    """The pages of docs/documents/."""
    return sorted((DOCS / "documents").glob("*.md"))


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


# Data sets, networks, commands


def data_sets() -> str:
    """Every registered data set: its card, and its options."""
    text = (
        "# Data sets\n\n`ascribe.datasets.load(NAME)`, or `ascribe compare NAME`; a file of your own by its path.\n\n"
        "Examples are vectors, sequences `(time, features)` or images `(height, width, channels)`. A network that begins with "
        "a dense layer gets each of them as one vector, a sequence's steps side by side.\n\n"
    )
    for name, card in datasets.cards().items():
        module, function = datasets.REGISTRY[name].split(":")
        rows = [(label, _cell(getattr(card, label.lower()))) for label in ("Task", "Size", "Source", "License")]
        rows += [("Read more", f"<{card.url}>")] if card.url else []
        text += f"## `{name}`\n\n{card.title}. {card.description}\n\n{_table(('', ''), rows)}\n\n"
        text += _directive(f"ascribe.datasets.{module}.{function}", level=3)
    text += "## A file of your own\n\n" + _directive("ascribe.datasets.table.table", level=3)
    text += "## A text of your own\n\n`text:` before the path of a text file, as in `ascribe compare text:alice.txt`.\n\n"
    text += _directive("ascribe.datasets.text.text", level=3)
    transforms = [(f"`{name}`", _cell(what)) for name, what in datasets.TRANSFORMS.items()]
    return text + "## Transforms of inputs\n\n" + _table(("name", "what it does"), transforms)


def networks() -> str:
    """Ready networks, layers, activations and initial laws."""
    link = lambda name: f"[`{name}`](api/networks.md#{place_of('networks', name)})"
    ready = ("mlp", "lenet", "simplenet", "resnet", "vit", "mixer", "transformer", "gru")
    ready += ("approximator", "xor_network", "build")
    rows = [(link(name), _cell(_first(getattr(ascribe.networks, name)))) for name in ready]
    layers = [(link(name), _cell(_first(layer))) for name, layer in ascribe.networks.LAYERS.items()]
    activations = [(f"`{name}`", "yes" if row.elementwise else "no") for name, row in ascribe.networks.ACTIVATIONS.items()]
    laws = ", ".join(f"`{name}`" for name in ascribe.networks.initializers.names())
    return (
        "# Networks and layers\n\nA network is a sequence of named layers and knows nothing of rules.\n\n"
        f"## Networks\n\n{_table(('function', 'what it makes'), rows)}\n\n"
        f"## Layers\n\n{_table(('layer', 'what it computes'), layers)}\n\n"
        f"## Activations\n\n{_table(('name', 'elementwise'), activations)}\n\n"
        "`leaky-relu:slope=0.2` is the leaky ReLU with another slope below zero, from 0 to 1.\n\n"
        f"## Initial weights\n\n{laws}.\n"
    )


def command_line() -> str:
    """The help of every command."""

    def told(*command: str) -> str:
        console = Console(file=io.StringIO(), width=100)
        app.help_print(list(command), console=console)
        lines = (line.rstrip() for line in console.file.getvalue().strip().splitlines())
        return "```text\n" + "\n".join(lines) + "\n```\n\n"

    text = "# The command line\n\n" + told()
    for command in COMMANDS:
        text += f"## `ascribe {command}`\n\n{told(command)}"
        if command == "runs":
            text += "".join(f"### `ascribe runs {one}`\n\n{told('runs', one)}" for one in ("list", "show", "export", "delete"))
    return text


# The API


def public_modules() -> tuple[str, ...]:
    """The modules that `import ascribe` offers."""
    return tuple(sorted(ascribe._MODULES))


def public_names(module: str) -> list[str]:
    """What a public module offers: `from .x import y as y`, and what it defines itself; "" is ascribe itself."""
    path = SOURCE / module if module else SOURCE
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))
    found = [a.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for a in node.names if a.asname == a.name]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [target.id for target in targets if isinstance(target, ast.Name)]
    return [name for name in found if not name.startswith("_")]


def place_of(module: str, name: str) -> str:
    """The full name under which a public name stands in the API: where a file has its function's own name, the tools
    that read sources take `ascribe.rules.verify` for the file."""
    text = (SOURCE / module / "__init__.py") if (SOURCE / module).is_dir() else None
    shadowed = text is not None and f"from .{name} import {name} as {name}\n" in text.read_text(encoding="utf-8")
    return f"ascribe.{module}.{name}.{name}" if shadowed else f"ascribe.{module}.{name}"


def api_pages() -> dict[str, str]:
    """A page for each public module, and a first one that lists them with all that `ascribe` itself offers."""
    modules = public_modules()
    found, rows, text = {}, [], ""
    for module in modules:
        names = public_names(module)
        first = _first(importlib.import_module(f"ascribe.{module}"))
        rows.append((f"[`ascribe.{module}`]({module}.md)", _cell(first)))
        places = [place_of(module, name) for name in names]
        if module == "rules":
            places += [place_of_rule(row.kind) for row in rules.registry.TABLE.values()]
        entries = "".join(_directive(place, level=2) for place in dict.fromkeys(places))
        found[f"api/{module}.md"] = f"# `ascribe.{module}`\n\n{_sentence(first)}\n\n{entries}"
    short = []
    for name in sorted(set(public_names("")) - set(modules)):
        where = ascribe._WHERE[name].partition(".")[2]
        if where in modules:
            short.append((f"[`ascribe.{name}`]({where}.md#{place_of(where, name)})", _cell(_first(getattr(ascribe, name)))))
        else:
            short.append((f"[`ascribe.{name}`](#ascribe.{name})", _cell(_first(getattr(ascribe, name)))))
            text += _directive(f"ascribe.{name}", level=2)
    found["api/index.md"] = (
        "# The API\n\n`import ascribe` is instant: each name is imported when it is first used.\n\n"
        f"{_table(('name', 'what it is'), short)}\n\n{_table(('module', 'what is in it'), rows)}\n\n{text}"
    )
    return found


def _directive(name: str, level: int) -> str:
    return f"::: {name}\n    options:\n      heading_level: {level}\n\n"


def _first(thing: Any) -> str:
    """The first sentence of a docstring."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split()).partition(". ")[0]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# What MkDocs calls


def on_config(config: Any) -> Any:
    for section in config.nav:
        (title, inside), *_ = section.items()
        if title == "Rules":
            inside += [{name: f"rules/{name}.md"} for name in rules.registry.TABLE]
        if title == "Documents":
            inside += [{_title(path): f"documents/{path.name}"} for path in document_pages()]
        if title == "API":
            inside += [{f"ascribe.{module}": f"api/{module}.md"} for module in public_modules()]
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File  # noqa: PLC0415 - the tests of what is above go without MkDocs

    for place, text in {**pages(), **cards(), **playground()}.items():
        if (old := files.get_file_from_path(place)) is not None:
            files.remove(old)
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links out of docs/, which lead to files of the repository, lead to their pages on the site; the playground is there."""
    if page.file.src_uri in ("index.md", "playground.md"):
        markdown = PICTURE.sub(framed(COMPARED), markdown)
    if page.file.src_uri == "playground.md":
        for lesson in json.loads((SOURCE / "playground" / "page" / "lessons.json").read_text(encoding="utf-8")):
            question = f"*{lesson['question']}*"
            markdown = markdown.replace(question, f'{question}\n\n<a href="{PLAY}#lesson={lesson["id"]}">Open this lesson</a>')
    up = "../" * page.file.src_uri.count("/")
    for place, name in FROM_ROOT.items():
        markdown = markdown.replace(f"](../{up}{name})", f"]({up}{place})")
    return re.sub(r"\]\((?:\.\./)+src/ascribe/(\w+)/\w+\.py\)", rf"]({up}api/\1.md)", markdown)


def on_page_content(content: str, page: Any, config: Any, files: Any) -> str:
    """TeX as MathML."""
    from latex2mathml.converter import convert  # noqa: PLC0415 - as above

    inline = lambda found: convert(html.unescape(found[1]))
    block = lambda found: convert(html.unescape(found[1]), display="block")
    content = re.sub(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', block, content, flags=re.DOTALL)
    return re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', inline, content, flags=re.DOTALL)
