"""Benchmarks and the servers that they need; nothing here is imported by the application."""
