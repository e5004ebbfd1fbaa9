"""A finished comparison as a table, as figures, and as one HTML page that needs no network."""

from ascribe.statistics import interval as interval

from . import discovery as discovery
from .card import card_page as card_page
from .figures import Drawing as Drawing
from .figures import drawings as drawings
from .figures import figures as figures
from .figures import save_figures as save_figures
from .figures import specification as specification
from .figures import write_figure as write_figure
from .findings import above_constant as above_constant
from .findings import hidden_credit_told as hidden_credit_told
from .landscape import surface_chart as surface_chart
from .page import draw as draw
from .page import page as page
from .page import write_page as write_page
from .sheet import capitalized as capitalized
from .sheet import sheet as sheet
from .table import Row as Row
from .table import control_rows as control_rows
from .table import rows as rows
from .table import to_html as to_html
from .table import to_records as to_records
from .table import to_text as to_text
