"""The store: the only place that writes results."""

from .database import NotLetIn as NotLetIn
from .discovery import save_discovery as save_discovery
from .export import data_frame as data_frame
from .export import run_rows as run_rows
from .folder import DATABASE as DATABASE
from .folder import DISCOVERY as DISCOVERY
from .folder import RECORDS as RECORDS
from .folder import REPLACEMENT as REPLACEMENT
from .folder import check_folder as check_folder
from .folder import free_folder as free_folder
from .folder import fresh_folder as fresh_folder
from .folder import give_back as give_back
from .folder import whole_folder as whole_folder
from .folder import working_folder as working_folder
from .keeper import Store as Store
from .record import configuration as configuration
from .record import load as load
from .record import save as save
