"""The languages of the study's pages: gettext catalogues, one .po file each in `locale/`.

English is the source: its words are the ids of the messages, and it has no file. A further language
is one more file there. The door to Babel.
"""

from __future__ import annotations

from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Annotated

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

LOCALE = Path(__file__).parent / "locale"
LANGUAGES = tuple(sorted(["en", *(path.stem.replace("_", "-") for path in LOCALE.glob("*.po"))]))
"""The languages that there are, as tags such as `zh-Hans`."""


def _known(language: str) -> str:
    if language not in LANGUAGES:
        words = f"one of {', '.join(LANGUAGES)}"
        raise PydanticCustomError("in_words", "{words}", {"words": words})
    return language


Language = Annotated[str, AfterValidator(_known)]


@lru_cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language, compiled on first use; that of English changes nothing."""
    if language == "en":
        return NullTranslations()
    compiled = BytesIO()
    with (LOCALE / f"{language.replace('-', '_')}.po").open("rb") as source:
        write_mo(compiled, read_po(source))
    compiled.seek(0)
    return GNUTranslations(compiled)


def direction(language: str) -> str:
    """`ltr` or `rtl`: where the lines of a language begin, as the attribute `dir` has it."""
    return Locale.parse(language, sep="-").text_direction


def gettext_noop(message: str) -> str:
    """The message itself. The call marks it as one that the catalogues hold."""
    return message
