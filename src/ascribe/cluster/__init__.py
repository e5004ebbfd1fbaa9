"""Many processes, many machines: runs are trained by the workers of a Dask cluster (extra `cluster`).

`cluster.py`   what sends shards of runs to workers and collects them
`work.py`      what a worker does with one
`process.py`   a worker as a process of this machine
"""

from .cluster import Cluster as Cluster
