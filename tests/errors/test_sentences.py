"""Every wrong input through the command line: exit code 2, one sentence that names it, and nothing touched."""

import json
import os
import sys

import numpy as np
import pytest

from ascribe.cli import main
from ascribe.experiments import compare as module

from ..store.case import comparison, plain, snapshot

GOOD_RULE = """
from ascribe.rules import AbstractRule, backward_sweep
class Mine(AbstractRule):
    tasks = ("binary",)
    def __call__(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, key=key)
class Other(Mine.__base__):
    def __call__(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, key=key)
class Picky(Other.__base__):
    strength: float
    def __call__(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, key=key)
NotARule = 3
"""


def numbers(count, columns=2, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns))


def table(header, rows):
    return "\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n"


def files(folder):
    """Everything that a user may point at, good and bad."""
    text = {
        "rule.py": GOOD_RULE,
        "broken.py": "class Mine(\n",
        "raises.py": "raise RuntimeError('not today')\n",
        "empty.py": "",
        "empty.csv": "",
        "header.csv": "a,b,label\n",
        "ragged.csv": "a,b,label\n1,2,x\n3,4\n5,6,y\n" * 5,
        "constant.csv": table(["a", "b", "label"], [(a, b, "x") for a, b in numbers(20)]),
        "one-class.csv": table(["a", "label"], [(a, 1) for (a,) in numbers(20, 1)]),
        "gaps.csv": table(["a", "b", "label"], [(a, "", "x" if a > 0 else "y") for a, b in numbers(20)]),
        "few.csv": table(["a", "label"], [(1, "x"), (2, "y"), (3, "x")]),
        "holes.csv": table(["a", "label"], [("" if i == 3 else i, "x" if i % 2 else "y") for i in range(20)]),
        "words.csv": table(["a", "label"], [(f"word{i}", i % 2) for i in range(40)]),
        "good.csv": table(["width", "label"], [(i * i, "x" if i % 2 else "y") for i in range(30)]),
        "one-column.csv": "\n".join(map(str, range(20))),
        "three.csv": table(["a", "label"], [(i * i, "rare" if i < 3 else "x") for i in range(30)]),
        "typo.csv": table(["a", "label"], [("1o" if i == 7 else i, i % 2) for i in range(40)]),
    }
    for name, content in text.items():
        (folder / name).write_text(content)
    (folder / "garbage.csv").write_bytes(bytes(range(256)) * 4)
    (folder / "garbage.parquet").write_bytes(b"not parquet at all")
    (folder / "a-folder.csv").mkdir()
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 and then nothing")
    np.savez(folder / "objects.npz", x=np.array([{"a": 1}] * 20, dtype=object), y=np.arange(20) % 2)
    np.savez(folder / "lonely.npz", x=numbers(20))
    np.savez(folder / "images.npz", x=numbers(20, 144).reshape(20, 12, 12, 1), y=np.arange(20) % 2)
    parts = {f"x_{part}": numbers(10) for part in ("train", "test")}
    np.savez(folder / "split.npz", **parts, y_train=np.arange(10) % 2, y_test=np.arange(10) % 2)
    np.savez(folder / "uneven.npz", x=numbers(20), y=np.arange(19) % 2)
    (folder / "a-file").write_text("mine")
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter.tex").write_text("years of work")
    (folder / "half").mkdir()
    (folder / "half" / "runs.csv").write_text("rule,seed\n")
    (folder / "nothing").mkdir()


