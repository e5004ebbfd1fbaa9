"""The card of a rule: what it needs to know, what it costs, how good its credit is, what it equals in a limit; found by
machine, from the rule itself."""

from .cost import Cost as Cost
from .cost import cost as cost
