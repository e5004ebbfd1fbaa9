"""The live playground: the same page driven by JAX through a socket, for networks too large for a page.

What one rule does (`learner.py`), all rules in step for one tab (`session.py`), compiled once for all tabs (`bench.py`), what
the page may say (`messages.py`) and is shown (`pictures.py`, `page.py`), and who may open it (`guard.py`, `server.py`).
"""

from .bench import compiling as compiling
from .guard import is_loopback as is_loopback
from .server import check_installed as check_installed
from .server import serve as serve
