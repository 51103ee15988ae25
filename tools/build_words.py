"""Make the frozen word tables of the PSEUDO classes from Faker's Canadian locales and from the facts below.

The tables of a version are made once. A later Faker has other names, and another name for a known person would split
the person between files, so this script refuses to overwrite a table: it shows how much would differ, and writes only
where no table is. New tables belong into a new folder (``--out``) with a new version of the surrogate algorithm.

Usage::

    python tools/build_words.py                      # compare with the committed tables
    python tools/build_words.py --out .../words/v2   # make tables of another version
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from tarnhelm.metadata.core.pseudo.normalise import fold, text_key, to_ascii

WORDS = Path(__file__).parents[1] / "services/metadata/tarnhelm/metadata/core/pseudo/words/v1"

GIVEN_CHARACTERS = 13
SURNAME_CHARACTERS = 14  # an initial, a space and the surname fit SH
CITY_CHARACTERS = 16  # a city fits SH
STEM_CHARACTERS = 12  # a stem, a space and three letters fit SH

# Census subdivisions and urban communities of 10,000 inhabitants or more (census of 2021, rounded public figures), by
# the two letters of the province. Names longer than SH are left out, and so are all smaller places: in a small
# community a surrogate would point at real people. Nunavut has no place of that size.
PLACES: dict[str, str] = {
    "BC": (
        "Abbotsford|Burnaby|Campbell River|Central Saanich|Chilliwack|Coldstream|Colwood|Comox|Coquitlam|Courtenay|"
        "Cranbrook|Dawson Creek|Delta|Esquimalt|Fort St. John|Kamloops|Kelowna|Lake Country|Langford|Langley|Maple Ridge|"
        "Mission|Nanaimo|Nelson|New Westminster|North Cowichan|North Saanich|North Vancouver|Oak Bay|Parksville|Penticton|"
        "Pitt Meadows|Port Alberni|Port Coquitlam|Port Moody|Powell River|Prince George|Prince Rupert|Richmond|Saanich|"
        "Salmon Arm|Sidney|Sooke|Squamish|Summerland|Surrey|Terrace|Vancouver|Vernon|Victoria|View Royal|West Kelowna|"
        "West Vancouver|Whistler|White Rock|Williams Lake"
    ),
    "AB": (
        "Airdrie|Beaumont|Brooks|Calgary|Camrose|Canmore|Chestermere|Cochrane|Cold Lake|Edmonton|Fort McMurray|"
        "Fort Saskatchewan|Grande Prairie|High River|Lacombe|Leduc|Lethbridge|Medicine Hat|Okotoks|Red Deer|Sherwood Park|"
        "Spruce Grove|St. Albert|Stony Plain|Strathmore|Sylvan Lake|Wetaskiwin"
    ),
    "SK": "Estevan|Martensville|Moose Jaw|North Battleford|Prince Albert|Regina|Saskatoon|Swift Current|Warman|Weyburn|Yorkton",
    "MB": "Brandon|Portage la Prairie|Selkirk|Steinbach|Thompson|Winkler|Winnipeg",
    "ON": (
        "Ajax|Amherstburg|Aurora|Barrie|Belleville|Bracebridge|Brampton|Brantford|Brockville|Burlington|Caledon|Cambridge|"
        "Centre Wellington|Chatham-Kent|Clarington|Cobourg|Collingwood|Cornwall|East Gwillimbury|Elliot Lake|Essex|"
        "Fort Erie|Georgina|Gravenhurst|Grimsby|Guelph|Halton Hills|Hamilton|Huntsville|Ingersoll|Innisfil|Kawartha Lakes|"
        "Kenora|Kincardine|Kingston|Kingsville|Kitchener|Lakeshore|LaSalle|Leamington|Lincoln|London|Markham|Midland|Milton|"
        "Mississauga|Newmarket|Niagara Falls|North Bay|Oakville|Orangeville|Orillia|Oshawa|Ottawa|Owen Sound|Pelham|"
        "Pembroke|Petawawa|Peterborough|Pickering|Port Colborne|Port Hope|Quinte West|Richmond Hill|Sarnia|Saugeen Shores|"
        "Sault Ste. Marie|Scugog|St. Catharines|St. Thomas|Stratford|Sudbury|Tecumseh|Thorold|Thunder Bay|Tillsonburg|"
        "Timmins|Toronto|Uxbridge|Vaughan|Wasaga Beach|Waterloo|Welland|Whitby|Windsor|Woodstock"
    ),
    "QC": (
        "Alma|Amos|Baie-Comeau|Beaconsfield|Beloeil|Blainville|Boisbriand|Boucherville|Brossard|Candiac|Chambly|Châteauguay|"
        "Côte-Saint-Luc|Cowansville|Deux-Montagnes|Dorval|Drummondville|Gaspé|Gatineau|Granby|Joliette|Kirkland|La Prairie|"
        "L'Assomption|Lachute|Laval|Lavaltrie|Lévis|Longueuil|Magog|Mascouche|Matane|Mercier|Mirabel|Mont-Laurier|Mont-Royal|"
        "Montmagny|Montréal|Pincourt|Pointe-Claire|Prévost|Québec|Repentigny|Rimouski|Rivière-du-Loup|Rosemère|Rouyn-Noranda|"
        "Saguenay|Saint-Constant|Saint-Eustache|Saint-Georges|Saint-Hyacinthe|Saint-Jérôme|Saint-Lambert|Saint-Lazare|"
        "Sainte-Julie|Sainte-Thérèse|Sept-Îles|Shawinigan|Sherbrooke|Sorel-Tracy|Terrebonne|Thetford Mines|Trois-Rivières|"
        "Val-d'Or|Varennes|Vaudreuil-Dorion|Victoriaville|Westmount"
    ),
    "NB": "Bathurst|Dieppe|Edmundston|Fredericton|Miramichi|Moncton|Quispamsis|Riverview|Rothesay|Saint John",
    "NS": "Dartmouth|Halifax|Sydney|Truro",
    "PE": "Charlottetown|Stratford|Summerside",
    "NL": "Corner Brook|Gander|Mount Pearl|Paradise|St. John's",
    "YT": "Whitehorse",
    "NT": "Yellowknife",
}

# Invented stems: a plant or an animal of Canada and an ending that no Canadian place of it is known by.
STEM_PARTS = {
    "en": (
        (
            "Alder Aspen Balsam Bracken Caribou Cedar Dogwood Eider Fern Fireweed Grebe Hemlock Juniper Kestrel Larch Lynx Marten "
            "Osprey Otter Plover Raven Salal Sorrel Spruce Tamarack Tern Thimble Wapiti Willow Wolverine"
        ),
        "croft dell fell garth holm hythe lea mere moor reach rigg shaw strand thorpe wold",
    ),
    "fr": (
        "Val Mont Bois Roche Font Clair Pré Cap Rive Champ",
        (
            "bouleau bruyère caribou castor cèdre chêne frêne fougère harfang huard lièvre loutre martre mélèze mouette noyer "
            "perdrix peuplier pruche renard sapin sarcelle saule sorbier sterne sureau thuya tilleul"
        ),
    ),
}
FORMS = {
    "en": [
        ("{} General Hospital", "{} GH"), ("{} Regional Hospital", "{} RH"), ("{} Memorial Hospital", "{} MH"),
        ("{} District Hospital", "{} DH"), ("{} Community Hospital", "{} CH"), ("{} Health Centre", "{} HC"),
        ("{} Medical Centre", "{} MC"), ("{} Diagnostic Centre", "{} DC"), ("{} Medical Imaging", "{} MI"),
        ("{} Health Sciences Centre", "{} HSC"),
    ],
    "fr": [
        ("Hôpital de {}", "H {}"), ("Hôpital général de {}", "HG {}"), ("Hôpital régional de {}", "HR {}"),
        ("Centre hospitalier de {}", "CH {}"), ("Centre hospitalier régional de {}", "CHR {}"),
        ("Centre de santé de {}", "CS {}"), ("Centre médical de {}", "CM {}"), ("Clinique d'imagerie de {}", "CI {}"),
        ("Centre d'imagerie médicale de {}", "CIM {}"),
    ],
}  # fmt: skip

# Real institutions: no invented one may bear such a name, nor a stem that is a word of one.
_REAL = (
    "Abbotsford Regional Hospital|Alberta Children's Hospital|BC Cancer Agency|BC Children's Hospital|BC Women's Hospital|"
    "Baycrest Health Sciences|Bluewater Health|Brandon Regional Health Centre|Brantford General Hospital|Bridgepoint Health|"
    "Burnaby Hospital|Campbell River Hospital|Cariboo Memorial Hospital|CHU de Québec|CHU Sainte-Justine|CHUM|CHEO|"
    "Cedarview Lodge|Cape Breton Regional Hospital|Centre hospitalier de l'Université de Montréal|"
    "Centre hospitalier universitaire de Sherbrooke|Centre hospitalier régional de Lanaudière|Chilliwack General Hospital|"
    "Cité-de-la-Santé de Laval|Comox Valley Hospital|Cowichan District Hospital|Cross Cancer Institute|Dawson Creek Hospital|"
    "Delta Hospital|Dr. Everett Chalmers Hospital|Dr. Georges-L.-Dumont|Eagle Ridge Hospital|East Kootenay Regional Hospital|"
    "Etobicoke General Hospital|Foothills Medical Centre|Fort St. John Hospital|Fraser Canyon Hospital|Glenrose Rehabilitation|"
    "Grand River Hospital|Grey Nuns Community Hospital|Halifax Infirmary|Hamilton General Hospital|Health Sciences Centre|"
    "Hôpital Charles-Le Moyne|Hôpital Maisonneuve-Rosemont|Hôpital Montfort|Hôpital Notre-Dame|Hôpital Pierre-Boucher|"
    "Hôpital Pierre-Le Gardeur|Hôpital Sainte-Marie|Hôpital Santa Cabrini|Hôpital de Chicoutimi|Hôpital de Gatineau|"
    "Hôpital de Hull|Hôpital de Rimouski|Hôpital de Verdun|Hôpital de l'Enfant-Jésus|Hôpital du Sacré-Coeur|Hôtel-Dieu|"
    "Hospital for Sick Children|Humber River Hospital|IWK Health Centre|Institut de cardiologie de Montréal|Jewish General|"
    "Joseph Brant Hospital|Juravinski Hospital|Kelowna General Hospital|Kingston General Hospital|Kootenay Lake Hospital|"
    "Lakeridge Health|Langley Memorial Hospital|Lions Gate Hospital|London Health Sciences Centre|Lower Mainland|"
    "Mackenzie Health|Markham Stouffville Hospital|McMaster University Medical Centre|Michael Garron Hospital|"
    "Mills Memorial Hospital|Misericordia Community Hospital|Mission Memorial Hospital|Moncton Hospital|Mount Saint Joseph|"
    "Mount Sinai Hospital|Montreal General Hospital|Nanaimo Regional General Hospital|North Island Hospital|North York General|"
    "Oak Valley Health|Oakville Trafalgar|Ottawa Hospital|Pasqua Hospital|Peace Arch Hospital|Penticton Regional Hospital|"
    "Peter Lougheed Centre|Prince Rupert Regional Hospital|Princess Margaret Cancer Centre|QEII Health Sciences Centre|"
    "Queensway Carleton|Red Deer Regional Hospital|Regina General Hospital|Richmond Hospital|Ridge Meadows Hospital|"
    "Rockyview General Hospital|Royal Alexandra Hospital|Royal Columbian Hospital|Royal Inland Hospital|Royal Jubilee Hospital|"
    "Royal University Hospital|Royal Victoria Hospital|Saanich Peninsula Hospital|Saint John Regional Hospital|"
    "Scarborough Health Network|Seven Oaks General Hospital|Shuswap Lake General Hospital|South Health Campus|Southlake|"
    "St. Boniface Hospital|St. Joseph's Healthcare|St. Mary's Hospital|St. Michael's Hospital|St. Paul's Hospital|"
    "Stanton Territorial Hospital|Stollery Children's Hospital|Sturgeon Community Hospital|Sunnybrook|Surrey Memorial Hospital|"
    "The Ottawa Hospital|Thunder Bay Regional|Toronto General Hospital|Toronto Western Hospital|Trillium Health Partners|"
    "Tom Baker Cancer Centre|UBC Hospital|University Hospital of Northern BC|Vancouver General Hospital|Vernon Jubilee Hospital|"
    "Victoria General Hospital|Victoria Hospital|West Coast General Hospital|Whitehorse General Hospital|"
    "William Osler Health System|Willow Creek|Winchester District Memorial|Windsor Regional Hospital|"
    "Women's College Hospital|Cedarcroft Place|Willowdell|Fernlea|Willowmere|Cedarmere|Fernmoor|Ravenswood"
)
REAL_INSTITUTIONS = _REAL.split("|")

_NAME = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")


def names(words: Any, most_characters: int) -> list[str]:
    """Keep names of three letters or more that fit, in Latin-1 and with letters that ASCII can spell; no twins."""
    kept: dict[str, str] = {}
    for word in sorted(words):
        name = re.sub(r"^Mc([a-z])", lambda found: f"Mc{found[1].upper()}", word)
        if not _NAME.fullmatch(name) or not 3 <= len(name) <= most_characters:
            continue
        if all(ord(letter) < 256 for letter in name) and len(to_ascii(name)) == len(name):
            kept.setdefault(fold(name), name)
    return sorted(kept.values())


def person_tables() -> dict[str, Any]:
    """Take the names of Faker's Canadian locales."""
    from faker import Faker  # noqa: PLC0415 - needed for this table alone, and by no other part

    given: dict[str, dict[str, list[str]]] = {}
    surname: dict[str, list[str]] = {}
    for language, locale in (("en", "en_CA"), ("fr", "fr_CA")):
        person = next(one for one in Faker(locale).get_providers() if hasattr(one, "last_names"))
        given[language] = {
            "F": names(person.first_names_female, GIVEN_CHARACTERS),
            "M": names(person.first_names_male, GIVEN_CHARACTERS),
        }
        surname[language] = names(person.last_names, SURNAME_CHARACTERS)
    return {"version": 1, "given": given, "surname": surname}


