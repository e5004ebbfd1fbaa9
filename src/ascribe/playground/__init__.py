"""The playground: learning rules compiled for a page that opens from a file."""

from . import emitter as emitter
