"""The catalog made anew from the evidence alone.

`evidence` reads segments, damaged ones too; `log` reads the tiles; `catalog` makes the rows. The frontier,
and articles seen again, are left to the journey (`ingest.pipeline`).
"""

from storage.rebuild.catalog import RebuildReport, rebuild

__all__ = ["RebuildReport", "rebuild"]
