"""What a rule needs, costs and is worth, found out from the rule itself."""

from .quality import LayerQuality as LayerQuality
from .quality import Quality as Quality
from .quality import quality as quality
