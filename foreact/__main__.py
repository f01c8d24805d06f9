"""`python -m foreact` is the `foreact` command."""

from foreact.cli import main

main()
