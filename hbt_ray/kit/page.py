"""The one environment of templates: pages that need nothing but a browser, and Markdown from the same context.

A page extends `page.html.j2`, which brings the style, its colours and the script; `parts.html.j2` has the macros that
pages share. Text is escaped in `*.html.j2` alone.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from hbt_ray.kit import prose
from hbt_ray.kit.figures import COLOURS
from hbt_ray.languages import code_and_name, lang_name

FILTERS = (
    prose.number,
    prose.signed,
    prose.decimals,
    prose.p_text,
    prose.percent,
    prose.share,
    prose.count,
    prose.capital,
    lang_name,
)


def render(package: str, template: str, **context: Any) -> str:
    """The text of a template in `package`/templates; a name that `context` lacks is an error."""
    return _environment(package).get_template(template).render(context)


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("hbt_ray.kit")]),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({function.__name__: function for function in FILTERS}, lang=code_and_name)
    environment.globals["colours"] = COLOURS
    return environment
