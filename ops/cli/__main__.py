"""`python -m ops.cli`: the `pressmark` command without the installed script."""

from ops.cli.main import main

main()
