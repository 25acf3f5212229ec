"""The doors of Pressmark: command line, service, web view, settings, wiring, demo and benchmarks."""
