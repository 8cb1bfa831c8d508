import re
from pathlib import Path

from pytc_auto.legacy.config import defaults
from pytc_auto.legacy.guide import with_table

GUIDE = Path(__file__).parents[2] / "docs" / "from-v1.md"


def test_the_guide_has_the_translators_table():
    text = GUIDE.read_text(encoding="utf-8")
    assert with_table(text) == text, "run: python -m pytc_auto.legacy.guide docs/from-v1.md"
    assert set(re.findall(r"`([A-Z]+\.[A-Z_.0-9]+)`", text)) >= set(defaults())


def test_the_guide_names_verbs_and_options_that_there_are():
    from typer.main import get_command

    from pytc_auto.cli.program import app

    text = GUIDE.read_text(encoding="utf-8")
    commands = get_command(app).commands
    options = {name for command in commands.values() for parameter in command.params for name in parameter.opts}
    assert set(re.findall(r"pytc ([a-z][a-z0-9-]+)", text)) <= set(commands)
    old = {"--config-file", "--config-base", "--inference", "--checkpoint", "--distributed"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - old <= options
