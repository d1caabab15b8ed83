"""The environment of templates that quote what models, datasets and people wrote.

What belongs here: that HTML is escaped without exception, and a name that is not given is a mistake. What does not: the
templates, and the filters of each.
"""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def html_environment(package: str, folder: str = "templates") -> Environment:
    """For the templates in a package's folder; those that end in `html.j2` are escaped."""
    return Environment(
        loader=PackageLoader(package, folder),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
