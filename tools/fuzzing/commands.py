"""The command line: the options of every command, networks, sizes."""

import itertools
from functools import cache

from ascribe import networks, rules
from ascribe.cli import COMMANDS, app

from .children import Input
from .spoiling import TEXTS
from .valid import LEAST, UNTUNED, Maker

WHOLE = ("0", "-1", "1", "2", "3", "1.5", "nan", "", "x", "9" * 20, "9" * 400, "9" * 5000, "2147483648", "1e3", "１")
NUMBER = ("0", "-1", "1", "0.5", "nan", "inf", "-inf", "1e400", "1e308", "5e-324", "", "x", "1,5", "9" * 400, "-0")
SPECIAL: dict[str, tuple[str, ...]] = {
    "--rules": (
        "backprop",
        "backprop,backprop",
        "backpropagation",
        ",",
        "x",
        "backprop,x",
        "backprop:1",
        "fa:scale=0.5,fa:scale=2",
        "fa:scale=0",
        "forward-pass:inactive=all,natural=no,backprop",
        "relaxed-identity-as-published:relax_output=2",
        "kp:decay=nan;scale=2",
        "b-function:scale=2;relu1=x",
        "./x.py:R",
        "beside/table.csv",
    ),
    "--network": (
        "2",
        "linear",
        "0",
        "-1",
        "x",
        "2x",
        "x2",
        "2x0",
        "1.5",
        "2x2x2x2",
        "lenet",
        "simplenet/0",
        "1e3",
        "２",
    ),
    "--activation": (
        "relu",
        "tanh",
        "x",
        "",
        "softmax",
        "identity",
        "RELU",
        "sign",
        "leaky-relu:slope=0.2",
        "leaky-relu:slope=x",
    ),
    "--hidden-activation": ("relu", "tanh", "x", "", "softmax"),
    "--optimizer": ("sgd", "x", "", "adam,sgd", "SGD", "rprop", "hypergradient-sgd"),
    "--rates": ("0.001:1", "1:0.001", "0:1", "-1:1", "1:1", "nan:1", "1:inf", ":", "x:y", "1", "1:2:3", "5e-324:1e308"),
    "--search": (
        "backprop.x=1:2",
        "feedback-alignment.scale=0.1:1",
        "scale=1:2",
        "=",
        "x=1",
        "a.b=1:2",
        "learning_rate=1:2",
        ".=1:2",
    ),
    "--select": ("last", "best-validation", "x", ""),
    "--score": ("auc", "macro-f1", "log_loss", "rmse", "x", ""),
    "--loss": ("squared-error", "bernoulli-cross-entropy", "categorical-cross-entropy", "x", ""),
    "--only": ("linear1", "linear2", "first", "last", "x", "relu1", ""),
    "--landscape": ("x", "relu1", "", "linear9"),
    "--controls": ("frosen", "frozen,,", "none,linear", "", "noise", ","),
    "--layer": ("relu1", "x", "linear1", ""),
    "--target": ("0", "-1", "x", "label"),
    "--task": ("binary", "x", "regression"),
    "--missing": ("drop", "mean", "x"),
    "--ignore": ("a", "", ",", "a,b,color"),
    "--noise": ("0", "0.3", "-1", "nan", "inf", "x", "1e308"),
    "--classes": ("3,8", "2", "0", "-1", "cat,dog", ",", "1,1", "x", "1.5,2"),
    "--transform": ("unit-interval", "split-signs", "constant-one", "constant-one,constant-one", "x", ",", ""),
    "--data-option": (
        "noise=0.1",
        "x=1",
        "=",
        "noise",
        "noise=x",
        "samples=5",
        "seed=1",
        "noise=yes",
        "turns=2",
        "noise=nan",
    ),
    "--config": ("beside/record", "beside/record/record.json", "beside/table.csv", "beside", "x", ""),
    "--coordinator": ("", "x", ":", "h:notaport", "1"),
    "--scheduler": ("", "x", "tcp://", "beside/table.csv", "nowhere.json", "tcp://h:notaport"),
    "--workers": ("0", "-1", "x", "1.5", "", "nan"),
    "--store": ("beside/table.csv", "mysql://h/db", "", "nowhere/x.sqlite", "x.sqlite"),
    "--tensorboard": ("beside/table.csv", ""),
    "--mlflow": ("", "x://", "sqlite:///a?b"),
    "--out": ("beside", "beside/table.csv", "", "beside/table.csv/x", "a" * 300, "/dev/null/x", "beside/record"),
    "--transfer": ("none", "x", "moons", "sine", "beside/table.csv", ""),
    "--current": (
        "2e-9",
        "0",
        "-1",
        "nan",
        "inf",
        "1e308",
        "x",
        "0.01:1e-9",
        "0.01:1e-9,0.01:0",
        "0:1",
        "-1:1",
        "1:2:3",
        "1:2:0",
        "1:2:-1",
        ",",
        ":",
        "0:2e-9:2",
    ),
    "--method": ("staggered", "rk4", "exponential-euler", "euler", "exact", "grid", "x", ""),
    "--of": ("lif", "hodgkin-huxley", "x"),
    "--rest": ("-65", "-70", "0", "x"),
}
"""What these options are given; others get what their kind of value suggests."""
FLAGS = (
    "--resume",
    "--overwrite",
    "--dry-run",
    "--quiet",
    "--json",
    "--list",
    "--all",
    "--full",
    "--no-random-search",
    "--random-search",
    "--json=x",
    "--no-json",
)
DATA = (
    "moons",
    "moons",
    "moons",
    "xor",
    "gaussians",
    "sine",
    "spirals",
    "beside/table.csv",
    "x",
    "",
    "mnist",
    "Moons",
    "nowhere.csv",
    "moons,xor",
)
NEVER = ("--all", "--full")
"""Flags with which hours of work are asked for."""


