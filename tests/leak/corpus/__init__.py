"""Planted corpora: DICOM files full of identifiers, and a manifest that knows each of them."""

from tests.leak.corpus.manifest import Manifest
from tests.leak.corpus.plan import build_corpus

__all__ = ["Manifest", "build_corpus"]
