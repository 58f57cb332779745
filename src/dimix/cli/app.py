"""The commands by name. What a command needs is imported when it runs, so that help is quick."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dimix.cli import derive, fit, manage, reproduce, search
from dimix.cli.output import fail

UsageError: Any = typer.BadParameter.__mro__[1]
"""Of the click that typer brings, whichever that is."""


@contextmanager
def in_one_line() -> Iterator[None]:
    """A usage error said as every other error is."""
    try:
        yield
    except UsageError as error:
        said = error.format_message().replace("Value error, ", "").rstrip(".")
        for one in getattr(error.__cause__, "errors", list)():
            found = repr(one["input"])
            said += "" if found in said else f", found {found}"
        path = error.ctx.command_path if error.ctx else "dimix"
        fail(f"{said}: see `{path} --help`")


class Commands(TyperGroup):
    """Commands of which a usage error is one line."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **named: Any) -> Any:
        """Read what stands before the command's name; nothing at all asks for help."""
        if not args:
            return super().make_context(info_name, args, *more, **named)
        with in_one_line():
            return super().make_context(info_name, args, *more, **named)

    def invoke(self, ctx: Any) -> Any:
        """Read what stands behind it, and run it."""
        with in_one_line():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def say_version(wanted: bool) -> bool:
    """Print the version and stop, if it is wanted."""
    if wanted:
        typer.echo(f"dimix {version('dimix')}")
        raise typer.Exit
    return wanted


@app.callback()
def about_all(
    _: Annotated[
        bool,
        typer.Option("--version", callback=say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Deep Infinite MIXtures: clusters of images and tables, as many as the data support."""


app.command("fit")(fit.fit)
app.command("resume")(fit.resume)
app.command("predict")(derive.predict)
app.command("embed")(derive.embed)
app.command("reconstruct")(derive.reconstruct)
app.command("sample")(derive.sample)
app.command("info")(manage.info)
app.command("cut")(manage.cut)
app.command("export")(manage.export)
app.command("search")(search.search)
app.command("reproduce")(reproduce.reproduce)
app.command("report")(reproduce.report)
