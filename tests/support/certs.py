"""Certificates for servers in tests; the maker lives with the demonstration, which needs it too."""

from ops.demo.certs import Authority

__all__ = ["Authority"]
