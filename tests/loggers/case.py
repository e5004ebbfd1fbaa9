"""A small training that the tests of the loggers share: always of this rule and two runs, so that it is compiled once."""

import functools
import shutil
import tempfile
from pathlib import Path

from ascribe import train

from ..training import tiny

EPOCHS = tiny.EPOCHS
OPTIONS = {"epochs": EPOCHS, "batch_size": tiny.BATCH, "optimizer": "sgd", "learning_rate": 0.1}


def trained(listener, seeds=(0, 3), **changes):
    return train(tiny.mlp(), tiny.data(), "kolen-pollack", seeds=list(seeds), listener=listener, **OPTIONS | changes)


@functools.cache
def _empty_database():
    """The bytes of a data base of MLflow with its tables, which take seconds to make."""
    import mlflow

    folder = tempfile.mkdtemp()
    mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db").search_experiments()
    content = (Path(folder) / "mlflow.db").read_bytes()
    shutil.rmtree(folder)
    return content


def mlflow_database(path):
    """The address of a data base of MLflow that has its tables already."""
    path.write_bytes(_empty_database())
    return f"sqlite:///{path}"
