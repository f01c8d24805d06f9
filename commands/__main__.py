"""`python -m commands` is the `foreact` command."""

from commands import main

main()
