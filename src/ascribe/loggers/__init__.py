"""Loggers: listeners of `train` and `compare` that hand every curve on to another program, while it is drawn.

A logger of your own is a listener with the methods `epochs` and `finished` (`ascribe.training.progress`).
"""

from .mlflow import MLflowLogger as MLflowLogger
from .tensorboard import TensorBoardLogger as TensorBoardLogger
