"""The kernels of everything that answers for every number alone: expressions of JavaScript in x, y and z, of which each becomes
one function for floats and one for whole numbers, so that the browser's compiler meets one kind of array in each."""

FLOAT: dict[str, str] = {
    "abs": "Math.abs(x)",
    "acos": "Math.acos(x)",
    "acosh": "Math.acosh(x)",
    "add": "x+y",
    "asin": "Math.asin(x)",
    "asinh": "Math.asinh(x)",
    "atan": "Math.atan(x)",
    "atan2": "Math.atan2(x,y)",
    "atanh": "Math.atanh(x)",
    "cbrt": "Math.cbrt(x)",
    "ceil": "Math.ceil(x)",
    "clamp": "Math.min(Math.max(y,x),z)",
    "cos": "Math.cos(x)",
    "cosh": "Math.cosh(x)",
    "div": "x/y",
    "eq": "x===y?1:0",
    "erf": "erf(x)",
    "erf_inv": "inverseErf(x)",
    "erfc": "complementaryErf(x)",
    "exp": "Math.exp(x)",
    "exp2": "Math.pow(2,x)",
    "expm1": "Math.expm1(x)",
    "floor": "Math.floor(x)",
    "ge": "x>=y?1:0",
    "gt": "x>y?1:0",
    "is_finite": "Number.isFinite(x)?1:0",
    "le": "x<=y?1:0",
    "log": "Math.log(x)",
    "log1p": "Math.log1p(x)",
    "logistic": "1/(1+Math.exp(-x))",
    "lt": "x<y?1:0",
    "max": "Math.max(x,y)",
    "min": "Math.min(x,y)",
    "mul": "x*y",
    "ne": "x!==y?1:0",
    "neg": "-x",
    "nextafter": "nextAfter(x,y)",
    "pow": "x===1||y===0?1:Math.pow(x,y)",
    "rem": "x%y",
    "round": "Math.sign(x)*Math.floor(Math.abs(x)+0.5)",
    "round-to-even": "roundToEven(x)",
    "rsqrt": "1/Math.sqrt(x)",
    "select_n": "x?z:y",
    "sign": "Math.sign(x)",
    "sin": "Math.sin(x)",
    "sinh": "Math.sinh(x)",
    "sqrt": "Math.sqrt(x)",
    "square": "x*x",
    "sub": "x-y",
    "tan": "Math.tan(x)",
    "tanh": "tanh(x)",
}
"""Primitives of floats that answer for every number alone. A result is rounded where it is stored."""

WHOLE: dict[str, str] = {
    **{name: FLOAT[name] for name in ("abs", "add", "clamp", "eq", "ge", "gt", "le", "lt", "max", "min", "ne", "neg", "sub")},
    **{name: FLOAT[name] for name in ("select_n", "sign")},
    "and": "x&y",
    "complement": "~x",
    "div": "y?Math.trunc(x/y):-1",
    "mul": "Math.imul(x,y)",
    "not": "x?0:1",
    "or": "x|y",
    "population_count": "bitsSet(x)",
    "pow": "wholePower(x,y)",
    "rem": "y?x%y:x",
    "shift_left": "y>>>0>31?0:x<<y",
    "shift_right_arithmetic": "x>>(y>>>0>31?31:y)",
    "shift_right_logical": "y>>>0>31?0:x>>>y",
    "square": "Math.imul(x,x)",
    "xor": "x^y",
}
"""The same of whole numbers and truth values."""


def kernels() -> str:
    """The kernels of all primitives that answer for every number alone, as JavaScript: one function of every name for floats
    and one for whole numbers, `(out, length, x, step of x, y, …) => () => …`, with a step of 0 for a single number."""
    rows = []
    for name in sorted({*FLOAT, *WHOLE}):
        kinds = [(letter, table[name]) for letter, table in (("f", FLOAT), ("w", WHOLE)) if name in table]
        rows.append(f'"{name}":{{{",".join(f"{letter}:{_kernel(text)}" for letter, text in kinds)}}}')
    return "const KERNELS={\n" + ",\n".join(rows) + "\n};\n"


def _kernel(expression: str) -> str:
    used = [letter for letter in "xyz" if _uses(expression, letter)]
    reads = ",".join(f"{letter}={letter.upper()}[i*{letter}s]" for letter in used)
    given = ",".join(f"{letter.upper()},{letter}s" for letter in used)
    return f"(o,n,{given})=>()=>{{for(let i=0;i<n;i++){{const {reads};o[i]={expression}}}}}"


def _uses(expression: str, letter: str) -> bool:
    """Whether a variable is in an expression, other than in a longer word."""
    padded = f" {expression} "
    places = [i for i, one in enumerate(padded) if one == letter]
    return any(not (padded[i - 1].isalnum() or padded[i + 1].isalnum()) for i in places)
