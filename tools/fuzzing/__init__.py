"""The parts of `tools/fuzz.py`.

`children.py`   one input in a forked child, watched: how it ended, and which bytes beside it changed
`valid.py`      valid files, made once, that inputs are spoiled from and that lie beside them
`spoiling.py`   what is done to bytes, texts and JSON
one file more for each family of groups; each function makes one input from a `Maker`
"""
