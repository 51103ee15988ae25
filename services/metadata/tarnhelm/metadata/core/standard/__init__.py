"""What the standard says: action codes, attribute Types, the dictionary, standard UIDs, safe private attributes.

The facts lie in ``data`` and are made by ``tools/build_standard.py``; nothing is read before it is asked for.
"""

from tarnhelm.metadata.core.standard.dictionary import (
    DictionaryRow,
    dictionary_rows,
    is_known_attribute,
    is_repeating,
    keyword_of,
    known_attributes,
    tag_of,
    vr_of,
)
from tarnhelm.metadata.core.standard.iods import TYPES, attribute_type, is_known_iod, known_sop_classes
from tarnhelm.metadata.core.standard.load import digest
from tarnhelm.metadata.core.standard.private import SafePrivate, is_safe_creator, safe_private, safe_private_rows
from tarnhelm.metadata.core.standard.rules import (
    AttributeRule,
    ContentItemRule,
    attribute_rule,
    attribute_rules,
    content_item_rule,
    content_item_rules,
    edition,
    repeating_rules,
)
from tarnhelm.metadata.core.standard.uids import is_standard_uid

__all__ = [
    "TYPES",
    "AttributeRule",
    "ContentItemRule",
    "DictionaryRow",
    "SafePrivate",
    "attribute_rule",
    "attribute_rules",
    "attribute_type",
    "content_item_rule",
    "content_item_rules",
    "dictionary_rows",
    "digest",
    "edition",
    "is_known_attribute",
    "is_known_iod",
    "is_repeating",
    "is_safe_creator",
    "is_standard_uid",
    "keyword_of",
    "known_attributes",
    "known_sop_classes",
    "repeating_rules",
    "safe_private",
    "safe_private_rows",
    "tag_of",
    "vr_of",
]
