"""Reading a configuration file: every error at once, each with its place and its mend."""

from __future__ import annotations

import os
from pathlib import Path

from kirikae.configuration import yaml_tree
from kirikae.configuration.build import build
from kirikae.configuration.model import Configuration
from kirikae.configuration.problems import ConfigurationError, Problem
from kirikae.configuration.schema import Document

__all__ = ["ConfigurationError", "Problem", "load", "load_text"]


def load(path: str | os.PathLike[str]) -> Configuration:
    """Read and check a file. Raises ConfigurationError, also when the file cannot be read."""
    source = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise ConfigurationError([Problem(source, 0, "", what, "give the path of a readable file")]) from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([Problem(source, line, "", "is not UTF-8 text", "save the file as UTF-8")]) from None
    return load_text(text, source)


def load_text(text: str, source: str = "<text>") -> Configuration:
    """Check the text of a file. `source` names it in messages."""
    tree, problems = yaml_tree.read(text, source)
    if problems:
        raise ConfigurationError(problems)
    return build(Document.model_validate(tree), source)
