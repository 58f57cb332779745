"""The command line, `dimix`: one module a group of commands, none of which is slow to import."""

from dimix.cli.app import app

__all__ = ["app"]
