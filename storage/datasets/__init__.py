"""Datasets: article versions sealed as Parquet with manifest, Croissant and card, so that they can be cited.

`selection` chooses versions, `rows` makes rows from records, `parquet` alone knows pyarrow, `describe` writes what
stands beside the rows, `build` seals, `verify` recomputes, `compare` tells two apart. What a manifest commits to is
left to `schemas.manifests`.
"""

from storage.datasets.build import build
from storage.datasets.compare import diff
from storage.datasets.selection import Selection
from storage.datasets.verify import verify

__all__ = ["Selection", "build", "diff", "verify"]