RULES = {
    "unknown rule": ("moons --rules nosuch", ["unknown rule 'nosuch'", "ascribe rules"]),
    "rule with a typing error": (
        "moons --rules bakcpropagation",
        ["'bakcpropagation'", "did you mean backpropagation"],
    ),
    "ambiguous beginning": ("moons --rules sign", ["'sign'", "sign-symmetry or sign-symmetry-batch-random"]),
    "missing rule file": ("moons --rules ./nosuch.py:Mine", ["no rule file 'nosuch.py'"]),
    "rule file with a syntax error": ("moons --rules ./broken.py:Mine", ["'broken.py'", "SyntaxError"]),
    "rule file that raises": ("moons --rules ./raises.py:Mine", ["'raises.py'", "not today"]),
    "rule file without the class": ("moons --rules ./rule.py:Nosuch", ["'rule.py'", "no 'Nosuch'"]),
    "rule file with several rules": ("moons --rules ./rule.py", ["defines 3 rules", "rule.py:MyRule"]),
    "rule file with no rule": ("moons --rules ./empty.py", ["defines 0 rules"]),
    "class that is no rule": ("moons --rules ./rule.py:NotARule", ["rule.py:NotARule is no rule", "AbstractRule"]),
    "rule that needs an argument": ("moons --rules ./rule.py:Picky", ["Picky", "cannot be built", "strength"]),
    "option that a rule has not": (
        "moons --rules bp,dfa:size=2",
        ["dfa has no option 'size'", "it has cuts, scale, error,"],
    ),
    "option out of range": ("moons --rules fa:scale=0", ["in the rule fa, `scale` is a number in (0, inf)", "got 0"]),
    "yes or no of a rule": ("moons --rules forward-pass:natural=perhaps", ["natural", "forward-pass", "yes or no"]),
    "number of a rule in words": (
        "moons --rules bp,forward-pass:inactive=all,epsilon=small",
        ["in the rule forward-pass, `epsilon` is a number in (0, inf)", "'small'"],
    ),
    "word that an option has not": (
        "moons --rules relaxed-identity-as-published:kind=kept",
        ["`kind` is persistent or transient", "'kept'"],
    ),
    "inner steps without a weight": (
        "moons --rules relaxed-identity:hidden_weight=0",
        ["inner steps are divided by `hidden_weight`", "above 0"],
    ),
    "option without a rule": ("moons --rules inactive=all", ["unknown rule 'inactive=all'"]),
    "rule file without its path": ("moons --rules rule:Mine", ["unknown rule 'rule'", "./rule.py:Mine"]),
    "a variant twice": ("moons --rules fa:scale=1.0,fa:scale=1", ["feedback-alignment:scale=1 is named twice"]),
    "rule twice": ("moons --rules backprop,backpropagation", ["backpropagation is named twice"]),
    "no rules": ("moons --rules ,", ["rules", "ascribe rules"]),
    "multi-class data for a binary rule": ("digits --rules forward-pass", ["forward-pass", "classification", "binary"]),
    "dense rule with a convolution": (
        "images.npz --rules forward-pass --network lenet",
        ["forward-pass rule is defined for dense layers", "64x64"],
    ),
    "too many parameters for the rule": (
        "moons --rules backprop,finite-differences",
        ["finite differences", "4,417", "limit is 1,000", "smaller network"],
    ),
    "regression for the perceptron": ("sine --rules perceptron", ["perceptron", "cannot do regression", "binary"]),
    "rule for another task": ("digits --rules ./rule.py:Mine", ["rule:Mine", "cannot do classification", "binary"]),
}
SETTINGS = {
    "network 64xx64": ("moons --network 64xx64", ["unknown network '64xx64'", "64x64"]),
    "network 0x3": ("moons --network 0x3", ["unknown network '0x3'"]),
    "network -5": ("moons --network=-5", ["unknown network '-5'"]),
    "network of a word": ("moons --network densenet", ["unknown network 'densenet'", "lenet", "resnet/8"]),
    "lenet without images": ("moons --network lenet", ["LeNet takes images", "(2,)", "64x64"]),
    "lenet on sequences": ("digit-rows --network lenet", ["takes images", "(8, 8)", "--network 64x64"]),
    "simplenet on sequences": ("adding --network simplenet/8", ["takes images", "(20, 2)", "--network 64x64"]),
    "a crop of sequences": ("parity --transform random-crop", ["random-crop is for images", "(10, 1)", "leave it out"]),
    "lenet on small images": ("digits --network lenet", ["12 × 12", "(8, 8, 1)"]),
    "resnet without a depth": ("digits --network resnet", ["write its depth, or depth x width", "as in resnet/8"]),
    "resnet of another depth": ("digits --network resnet/9", ["6n + 2, such as 8, 14 or 20", "got 9"]),
    "vision transformer without a width": ("digits --network vit/4", ["write its depth x width", "as in vit/4x64"]),
    "option of a network": (
        "digits --network vit/1x8:ptach=2",
        ["unknown option of vit/1x8 'ptach'", "did you mean 'patch'"],
    ),
    "option of a network without a value": (
        "digits --network vit/1x8:patch",
        ["the option patch of vit/1x8 needs a value"],
    ),
    "patches that do not fit": ("digits --network vit/1x8:patch=3", ["divides both sides", "8 × 8", "got 3"]),
    "heads that do not fit": ("digits --network vit/1x8:heads=3", ["`heads` of Attention divides its width 8", "3"]),
    "transformer of a table": ("moons --network transformer/1x8", ["(time, features)", "row by row", "(2,)", "64x64"]),
    "recurrent network of a table": ("moons --network gru/8", ["gru reads sequences", "(2,)", "64x64"]),
    "mixer of a table": ("moons --network mixer/1x8", ["mixer takes images", "(2,)", "64x64"]),
    "activation": ("moons --activation relo", ["unknown activation 'relo'", "relu"]),
    "slope of an activation": ("moons --activation leaky-relu:slope=2", ["slope from 0 to 1", "leaky-relu:slope=2"]),
    "optimizer": ("moons --optimizer adm", ["unknown optimizer 'adm'", "adam"]),
    "loss": ("moons --loss hinge", ["unknown loss 'hinge'", "squared-error"]),
    "categorical loss on one output": ("moons --loss categorical-cross-entropy", ["moons", "categorical", "1"]),
    "Bernoulli loss on numbers": ("sine --loss bernoulli-cross-entropy", ["sine", "bernoulli-cross-entropy"]),
    "categorical loss on numbers": ("sine --loss categorical-cross-entropy", ["sine", "categorical-cross-entropy"]),
    "select": ("moons --select best", ["--select", "best", "best-validation"]),
    "score of no name": ("moons --score acuracy", ["score", "balanced_accuracy, macro_f1, auc", "'acuracy'"]),
    "score of classes for numbers": ("sine --score auc", ["for regression one of rmse, r2, loss", "'auc'"]),
    "score that is empty": ("moons --score=", ["--score wants a value; got an empty text"]),
    "only of no layer": ("moons --only linear9", ["only", "linear1, linear2, linear3", "'linear9'"]),
    "only of an activation": ("moons --only relu1", ["only", "layer with weights", "'relu1'"]),
    "one fold": ("moons --folds 1", ["--folds is an integer of at least 2; got 1", "--folds 5"]),
    "half a fold": ("moons --folds 2.5", ["--folds is a whole number", "'2.5'"]),
    "more folds than a class has examples": (
        "moons --samples 40 --folds 21",
        ["--folds is a number from 2 to 20", "an example of the smallest class", "got 21"],
    ),
    "folds of numbers": (
        "sine --samples 30 --folds 31",
        ["--folds is a number from 2 to 30", "an example of the data"],
    ),
    "folds of a class of three": ("three.csv --folds 4", ["got 4 for 3 examples"]),
    "folds of data with a test part": ("split.npz --folds 3", ["--folds", "came divided", "leave --folds out"]),
    "folds and a landscape": ("moons --folds 3 --landscape linear1", ["--landscape", "--folds", "give one of them"]),
    "landscape of no layer": ("moons --landscape conv1", ["landscape", "linear1, linear2, linear3", "'conv1'"]),
    "landscape without a path": (
        "moons --rules forward-pass --landscape linear2",
        ["no rule here has a path", "forward-pass", "inputs of its own"],
    ),
    "no seeds": ("moons --seeds 0", ["seeds", "positive", "0"]),
    "negative seeds": ("moons --seeds -1", ["seeds", "-1"]),
    "half a seed": ("moons --seeds 1.5", ["--seeds", "1.5"]),
    "half a sample": ("moons --samples 99.5", ["--samples", "99.5"]),
    "seeds in words": ("moons --seeds three", ["--seeds", "three"]),
    "no epochs": ("moons --epochs 0", ["epochs", "positive integer", "0"]),
    "negative epochs": ("moons --epochs -3", ["epochs", "-3"]),
    "epochs in words": ("moons --epochs many", ["--epochs", "many"]),
    "no batch": ("moons --batch-size 0", ["batch", "positive integer", "0"]),
    "negative batch": ("moons --batch-size -32", ["batch", "-32"]),
    "negative tune": ("moons --tune -1", ["tune", "-1"]),
    "tune in words": ("moons --tune yes", ["--tune", "yes"]),
    "no tuning seeds": ("moons --tune-seeds 0", ["tune", "positive integer", "0"]),
    "rate of zero": ("moons --learning-rate 0", ["learning", "positive number", "0"]),
    "negative rate": ("moons --learning-rate -1", ["learning", "-1"]),
    "rate that is no number": ("moons --learning-rate nan", ["learning", "positive number", "nan"]),
    "infinite rate": ("moons --learning-rate inf", ["learning", "positive number", "inf"]),
    "rate in words": ("moons --learning-rate fast", ["--learning-rate", "fast"]),
    "rates upside down": ("moons --rates 1:0.1", ["lower one first", "1.0:0.1"]),
    "rates in letters": ("moons --rates a:b", ["--rates", "LOW:HIGH", "'a:b'"]),
    "rates from zero": ("moons --rates 0:1", ["positive numbers", "0.0:1.0"]),
    "a single rate": ("moons --rates 0.1", ["--rates", "LOW:HIGH", "'0.1'"]),
    "three rates": ("moons --rates 0.1:1:10", ["--rates", "LOW:HIGH", "'0.1:1:10'"]),
    "rate and rates": ("moons --rates 0.1:1 --learning-rate 1", ["--learning-rate", "--rates"]),
    "search without a range": ("moons --search feedback-alignment.scale", ["--search", "RULE.NAME=LOW:HIGH"]),
    "search with half a range": ("moons --search feedback-alignment.scale=1", ["--search", "LOW:HIGH", "'1'"]),
    "search for an absent rule": ("moons --rules backprop --search nosuch.scale=1:2", ["'nosuch.scale'", "no rule"]),
    "search for an absent number": ("moons --search feedback-alignment.nosuch=1:2", ["no number 'nosuch'"]),
    "search upside down": ("moons --search feedback-alignment.scale=2:1", ["lower one first", "2.0:1.0"]),
    "search with tuning off": (
        "moons --tune 0 --search feedback-alignment.scale=1:2",
        ["tuning", "is off", "--search"],
    ),
    "rates with tuning off": ("moons --tune 0 --rates 0.1:1", ["tuning", "is off", "--rates"]),
    "unknown option": ("moons --learningrate 1", ["--learningrate"]),
    "option that is close to none": ("moons --bogus 1", ["there is no option --bogus. See `ascribe compare --help`"]),
    "option with a typing error": ("moons --epoch 1", ["there is no option --epoch (did you mean --epochs?)"]),
    "words for a whole number": ("moons --epochs many", ["--epochs is a whole number; got 'many'."]),
    "a fraction for a whole number": ("moons --samples 99.5", ["--samples is a whole number; got '99.5'."]),
    "words for a number": ("moons --learning-rate fast", ["--learning-rate is a number; got 'fast'."]),
    "another choice": ("moons --select first", ["--select is last or best-validation; got 'first'."]),
    "value of a flag": ("moons --dry-run=maybe", ["--dry-run takes no value; got 'maybe'."]),
    "option without its value": ("moons --epochs", ["--epochs wants a value, and none came."]),
    "option twice": ("moons --epochs 1 --epochs 2", ["--epochs is given twice"]),
    "two data sets": ("moons xor", ["'xor' is one word too many: a list has commas between its parts"]),
    "dry run of what is resumed": ("moons --dry-run --resume --out record", ["--dry-run", "--resume"]),
    "dry run into a record": ("moons --dry-run --out record", ["'record'", "--overwrite"]),
    "no data": ("", ["DATA"]),
    "an empty path": ("moons --tensorboard=", ["--tensorboard wants a value; got an empty text: is a variable of"]),
    "an empty value": ("moons --out=", ["--out wants a value; got an empty text"]),
    "config of too long a name": (f"--config {'x' * 300}", ["a record is named by a path that can be", "too long"]),
    "config that is no record": ("--config thesis", ["'thesis'", "no ascribe record"]),
    "config that is a file": (
        "--config a-file",
        ["'a-file' is no record: name the folder that compare wrote"],
    ),
    "config that is damaged": ("--config later/record.json", ["'later/record.json'", "format 99"]),
    "config of Python": ("--config record", ["'record'", "was made in Python"]),
}
DATA = {
    "unknown data set": ("nosuch", ["'nosuch'", "ascribe datasets"]),
    "data set with a typing error": ("mons", ["'mons'", "did you mean 'moons'"]),
    "option of another data set": ("digits --noise 0.1", ["digits", "noise"]),
    "target of a data set": ("moons --target label", ["moons", "target"]),
    "task of a data set": ("moons --task binary", ["moons", "task"]),
    "no samples": ("moons --samples 0", ["samples", "0"]),
    "negative samples": ("moons --samples -10", ["samples", "-10"]),
    "too few samples": ("moons --samples 3", ["--samples is at least 10", "got 3: try --samples 10"]),
    "negative noise": ("moons --noise -0.1", ["noise", "-0.1"]),
    "noise that is no number": ("moons --noise nan", ["noise", "nan"]),
    "classes in words": ("digits --classes one,two", ["--classes is a list of at least two of", "got 'one'"]),
    "one class": ("digits --classes 3", ["classes", "3"]),
    "class that is not there": ("digits --classes 3,12", ["classes", "12"]),
    "negative data seed": ("moons --data-seed -1", ["seed", "-1"]),
    "unknown transform": ("moons --transform nosuch", ["unknown transform 'nosuch'", "split-signs, constant-one"]),
    "transform with a typing error": (
        "moons --transform constant-one,split-sings",
        ["'split-sings'", "did you mean 'split-signs'"],
    ),
    "no transform": ("good.csv --transform ,", ["--transform is a name or a list of names", "','"]),
    "transforms the wrong way round": (
        "moons --transform constant-one,unit-interval",
        ["unit-interval comes before constant-one", "write unit-interval,constant-one"],
    ),
    "absent file": ("./nosuch.csv", ["no file 'nosuch.csv'"]),
    "absent file with a close name": ("./god.csv", ["'god.csv'", "did you mean 'good.csv'"]),
    "empty file": ("empty.csv", ["empty.csv", "got no lines"]),
    "header only": ("header.csv", ["header.csv", "10 examples"]),
    "ragged": ("ragged.csv", ["ragged.csv", "line 3", "3 cells"]),
    "constant target": ("constant.csv", ["'label'", "'x' everywhere"]),
    "one class only": ("one-class.csv", ["'label'", "'1' everywhere"]),
    "column without values": ("gaps.csv", ["'b'", "no value"]),
    "few rows": ("few.csv", ["few.csv", "10 examples", "3"]),
    "a missing value": ("holes.csv", ["holes.csv", "1 missing", "'a'"]),
    "too many texts": ("words.csv", ["'a'", "got 40, such as"]),
    "a typing error among numbers": ("typo.csv", ["'a'", "line 9", "'1o'"]),
    "one column": ("one-column.csv", ["one-column.csv", "two columns"]),
    "absent target": ("good.csv --target lable", ["'lable'", "did you mean 'label'"]),
    "target number too high": ("good.csv --target 7", ["--target is a column of good.csv", "got '7': try --target -1"]),
    "unknown task": ("good.csv --task ranking", ["task", "'ranking'"]),
    "regression on words": ("good.csv --task regression", ["'label'", "texts"]),
    "unknown policy": ("holes.csv --missing guess", ["missing", "'guess'"]),
    "noise for a file": ("good.csv --noise 1", ["a table has no option", "noise"]),
    "binary garbage": ("garbage.csv", ["garbage.csv", "binary"]),
    "garbage as Parquet": ("garbage.parquet", ["garbage.parquet"]),
    "folder for a file": ("a-folder.csv", ["a-folder.csv", "folder"]),
    "broken NPZ": ("broken.npz", ["broken.npz", "not a readable NPZ"]),
    "NPZ with objects": ("objects.npz", ["objects.npz", "Python objects"]),
    "NPZ without targets": ("lonely.npz", ["lonely.npz", "x", "y"]),
    "NPZ with uneven rows": ("uneven.npz", ["uneven.npz", "(20, 2)", "(19,)"]),
}
OUT = {
    "out is a file": ("moons --out a-file", ["'a-file'", "is a file", "--out"]),
    "out is someone's folder": ("moons --out thesis", ["'thesis'", "no finished ascribe record"]),
    "out is someone's folder, overwriting": ("moons --out thesis --overwrite", ["'thesis'", "no finished"]),
    "out is half a record": ("moons --out half --overwrite", ["'half'", "no finished ascribe record"]),
    "out is a record": ("moons --out record", ["'record'", "--overwrite"]),
    "out below a file": ("moons --out a-file/results", ["'a-file/results'", "cannot be written"]),
    "out far below a file": ("moons --out a-file/results/today", ["'a-file/results/today'", "cannot be written"]),
    "out where nobody may write": ("moons --out /proc/results", ["'/proc/results'", "cannot be written"]),
    "out with too long a name": (f"moons --out {'x' * 300}", ["cannot be written", "too long"]),
    "out with no room for a name beside it": (f"moons --out {'x' * 250}", ["cannot be written", "too long"]),
}
BOUNDS = {
    "seeds beyond the memory": ("moons --seeds 1000000000", ["memory does not hold", "1000000000 runs", "fewer"]),
    "seeds beyond all": (f"moons --seeds {10**20}", ["from 0 to 2147483647", str(10**20)]),
    "tuning seeds beyond the memory": (f"moons --tune-seeds {10**20}", ["memory does not hold", "candidates"]),
    "candidates beyond the memory": ("moons --tune 1000000000", ["memory does not hold", "candidates"]),
    "samples beyond the memory": (f"moons --samples {10**12}", ["memory does not hold", f"samples={10**12}"]),
    "features beyond the memory": (
        f"gaussians --data-option dimensions={10**12}",
        ["memory does not hold", "features"],
    ),
    "network beyond the memory": ("moons --network 111111111111", ["memory does not hold a network", "narrower"]),
    "layers beyond the memory": (f"moons --network {'x'.join(['20000'] * 2000)}", ["memory does not hold a network"]),
    "network of 400 digits": (f"moons --network {'9' * 400}", ["unknown network '9999", "64x64"]),
    "network of 5000 digits": (f"moons --network {'9' * 5000}", ["unknown network '9999", "64x64"]),
    "thin network of 5000 digits": (f"moons --network simplenet/{'9' * 5000}", ["unknown network", "simplenet/8"]),
    "epochs of 400 digits": (
        f"moons --rules backprop --epochs {'9' * 400}",
        ["`epochs` is 2147483647 at most", "999...999"],
    ),
    "seeds of 5000 digits": (f"moons --seeds {'9' * 5000}", ["--seeds is a whole number of fewer digits"]),
    "noise of 400 digits": (f"moons --data-option noise={'9' * 400}", ["noise is a finite number", "999...999"]),
    "noise beyond all": ("moons --noise 1e999", ["noise is a finite number", "inf"]),
    "rate of 400 digits": (f"moons --rates 1:{'9' * 400}", ["the range of learning_rate", "inf"]),
    "workers beyond the memory": (f"moons --workers {10**20}", ["memory does not hold", "workers"]),
    "path of 5000 characters": (f"./{'x' * 5000}.csv", ["there is no file", "..."]),
    "out that is no UTF-8": ("moons --out \udcff", ["UTF-8", "'\\udcff'"]),
    "file that is no UTF-8": ("\udcff.csv", ["UTF-8", "'\\udcff.csv'"]),
}
CASES = {name: (f"compare {line}", wanted) for name, (line, wanted) in (RULES | SETTINGS | DATA | OUT | BOUNDS).items()} | {
    "hidden neurons beyond the memory": (f"discover moons --hidden {10**20}", ["memory does not hold a meta-network"]),
    "evaluations beyond the memory": (f"discover moons --evaluations {10**9}", ["memory does not hold", "fewer"]),
    "neurons beyond the memory": (f"neuron network --neurons {10**9}", ["memory does not hold", "fewer"]),
    "currents beyond the memory": (f"neuron tuning-curve --current 0:3:{10**20}", ["memory does not hold", "fewer"]),
    "current beyond all": ("neuron tuning-curve --current 0:1e999:9", ["FROM:TO:COUNT", "1e999"]),
    "seed of a network": ("neuron network --seed -1", ["`seed`", "-1"]),
    "duration beyond all": ("neuron lif --duration 1e308", ["1e+308 s", "in seconds"]),
    "report with a NUL": ("report a\0b", ["UTF-8", "'a\\x00b'"]),
    "unknown command": ("comapre moons", ["'comapre' (did you mean compare?)"]),
    "seed of a network in half": ("neuron network --seed 1.5", ["--seed is a whole number; got '1.5'."]),
    "model of a neuron": ("neuron", ["MODEL is missing"]),
    "model in capitals": ("neuron LIF", ["got 'LIF' (did you mean lif?)"]),
    "choice of two numbers": ("neuron hodgkin-huxley --rest 3", ["--rest is -65 or -70; got '3'."]),
    "export of too long a name": (
        f"runs export record --out {'x' * 300}",
        ["an export is named by a path", "too long"],
    ),
    "export that is there": ("runs export record --out a-file", ["'a-file' is there already", "--overwrite"]),
    "unknown option of rules": ("rules --all", ["--all"]),
    "report on nothing": ("report nosuch", ["'nosuch'", "no ascribe record"]),
    "report on an empty folder": ("report nothing", ["'nothing'", "no ascribe record"]),
    "report on someone's folder": ("report thesis", ["'thesis'", "no ascribe record"]),
    "report on a file": ("report a-file", ["'a-file'", "is a file: name the folder that compare wrote"]),
    "report on a damaged record": ("report damaged", ["damaged", "backpropagation.npz"]),
    "report on a later format": ("report later", ["later", "format 99"]),
    "report into a folder": ("report record --out thesis", ["--out", "'thesis'", "folder"]),
    "report below a file": ("report record --out a-file/page.html", ["'a-file/page.html'", "cannot be written"]),
    "report without a folder": ("report", ["wants a folder"]),
}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """One folder with all files, for all cases: none of them may change it."""
    folder = tmp_path_factory.mktemp("workplace")
    files(folder)
    with pytest.MonkeyPatch.context() as patch:
        plain(patch)
        for name in ("record", "damaged", "later"):
            comparison().save(folder / name)
    curves = folder / "damaged" / "curves" / "backpropagation.npz"
    curves.write_bytes(curves.read_bytes()[:100])
    record = folder / "later" / "record.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"format": 99}))
    return folder


