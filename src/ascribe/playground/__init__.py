"""The playground: learning rules compiled for a page that opens from a file, in which they learn side by side."""

from .play import play as play
