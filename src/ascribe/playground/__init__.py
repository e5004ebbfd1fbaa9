"""The playground: learning rules compiled for a page that opens from a file, in which they learn side by side; or driven live
by JAX, where they are too large for that."""

from .live import serve as serve
from .play import play as play
