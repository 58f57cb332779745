"""The commands by name. What a command needs is imported when it runs, so that help is quick."""

import typer

from dimix.cli import derive, fit, manage, reproduce, search

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Deep Infinite MIXtures: clusters of images and tables, as many as the data support.",
)
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
