"""Finding a person's identifiers in text, and cleaning text of them."""

from tarnhelm.metadata.core.text.cleaner import CleanText, TextCleaner
from tarnhelm.metadata.core.text.identifiers import Identifiers

__all__ = ["CleanText", "Identifiers", "TextCleaner"]
