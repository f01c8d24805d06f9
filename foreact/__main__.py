"""`python -m foreact` is the `foreact` command that is installed."""

from importlib.metadata import entry_points

(command,) = entry_points(group="console_scripts", name="foreact")
command.load()()
