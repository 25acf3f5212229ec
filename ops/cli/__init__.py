"""The command line: one file a command. Parsing and printing only; what commands do is left to the floors below."""
