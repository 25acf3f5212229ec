"""Places: where the bytes of an archive lie, and how they are found again.

Objects (`blobs`, `s3`), WARC files (`warc`), the catalog, the log, indexes and datasets. What the values mean
is left to `schemas`; when something is fetched or derived, to `ingest`.
"""
