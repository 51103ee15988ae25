"""The lexicon: words that descriptions need and that name nobody. Frozen data, loaded on first use."""

# ruff: noqa: SIM905 - vocabularies read better as lines of words

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from tarnhelm.metadata.core.text.tokens import fold_word

__all__ = ["Lexicon", "lexicon"]

_PLAIN: Final = ("english.txt", "french.txt", "abbreviations.txt", "standard.txt", "eponyms.txt")

# What an eponym that is a common name must stand beside to stay.
_CONTEXT: Final = frozenset(
    "disease diseases disorder cyst cysts syndrome syndromes sign signs lymphoma lymphomas sarcoma tumor tumour tumors "
    "tumours fracture fractures dislocation aneurysm score scores scale classification grade criteria index stage view "
    "views projection projections method technique procedure operation repair approach test maneuver manoeuvre lesion "
    "lesions node nodes nodule tube catheter drain shunt rod rods plate nail screw wire pin stent graft valve prosthesis "
    "duct canal line angle ligament fascia fossa circle gyrus area fistula hernia deformity contracture palsy paralysis "
    "chorea ataxia dementia thyroiditis anemia phenomenon esophagus oesophagus ring rings pouch tubercle space pouches "
    "diverticulum membrane capsule cells corpuscles neuralgia edema abscess gangrene nephropathy purpura encephalopathy "
    "maladie maladies kyste kystes lymphome lymphomes tumeur signe signes incidence incidences fistule hernie test "
    "classification critere criteres sonde cathetere clou vis plaque ligament canal angle cercle stade grade thyroidite "
    "gangrene anevrisme paralysie phenomene oesophage sarcome broche valve prothese goitre struma contracture coma "
    "stain coloration lobe sulcus fissure vein artery veine artere guillain chiari loop triad tetralogy triade tetralogie naevus nevus".split()
)

TITLES: Final = frozenset(
    "dr dre drs docteur doctor mr mrs ms miss mme mlle monsieur madame prof professor professeur md physician tech "
    "technologist technologue radiologist radiologue radiographer nurse infirmiere surgeon chirurgien attending resident "
    "operator referring performed reported dictated signed by per par attn".split()
)
"""Words after which a common name is a person, whatever else it may mean."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Folded words.

    Attributes
    ----------
    words
        Stay wherever they stand.
    dual
        Those of ``words`` that are common names too: they go after a title.
    eponyms
        Common names that stay only beside a word of ``contexts``.
    """

    words: frozenset[str]
    dual: frozenset[str]
    eponyms: frozenset[str]
    contexts: frozenset[str]

    def with_words(self, extra: frozenset[str]) -> Lexicon:
        """Give this lexicon with a site's own words."""
        if not extra:
            return self
        return Lexicon(self.words | extra, self.dual - extra, self.eponyms - extra, self.contexts)


@cache
def lexicon() -> Lexicon:
    """Load the lexicon."""
    folder = files(__package__).joinpath("lexicon")

    def read(name: str) -> frozenset[str]:
        lines = folder.joinpath(name).read_text(encoding="utf-8").splitlines()
        return frozenset(fold_word(word) for line in lines for word in line.split("#", 1)[0].split())

    return Lexicon(
        words=frozenset().union(*map(read, _PLAIN)),
        dual=read("dual.txt"),
        eponyms=read("eponyms_in_context.txt"),
        contexts=_CONTEXT,
    )
