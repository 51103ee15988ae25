"""Words and codes of the gate table: what says head, what says body, what says that an image is a page of writing.

Folded, English and French. Codes are SNOMED CT, and the SRT codes of older objects (DICOM PS3.16 CID 4, 4031).
"""

# ruff: noqa: SIM905 - vocabularies read better as lines of words

from __future__ import annotations

from typing import Final

__all__ = ["BODY_CODES", "BODY_WORDS", "HEAD_CODES", "HEAD_PARTS", "HEAD_WORDS", "HOUSE_WORDS", "PAPER_WORDS"]

HEAD_PARTS: Final = (
    "head",
    "neck",
    "brain",
    "skull",
    "face",
    "cspine",
    "ctspine",
    "wholebody",
    "wholespine",
    "sinus",
    "orbit",
    "jaw",
    "cerv",
)
"""Parts of Body Part Examined, wherever they stand in it (``HEADNECK``, ``NECKCHESTABDPELV``)."""

HEAD_WORDS: Final = frozenset(
    "head heads headneck hn brain brains cerebral cerebrum cerebellum cranial cranium intracranial skull scalp vertex "
    "face faces facial maxillofacial craniofacial sinus sinuses paranasal pns nose nasal orbit orbits orbital eye eyes optic "
    "iac iacs ear ears petrous mastoid mastoids pituitary sella sellar jaw mandible mandibular maxilla maxillary tmj "
    "tmjs temporomandibular dental teeth tooth panorex panoramic orthopantomogram opg cephalogram cephalometric cbct conebeam lip lips "
    "mouth tongue throat pharynx nasopharynx larynx parotid salivary thyroid parathyroid neck cervical cspine csp carotid "
    "carotids willis cow stroke cva hippocampus hippocampal epilepsy dementia whole wb wholebody "
    "wholespine mprage mp2rage flair fmri swi eyeballs petct pet ctac "
    "tete crane cranien cranienne cerebrale cerebraux cerveau encephale encephalique visage faciale face orbite orbites "
    "oeil yeux oreille oreilles rocher rochers selle turcique hypophyse hypophysaire machoire mandibule maxillaire dentaire "
    "dents dent bouche langue gorge nez cou cervicale cervicales cervico tsa carotide carotides parotide thyroide avc "
    "cerebelleux entier".split()
)

BODY_WORDS: Final = frozenset(
    "chest thorax thoracic lung lungs pulmonary heart cardiac coronary coronaries myocardium mediastinum esophagus aorta rib ribs sternum "
    "abdomen abdominal abdo abd abdpelv abdomenpelvis chestabdomen chestabdpelvis chestabd abdomen liver hepatic pancreas spleen kidney "
    "kidneys renal adrenal biliary mrcp gallbladder stomach bowel colon enterography urogram urography bladder kub "
    "pelvis pelvic hip hips prostate uterus ovary ovaries rectum rectal sacrum coccyx sacroiliac lumbar lspine tspine "
    "knee knees ankle ankles foot feet leg legs thigh thighs femur tibia fibula calf calves toe toes heel calcaneus "
    "patella hand hands wrist wrists finger fingers thumb elbow elbows forearm humerus breast breasts tlspine lsspine "
    "poitrine thoracique poumon poumons pulmonaire coeur cardiaque coronaire coronaires abdominal abdominale foie hepatique "
    "rein reins renale vessie bassin pelvien pelvienne hanche hanches genou genoux cheville chevilles pied pieds jambe "
    "jambes cuisse cuisses orteil orteils talon mains poignet poignets doigt doigts pouce coude coudes lombaire "
    "lombaires sein seins uroscanner enteroscanner entero".split()
)

PAPER_WORDS: Final = frozenset(
    "screen screensave screenshot screencapture screenshots snapshot snapshots report reports "
    "rapport rapports sheet summary sommaire printout annotated "
    "annotation annotations overlay localizer localiser scout scouts topogram topo "
    "surview documents worksheet".split()
)
"""Words that say that an image is a page or a drawing."""

HOUSE_WORDS: Final = frozenset(
    "institute institut centre center clinic clinique hospital hopital unit unite foundation fondation pavilion pavillon".split()
)
"""Behind a body word they make it the name of a house: a Heart Institute scans heads too."""

HEAD_CODES: Final = frozenset(
    {
        "69536005", "T-D1100",  # head
        "774007", "T-D1000",  # head and neck
        "45048000", "T-D1600",  # neck
        "12738006", "T-A0100",  # brain
        "89546000", "T-11100",  # skull
        "89545001", "T-D1200",  # face
        "122494005", "T-11501",  # cervical spine
        "38266002", "T-D0010",  # entire body
        "2095001", "T-22000",  # paranasal sinus
        "363654007", "T-D14AE",  # orbit
        "661005", "T-D1213",  # jaw
        "53620006",  # temporomandibular joint
        "421060004",  # spine, any part
    }
)  # fmt: skip

BODY_CODES: Final = frozenset(
    {
        "51185008", "T-D3000",  # chest
        "818981001", "113345001", "T-D4000",  # abdomen
        "818982008", "416949008", "R-FAB57",  # abdomen and pelvis
        "816092008", "12921003", "T-D6000",  # pelvis
        "416550000", "R-FAB55",  # chest and abdomen
        "416775004", "R-FAB56",  # chest, abdomen and pelvis
        "80891009", "T-32000",  # heart
        "76752008", "T-04000",  # breast
        "24136001", "T-15710",  # hip joint
        "72696002", "T-D9200",  # knee
        "70258002", "T-15750",  # ankle joint
        "56459004", "T-D9700",  # foot
        "85562004", "T-D8700",  # hand
        "74670003", "T-15460",  # wrist joint
        "16953009", "T-15430",  # elbow joint
        "122495006", "T-11502",  # thoracic spine
        "122496007", "T-11503",  # lumbar spine
    }
)  # fmt: skip