@cache
def options(command: str) -> dict[str, type]:
    """The options of a command that take a value, and what kind of number it is, if it is one."""
    found = {}
    for one in app[command].assemble_argument_collection():
        kind = str(one.hint)
        if not one.children and one.name.startswith("--") and "bool" not in kind:
            found[one.name] = int if "int" in kind else float if "float" in kind else str
    return found


def changed(given: list[str], option: str, text: str) -> list[str]:
    """The arguments with another text for an option."""
    if option not in given:
        return [*given, option, text]
    place = given.index(option) + 1
    return [*given[:place], text, *given[place + 1 :]]


def value(maker: Maker, command: str, option: str) -> str:
    """What an option is given."""
    chance = maker.chance
    if chance.random() < 0.2:
        return chance.choice(TEXTS)
    if option in SPECIAL:
        return chance.choice(SPECIAL[option])
    kind = options(command).get(option, str)
    return chance.choice(WHOLE if kind is int else NUMBER if kind is float else TEXTS)


def flags(maker: Maker) -> Input:
    """Options of every command: wrong, huge, nonsense, twice, at odds with each other."""
    chance = maker.chance
    command = chance.choice(
        ("compare",) * 10 + ("discover",) * 3 + ("neuron",) * 4 + ("report", "runs", "reproduce", "datasets", "rules")
    )
    if command == "compare":
        given = [chance.choice(DATA), *LEAST, *UNTUNED, "--rules", "backprop", "--out", "out"]
        if given[0] == "beside/table.csv":
            given = [given[0], *given[3:]]
    elif command == "discover":
        given = [chance.choice(DATA), *LEAST, "--evaluations", "2", "--batch", "2", "--seeds", "1", "--out", "out"]
        given += ["--tune", "1", "--transfer", "none", "--fresh-seeds", "2" if chance.random() < 0.05 else "x"]
    elif command == "neuron":
        model = chance.choice(("hodgkin-huxley", "lif", "tuning-curve", "network", "x", ""))
        given = [model, "--duration", "0.002", "--out", "out.svg", *(["--neurons", "5"] if model == "network" else [])]
    elif command == "runs":
        given = [
            chance.choice(("list", "show", "export", "delete", "x")),
            chance.choice(("beside/record", "x", "", "beside")),
            "x",
        ]
        given = given[: chance.randrange(4)]
    elif command == "report":
        given = [chance.choice(("beside/record", "x", "", "beside")) for _ in range(chance.randrange(3))]
    elif command == "reproduce":
        given = [chance.choice(("x", "", "chain rule", "--list", "\x1b", "*")) for _ in range(chance.randrange(1, 3))]
    else:
        given = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        given = _another(maker, command, given)
    given = [one for one in given if one not in NEVER]
    if command == "reproduce" and not given:
        given = ["x"]
    out = ("out", "out.svg", "x.sqlite", "nowhere", "ascribe-runs", "mlflow.db", "mlruns", "beside/record/index.html")
    words = [word for one in given for word in (one.split("=", 1) if one.startswith("--") else [one])]
    pairs = itertools.pairwise(words)
    taken = [word.partition("/")[0] for option, word in pairs if option in ("--out", "--store", "--tensorboard")]
    writes = (*out, *(word for word in taken if word not in ("beside", "")))
    return Input(_told([command, *given]), [command, *given], writes=writes)


