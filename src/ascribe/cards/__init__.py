"""The card of a rule: what it needs to know, what it costs, how good its credit is, what it equals in a limit; found by
machine, from the rule itself."""

from .chain import chain as chain
from .needs import SOURCES as SOURCES
from .needs import Needs as Needs
from .needs import needs as needs
