"""What docs/cli.md shows runs, in its order, and each command is on it."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from cli_calls import answer, call
from dimix.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_pages_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for language, block in BLOCK.findall(PAGE):
        if language == "python":
            exec(block, names)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "dimix"
            code, output = call(*arguments)
            assert code == 0, output
    model, preparation = names["load_fit"]("flowers")  # type: ignore[operator]
    assert preparation.columns[0] == "sepal length (cm)"
    assert model.n_clusters_ == answer("info", "flowers")["result"]["n_clusters"]


def test_every_option_that_the_page_names_is_one() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for command, rest in re.findall(r"^dimix (\S+)(.*)$", PAGE, re.MULTILINE):
        options = {o for p in commands[command].params for o in (*p.opts, *p.secondary_opts)}
        assert {*re.findall(r"--[a-z-]+", rest)} <= options