def _another(maker: Maker, command: str, given: list[str]) -> list[str]:
    """The arguments with an option more, or one that is changed, lost, or given twice."""
    chance = maker.chance
    known = sorted(options(command))
    kind = chance.randrange(12)
    if kind < 7 and known:
        option = chance.choice(known)
        text = value(maker, command, option)
        if option in given and chance.random() < 0.95:
            return changed(given, option, text)
        return [*given, *([f"{option}={text}"] if chance.random() < 0.3 else [option, text])]
    if kind < 9:
        return [*given, chance.choice(FLAGS)]
    place = chance.randrange(len(given) + 1)
    if kind == 9:
        return given[:place] + given[place + 1 :]
    if kind == 10:
        return [*given[:place], chance.choice(TEXTS), *given[place:]]
    return [*given, *given[place : place + 2]]


def _told(given: list[str]) -> str:
    return " ".join(repr(word) if not word.isprintable() or " " in word or not word else word[:60] for word in given)[:400]


WIDTHS = (
    "",
    "0",
    "-1",
    "1",
    "2",
    "x",
    " ",
    "1.5",
    "2x2",
    "x2",
    "2x",
    "2xx2",
    "1e3",
    "２",
    "9" * 400,
    "2,2",
    "[2]",
    "relu",
    "\x00",
    "é",
)
NAMED = (
    "linear",
    "lenet",
    "simplenet",
    "simplenet/8",
    "simplenet/0",
    "simplenet/-1",
    "simplenet/x",
    "simplenet/",
    "lenet/2",
    "resnet/8",
    "resnet/8x2",
    "resnet/9",
    "resnet/99999999999",
    "resnet/",
    "vit/1x4",
    "vit/1x4:patch=7",
    "vit/1x4:patch=",
    "vit/4",
    "mixer/1x4:heads=2",
    "transformer/1x4:causal=yes",
    "transformer/99999x1",
    "gru/4",
    "gru/4x4",
    "gru/99999999999",
    "LENET",
    "Linear",
)
LAYERS = ("Linear", "Conv2d", "MaxPool2d", "AveragePool2d", "Flatten", "Dropout", "BatchNorm", "Shift", "Activation")


