"""Programs of the system that some tests look over our shoulder with; a test says which one it needs.

@needs("openssl")
def test_checkpoint_signature_checks_with_openssl(): ...
"""

from __future__ import annotations

import shutil

import pytest

#: The programs, and what is not looked at where they are missing; the closing summary names them.
TOOLS = {
    "openssl": "signatures, timestamps and certificates as another program sees them",
    "strace": "the order of writes and syncs",
    "wget": "the same pages as another crawler keeps them",
}


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test, by name, where one of these programs is not installed."""
    missing = [name for name in names if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def missing_tools() -> list[str]:
    """The programs of `TOOLS` that are not installed."""
    return [name for name in TOOLS if shutil.which(name) is None]
