"""`Var` and `Op`, the two kinds of objects of an expression graph.

    x, y = Var(2.0), Var(3.0)
    f = sin(x) + x * y        # f.creator is an Op, +, whose args were created by an Op each: sin and *
    f.backward()              # x.grad is ∂f/∂x = cos(x) + y

Source: "Neural networks" (course notes), section 4.1.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ascribe.checks import explained
from ascribe.errors import UserError, shown

from .values import REAL, Value, describe, frozen, number_or_array

SEQUENCES = (list, tuple)
NUMPY = "use one of ascribe.autodiff, or a Var's `.value`"

OPERATORS: dict[str, "Operator"] = {}
"""Every operator by its name."""

WALKS: dict[str, Callable[..., Any]] = {}
"""How a graph is walked, there (`evaluate`) and back (`backward`): `traversal` puts both here, since it knows the derivatives,
which are made of operators, which are made of what stands here."""

_now = 0
"""How many times a `Var` was given a value. It dates values, so that old ones are noticed."""


class Operator:
    """What an `Op` applies: a name and a function from values to a value.

    `elementwise`: it acts number by number, and its arguments are broadcast against each other. `symbol`: how it is written
    between its arguments, if it is. Its derivative stands under its name in the table `derivatives.DERIVATIVES`.
    """

    __slots__ = ("elementwise", "forward", "name", "symbol")

    @explained
    def __init__(self, name: str, forward: Callable[..., Value], *, symbol: str = "", elementwise: bool = False):
        OPERATORS[name] = self
        self.name, self.forward, self.symbol, self.elementwise = name, forward, symbol, elementwise

    def __repr__(self) -> str:
        return f"<operator {self.name}>"

    def __call__(self, *args: Any, **options: Any) -> Any:
        """A `Var` created by a new `Op`, with its value if all arguments have one; of plain values alone, a plain value."""
        values, variable, known = [], False, True
        for a in args:
            if a.__class__ is Var:
                variable = True
                known = known and a._value is not None
                values.append(a._value)
            elif a.__class__ in SEQUENCES and holds_variables(a):
                return self(*map(joined, args), **options)
            else:
                values.append(a)
        if not variable:
            return self.compute(values, options)
        out = _new(Var)
        out._value = self.compute(values, options) if known else None
        out._grad = out._arriving = out._order = out.name = None
        out._time = _now
        out.creator = Op(self, args, options)
        return out

    def compute(self, values: list[Value], options: dict[str, Any]) -> Value:
        """The function's value.

        **Raises:** `UserError` that names the operator and the shapes, where it does not apply, and where the result is no
        real number: derivatives are those of real numbers.
        """
        try:
            value = self.forward(*values, **options)
            if value.__class__ is np.float64:
                return value
            if value.__class__ is np.ndarray:
                value = value[()] if value.ndim == 0 else frozen(value)
            if value.__class__ is complex or getattr(value, "dtype", REAL).kind not in "fiub":
                kinds = " and ".join(describe(value) for value in values)
                raise UserError(
                    f"the operator {self.name} makes other than real numbers of {kinds}, and only those have derivatives here."
                )
            return value
        except UserError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            kinds = " and ".join(describe(value) for value in values)
            raise UserError(f"the operator {self.name} does not apply to {kinds}: {error}.") from None


_new = object.__new__


class Op:
    """One application of an operator: `operator`, `args` (each a `Var` or a constant) and `options` (an axis, say). The `Var`
    that came out has it as its `creator`."""

    __slots__ = ("args", "operator", "options")

    def __init__(self, operator: Operator, args: tuple[Any, ...], options: dict[str, Any]):
        self.operator, self.args, self.options = operator, args, options

    def __repr__(self) -> str:
        return f"<op {self.operator.name} of {len(self.args)}>"

    def compute(self) -> Value:
        """The operator's value at the values that its arguments hold, which `Var.evaluate` has brought up to date."""
        return self.operator.compute([a._value if a.__class__ is Var else a for a in self.args], self.options)

    def evaluate(self) -> Value:
        """Evaluates every argument, then the operator at their values: never of an old one.

        The `Var` that came out of this `Op` keeps what it has; `evaluate` of that sets it.

        **Raises:** `UserError` where a variable has no value.
        """
        for a in self.args:
            if a.__class__ is Var:
                a.evaluate()
        return self.compute()

    def backward(self, s: Any = None) -> None:
        """Adds s · ∂Op/∂v to the `grad` of every `Var` v below: each argument x gets s · ∂Op/∂x and passes it on.

        `y.backward(s)` is s added to `y.grad`, then `y.creator.backward(s)`. `s`: in the shape of the operator's result; 1 by
        default, which wants a scalar.

        **Raises:** `UserError` as `Var.backward`.
        """
        self.operator(*self.args, **self.options).backward(s)