def network_texts(maker: Maker) -> Input:
    """Networks by text, by configuration, and by layers that do not fit."""
    chance = maker.chance
    kind = chance.randrange(4)
    if kind == 0:
        text = "x".join(chance.choice(WIDTHS) for _ in range(chance.randrange(1, 5)))
    elif kind == 1:
        text = chance.choice(NAMED)
    else:
        text = chance.choice(TEXTS)
    if kind < 3:
        if chance.random() < 0.2 and "\0" not in text:
            command = ["compare", "moons", *LEAST[:4], *UNTUNED, "--rules", "x", "--out", "out", "--network", text]
            return Input(_told(command), command)
        data = maker.chance.choice(((2,), (28, 28, 1), (0,), (2, 3)))
        activation = chance.choice(("relu", "tanh", "x", "", "leaky-relu:slope=2", "leaky-relu:slope=0.5"))
        outputs = chance.choice((1, 2, 10))
        return Input(
            f"build({text[:40]!r}, {data})",
            lambda: networks.build(text, input_shape=data, outputs=outputs, activation=activation),
        )
    widths = [chance.choice((2, 2, 3, 0, -1, 2.5, None, "x", 10**12, True)) for _ in range(chance.randrange(5))]
    return Input(f"mlp({widths})", lambda: networks.mlp(widths))  # pyright: ignore[reportArgumentType]


def sizes(maker: Maker) -> Input:
    """What would need more memory or time than there is: refused before it is tried."""
    chance = maker.chance
    huge = chance.choice(("100000", "1000000000", "1000000000000", "111111111111", "9223372036854775807", "9" * 20))
    option = chance.choice(
        ("--samples", "--network", "--seeds", "--epochs", "--tune", "--tune-seeds", "--batch-size", "--data-option")
    )
    if option in ("--network", "--seeds", "--epochs", "--tune", "--tune-seeds", "--samples") and huge == "100000":
        huge = "10000000000"
    text = {"--network": chance.choice((huge, f"{huge}x{huge}")), "--data-option": f"dimensions={huge}"}.get(option, huge)
    data = "gaussians" if option == "--data-option" else chance.choice(("moons", "spirals", "xor", "sine"))
    command = [
        "compare",
        data,
        *LEAST,
        *UNTUNED,
        "--rules",
        chance.choice(("backprop", "kolen-pollack")),
        "--out",
        "out",
    ]
    command = changed(command, option, text)
    if chance.random() < 0.15:
        option = chance.choice(("--neurons", "--duration"))
        command = changed(["neuron", "network", "--neurons", "5", "--duration", "0.001", "--out", "out.svg"], option, huge)
    elif chance.random() < 0.15:
        option = chance.choice(("--evaluations", "--batch", "--seeds", "--hidden", "--fresh-seeds"))
        command = [
            "discover",
            "moons",
            *LEAST,
            "--evaluations",
            "2",
            "--batch",
            "2",
            "--transfer",
            "none",
            "--out",
            "out",
        ]
        command = changed(command, option, huge)
    return Input(_told(command), command, writes=("out", "out.svg"))


def rule_names(maker: Maker) -> Input:
    """Names of rules that are none."""
    text = maker.chance.choice(
        (
            *(*TEXTS, *SPECIAL["--rules"], "backprop\n", "Backprop", "x.py", "x.py:", ":R", "a:b:c", "./x.json"),
            *(
                "fa:",
                "fa:=",
                "fa:scale=",
                "fa:=1",
                "fa:scale=1;scale=1",
                "forward-pass:natural=,inactive=all",
                "forward-pass:transforms=+",
                "relaxed-identity:layers=none,layer_weights=1+1e999",
                f"relaxed-identity:layers={'0+' * 5000}",
                "x.py:R:a=1",
                "x.py:a=1:b=2",
                "x.json:scale=1",
            ),
            *("b-function:=;", "gradient-noise-matched:scale=1;tanh", f"fa:scale={'9' * 400}", "fa;scale=1"),
        )
    )
    return Input(f"rules.get({text[:60]!r})", lambda: rules.get(text))


assert set(COMMANDS) >= {"compare", "discover", "neuron", "report", "runs", "reproduce", "datasets", "rules"}