@pytest.fixture(autouse=True)
def inside(workplace, monkeypatch):
    """In the folder, with the certainty that nothing is trained before a refusal; pages are drawn without figures."""

    def trained(*_, **__):
        raise AssertionError("this was too late")

    monkeypatch.chdir(workplace)
    for name in ("tuned", "carry_out"):
        monkeypatch.setattr(module.Plan, name, trained)
    monkeypatch.setattr(sys.modules["ascribe.report.page"], "drawings", lambda comparison: {})
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # importing a rule file leaves no __pycache__ beside it


@pytest.mark.parametrize(("line", "fragments"), CASES.values(), ids=CASES)
def test_a_wrong_input_gets_one_sentence_and_exit_code_2(workplace, capsys, line, fragments):
    before = snapshot(workplace)
    code = main(line.split())
    out, err = capsys.readouterr()
    assert code == 2, err
    assert not out
    assert err.startswith("ascribe: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert err.rstrip()[-1] in ".?"
    assert "Traceback" not in err
    for fragment in fragments:
        assert fragment in err
    assert snapshot(workplace) == before


def test_there_are_many_cases():
    assert len(CASES) >= 45


@pytest.mark.skipif(os.geteuid() == 0, reason="permission bits do not bind root")
def test_a_folder_that_may_not_be_written_is_refused_before_the_work(tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert main(["compare", "moons", "--out", str(tmp_path / "locked" / "results")]) == 2
    assert "cannot be written" in capsys.readouterr().err