class Var:
    """A variable of an expression: its `value`, `grad`, and `creator`, the `Op` it came out of (None: it was made by hand).

    `Var(3.0)`, `Var([[1, 2], [3, 4]])` or `Var(array)` has a value; `Var(name="x")` gets it later, by `x.value = …`, and
    expressions of it are evaluated when asked. Integers become float64; float32 stays. Arrays are copied, and no value can be
    written into: a changed entry would leave all that was computed from the old one as it was. Give a new value instead.

    `grad`: the derivative of the expressions whose `backward` was called, all added up, in the shape of the value; 0 after
    `zero_grad`.

    **Raises:** `UserError` for what is no real number or array of them.
    """

    __slots__ = ("__weakref__", "_arriving", "_grad", "_order", "_time", "_value", "creator", "name")
    creator: Op | None
    name: str | None
    _value: Value
    _grad: Value
    _arriving: Any  # what traversal.arriving has gathered so far
    _order: "Path | None"
    _time: int

    def __init__(self, value: Any = None, *, name: str | None = None):
        self.name, self.creator = name, None
        self._value = self._grad = self._arriving = self._order = None
        self._time = 0
        if value is not None:
            self.value = value

    @property
    def value(self) -> Value:
        """The value; None where it was never given or evaluated. It may be older than those it depends on: see `evaluate`."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self.assign(number_or_array(_plain(value)))

    def assign(self, array: Value) -> None:
        """`value = array` for an array of floating-point numbers that nobody else writes into: it is not copied."""
        global _now  # noqa: PLW0603
        if self.creator is not None:
            raise UserError(
                f"{label(self)} is the result of {self.creator.operator.name}, and a value can be given only to a Var made by "
                "hand: give it to those, then call evaluate()."
            )
        self._value = frozen(np.asarray(array))
        _now += 1
        self._time = _now

    @property
    def grad(self) -> Value:
        """The accumulated derivative; zeros where none has arrived."""
        return np.zeros_like(self._known) if self._grad is None else self._grad

    @property
    def _known(self) -> Value:
        if self._value is None:
            raise UserError(f"{label(self)} has no value yet: give its variables values and call evaluate().")
        return self._value

    def evaluate(self) -> Value:
        """The value at the values that the variables have now; every `Var` on the way gets its own.

        **Raises:** `UserError` where a variable has none.
        """
        return WALKS["evaluate"](self)

    def backward(self, s: Any = None) -> None:
        """Adds s · ∂(this)/∂v to the `grad` of every `Var` v that this one depends on, its own included.

        `s`: in this one's shape; 1 by default, which wants a scalar.

        **Raises:** `UserError` where a value is older than one it depends on (call `evaluate` first), where an operator has no
        rule, or where s has another shape. Then no `grad` has changed.
        """
        WALKS["backward"](self, s)

    def __getstate__(self) -> Any:
        """For pickle and copy: without what a walk or `order` can find again."""
        kept = ("name", "creator", "_value", "_grad", "_time")
        return {name: getattr(self, name) for name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The time goes on from that of the process which wrote it, so that a value given here is newer than all of there."""
        global _now  # noqa: PLW0603
        self._arriving = self._order = None
        for name, value in state.items():
            setattr(self, name, value)
        _now = max(_now, self._time)

    def zero_grad(self) -> None:
        """Sets the `grad` of this and of every `Var` that it depends on to 0."""
        for v in order(self):
            v._grad = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's."""
        return np.shape(self._known)

    @property
    def ndim(self) -> int:
        """How many axes the value has."""
        return np.ndim(self._known)

    @property
    def dtype(self) -> np.dtype:
        """The value's."""
        return np.asarray(self._known).dtype

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a Var of no axes has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator["Var"]:
        return (self[i] for i in range(len(self)))

    def _no_number(self, *_: Any) -> Any:
        """What Python's `float`, and with it all of `math`, asks for: the number that came out would have no derivative."""
        raise UserError(
            "a Var is made a plain number here, which no derivative passes through: write `.value` where the number is "
            "wanted, and one of ascribe.autodiff in place of Python's or NumPy's function where the derivative is."
        )

    __float__ = __int__ = __complex__ = __round__ = __floor__ = __ceil__ = __trunc__ = _no_number

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._no_number()

    def __bool__(self) -> bool:
        return bool(self._known)

    def __format__(self, spec: str) -> str:
        """The value as numbers are written, `f"{x:.3f}"`; without a format, as `str` writes a `Var`."""
        if not spec:
            return str(self)
        if self.shape:
            raise UserError(f"the format {spec!r} is one of a number, and {label(self)} has the shape {self.shape}.")
        return format(self._known, spec)

    def __repr__(self) -> str:
        came = f", {self.creator.operator.name}" if self.creator else ""
        called = f" {self.name!r}" if self.name else ""
        value = "without a value" if self._value is None else np.array2string(np.asarray(self._value), threshold=20)
        return f"<Var{called} {value}{came}>"

    def __add__(self, other: Any) -> "Var":
        return OPERATORS["add"](self, other)

    def __radd__(self, other: Any) -> "Var":
        return OPERATORS["add"](other, self)

    def __sub__(self, other: Any) -> "Var":
        return OPERATORS["subtract"](self, other)

    def __rsub__(self, other: Any) -> "Var":
        return OPERATORS["subtract"](other, self)

    def __mul__(self, other: Any) -> "Var":
        return OPERATORS["multiply"](self, other)

    def __rmul__(self, other: Any) -> "Var":
        return OPERATORS["multiply"](other, self)

    def __truediv__(self, other: Any) -> "Var":
        return OPERATORS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> "Var":
        return OPERATORS["divide"](other, self)

    def __pow__(self, other: Any) -> "Var":
        return OPERATORS["power"](self, other)

    def __xor__(self, other: Any) -> "Var":
        raise UserError("a power is written x ** 2; `^` is Python's exclusive or, which numbers with derivatives do not have.")

    def __rpow__(self, other: Any) -> "Var":
        return OPERATORS["power"](other, self)

    def __matmul__(self, other: Any) -> "Var":
        return OPERATORS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> "Var":
        return OPERATORS["matmul"](other, self)

    def __neg__(self) -> "Var":
        return OPERATORS["negative"](self)

    def __abs__(self) -> "Var":
        return OPERATORS["abs"](self)

    def __getitem__(self, index: Any) -> "Var":
        return OPERATORS["getitem"](self, index=index)

    @property
    def T(self) -> "Var":  # noqa: N802 - NumPy's name
        """The value with its axes reversed."""
        return OPERATORS["transpose"](self, axes=None)

    __hash__ = object.__hash__

    def __eq__(self, other: Any) -> Any:
        """Whether the values are equal, as the other comparisons; what is neither a number nor an array of them never is."""
        if self is other:
            return True
        return NotImplemented if other is None or isinstance(other, str) else self._known == _plain(other)

    def __ne__(self, other: Any) -> Any:
        if self is other:
            return False
        return NotImplemented if other is None or isinstance(other, str) else self._known != _plain(other)

    def __gt__(self, other: Any) -> Any:
        return self._known > _plain(other)

    def __ge__(self, other: Any) -> Any:
        return self._known >= _plain(other)

    def __lt__(self, other: Any) -> Any:
        return self._known < _plain(other)

    def __le__(self, other: Any) -> Any:
        return self._known <= _plain(other)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **options: Any) -> Any:
        """So that `np.sin(x)`, and an array before an operator (`array + x`), give a `Var`."""
        name = {"absolute": "abs"}.get(ufunc.__name__, ufunc.__name__)
        if method == "__call__" and not options and ufunc in COMPARISONS:
            return ufunc(*map(_plain, args))
        if method != "__call__" or options or name not in OPERATORS:
            raise UserError(f"NumPy's {ufunc.__name__} is not an operator here: {NUMPY}.")
        return OPERATORS[name](*args)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        """So that `np.mean(x)` is no number without a derivative; the questions about shapes are answered."""
        if function in SHAPES:
            return function(*map(_plain, args), **options)
        raise UserError(f"NumPy's {function.__name__} is not an operator here: {NUMPY}.")


