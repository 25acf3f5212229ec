"""The verbs of the archive: discover, fetch, extract, trace, import, and the journey of an article."""