def place_table() -> dict[str, Any]:
    """Take the places that fit SH."""
    rows = {code: [city for city in text.split("|") if len(city) <= CITY_CHARACTERS] for code, text in PLACES.items()}
    return {"version": 1, "places": rows}


def institution_tables() -> dict[str, Any]:
    """Join the parts of stems and leave out what is a word of a real name or a real place."""
    real = {text_key(word) for name in REAL_INSTITUTIONS for word in (name, *re.split(r"[\s'-]+", name))}
    real |= {text_key(city) for text in PLACES.values() for city in text.split("|")}
    stems = {}
    for language, (heads, tails) in STEM_PARTS.items():
        joined = [head + tail for head, tail in itertools.product(heads.split(), tails.split())]
        stems[language] = [stem for stem in joined if len(stem) <= STEM_CHARACTERS and text_key(stem) not in real]
    return {
        "version": 1,
        "stems": stems,
        "forms": {language: [list(row) for row in rows] for language, rows in FORMS.items()},
    }


def written(table: dict[str, Any]) -> bytes:
    """Write JSON in lines that a reader of a difference can follow."""
    lines = json.dumps(table, ensure_ascii=False, indent=1).replace("\n", "\x00")
    flat = re.sub(r"\[[^\[\]]*\]", lambda found: _wrapped(found[0]), lines)
    return (flat.replace("\x00", "\n") + "\n").encode()


def _wrapped(block: str) -> str:
    words = [word.strip() for word in block[1:-1].split("\x00") if word.strip()]
    text = " ".join(word.replace(" ", "\x01") for word in words)
    body = "\n".join(textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)).replace("\x01", " ")
    return "[" + (body if "\n" not in body else f"\n{body}\n") + "]"


def main() -> int:
    """Compare or write; 0 where nothing differs or all was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=WORDS)
    folder: Path = parser.parse_args().out
    tables = {"names.json": person_tables(), "places.json": place_table(), "institutions.json": institution_tables()}
    folder.mkdir(parents=True, exist_ok=True)
    differs = False
    for name, table in tables.items():
        content, path = written(table), folder / name
        if not path.exists():
            path.write_bytes(content)
            print(f"{name}: written, sha256 {hashlib.sha256(content).hexdigest()}")
        elif path.read_bytes() == content:
            print(f"{name}: the same")
        else:
            differs = True
            print(f"{name}: would differ; the committed table stays, it is frozen")
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