def _plain(value: Any) -> Any:
    return value._known if isinstance(value, Var) else value


COMPARISONS = {np.equal, np.not_equal, np.greater, np.greater_equal, np.less, np.less_equal}
SHAPES = {np.shape, np.ndim, np.size}


def holds_variables(value: Any) -> bool:
    """Whether it is a list or tuple with a `Var` in it, however deep."""
    return value.__class__ in SEQUENCES and any(one.__class__ is Var or holds_variables(one) for one in value)


def joined(value: Any) -> Any:
    """A list of `Var`s and numbers as one `Var`, its items along a new first axis; anything else as it is."""
    return OPERATORS["stack"](*map(joined, value)) if holds_variables(value) else value


class Path(list[Var]):
    """What `order` found, and how to compute it again if it is a graph of numbers."""

    program: Any = None
    judged: bool = False


def order(root: Var) -> Path:
    """Every `Var` that `root` depends on, each once, after those it depends on; `root` is the last.

    One walk of the graph without recursion, remembered in the root: what an expression is made of never changes.
    """
    if not isinstance(root, Var):
        raise UserError(f"derivatives are those of an expression of Vars; got {shown(root)}.")
    if root._order is not None:
        return root._order
    found = Path()
    begun: set[Var] = set()
    path: list[Any] = [root]
    while path:
        v = path.pop()
        if v.__class__ is tuple:  # all that v depends on has been found
            found.append(v[0])
        elif v not in begun:
            begun.add(v)
            if v.creator is None:
                found.append(v)
            else:
                path.append((v,))
                path.extend(a for a in v.creator.args if a.__class__ is Var and a not in begun)
    root._order = found
    return found


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a `Var`, an array or a number."""
    if isinstance(x, Var):
        return x.shape
    if holds_variables(x):
        return shape_of(joined(x))
    try:
        return np.shape(x)
    except ValueError as error:
        raise UserError(f"a Var holds a number or an array of numbers, all rows of one length: {error}.") from None


def label(v: Var) -> str:
    """What to call a `Var` in a message."""
    if v.name:
        return f"the Var {v.name!r}"
    return f"the Var that {v.creator.operator.name} created" if v.creator else "a Var without a name"
