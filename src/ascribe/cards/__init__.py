"""The card of a rule: what it needs to know, what it costs, how good its credit is, what it equals in a limit; found by
machine, from the rule itself."""

from .card import Card as Card
from .card import Estimate as Estimate
from .card import Priced as Priced
from .card import card as card
from .chain import chain as chain
from .claims import Claim as Claim
from .claims import Inspection as Inspection
from .claims import inspect as inspect
from .cost import Cost as Cost
from .cost import cost as cost
from .limits import Limit as Limit
from .needs import SOURCES as SOURCES
from .needs import Needs as Needs
from .needs import needs as needs
from .price import Price as Price
from .price import price as price
from .quality import LayerQuality as LayerQuality
from .quality import Quality as Quality
from .quality import quality as quality
from .sections import Section as Section
