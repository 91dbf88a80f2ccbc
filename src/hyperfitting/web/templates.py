"""Pages from templates. Everything is escaped; style sheets and scripts are files of the app,
fetched once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hyperfitting.web.markdown import markdown

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class PageTemplates:
    """The pages of an app under the path `prefix`, from `folder/templates` and `folder/static`,
    read when it is made.

    `translations` gives the messages of the pages in their language; every page sees `shared`.
    """

    folder: Path
    prefix: str = ""
    translations: NullTranslations = field(default_factory=NullTranslations)
    shared: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read and compile every file."""
        _ = self.assets, self._templates

    @cached_property
    def assets(self) -> dict[str, bytes]:
        """Style sheets, scripts and icons by name."""
        files = sorted((self.folder / "static").iterdir())
        return {path.name: path.read_bytes() for path in files if path.suffix in _MEDIA_TYPES}

    @cached_property
    def _templates(self) -> Environment:
        templates = Environment(
            loader=FileSystemLoader(self.folder / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        # Under "newstyle" the values in a message are escaped, and the message itself is not: it
        # may hold marks. So pages give it no text but their own.
        templates.install_gettext_translations(self.translations, newstyle=True)  # type: ignore[attr-defined]
        templates.globals.update(self.shared, link=self.link, asset=self._asset_link)
        templates.filters["markdown"] = markdown
        for name in templates.list_templates():
            templates.get_template(name)  # compiled now, not while somebody waits
        return templates

    def link(self, path: str) -> str:
        """A page's path as browsers see it."""
        return self.prefix + path

    def _asset_link(self, name: str) -> str:
        version = hashlib.sha256(self.assets[name]).hexdigest()[:12]
        return self.link(f"/static/{name}?v={version}")

    def say(self, message: str) -> str:
        """A message in the language of the pages."""
        return self.translations.gettext(message)

    def show(self, name: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """A filled template."""
        return HTMLResponse(
            self._templates.get_template(f"{name}.html").render(values), status_code=status
        )

    def go(self, path: str) -> RedirectResponse:
        """A redirect by GET, so that a reload posts nothing twice."""
        return RedirectResponse(self.link(path), status_code=303)

    def asset(self, name: str) -> Response | None:
        """One static file. Browsers keep it for good: its address changes with its content."""
        if name not in self.assets:
            return None
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(
            self.assets[name], media_type=_MEDIA_TYPES[Path(name).suffix], headers=headers
        )
