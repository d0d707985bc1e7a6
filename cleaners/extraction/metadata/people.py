"""Names of people in bylines.

By Ann Lee and Bo Ek, Staff Writers | ann@example.org   ──▶   Ann Lee, Bo Ek
作者：王小明 来源：新华网                                 ──▶   王小明
"""

import re
import unicodedata
from collections.abc import Iterable

from cleaners.extraction.metadata.address import letters

MAX_AUTHORS_CHARS = 200
_MAX_NAME_CHARS, _MAX_NAME_WORDS = 60, 6
# Words before a name: with a colon or a space after them, only with a colon, and with neither.
_BEFORE = re.compile(
    r"^(?:view|show|see|more|all|zeige|alle|voir|tous|ver|vedi|mostra|toon|visa|vis|zobacz|посмотреть|все|posts|articles)"
    r"\b.{0,40}?\s(?:by|from|von|de|par|di|van|av|af|autora|автора)\s"
    r"|^(?:(?:written|words|story|text|posted|published|submitted|reported|reviewed|report) (?:and \w+ )?(?:by|from)|"
    r"by|von|from|par|por|di|door|av|af|"
    r"przez|an article by|ein(?:e \w+| \w+)? von|de la rédaction de|a cura di|escrito por|publicado por|publié par|"
    r"rédigé par|propos recueillis par|scritto da|skrevet af|skrevet av|skriven av|geschreven door|verfasst von|"
    r"napisał[ao]?|opracował[ao]?|yazan|kirjoittanut|írta|autor(?:in|en|ka|zy)?|autora|"
    r"автор[ы]?|текст|подготовил[аи]?|пишет|γράφει (?:ο|η)|του|της|από (?:τον|την)|بقلم|كتب|كتبت|الكاتب|מאת|"
    r"本报记者|本報記者|记者|記者|通讯员)(?=[\s:：\xa0])[\s:：\xa0]+"
    r"|^(?:authors?|auteure?s?|autore|autori|texte?s?|texto|testo|tekst|teksti|reporter|redaktion|skribent|forfatter|"
    r"szerző|tác giả|oleh|penulis|συντάκτης|συγγραφέας|作者|文|撰文|著者|執筆者?|文責|"
    r"ライター|글|글쓴이|기자)\s*[:：／]\s*"
    r"|^(?:作者|撰文)\s*",
    re.IGNORECASE,
)
_AFTER_DATE = re.compile(r"\d.*[\s|•·,]((?:by|von|par|por|di|door|av|af|автор:|autor:) [^\d]+)$", re.IGNORECASE)
_AFTER = re.compile(
    r"\s*(?:\([^()]*\)|\s(?:기자|특파원|선임기자)|(?:记者|記者)|,? (?:for|für|pour) \S.*|(?:的)?(?:专栏|博客)"
    r"|\son\b.*|\s(?:[^\W\d]{3,12}\.? )?\d.*|\s[-–—•·]+)\s*$",
    re.IGNORECASE,
)
_HAN, _MAX_HAN = re.compile(r"[\u4e00-\u9fff]"), 5  # characters of a name
_MARKS = " \t\xa0,:：|•·–—-*/()[]【】"  # around names
_FULL_STOP = re.compile(r"(?<=\w{4})\.$")  # not that of "Jr."
_WITH_AGENCY = re.compile(r"^(\S+ \S.*?),? (?:the )?(?:associated|canadian) press$", re.IGNORECASE)
_BETWEEN = re.compile(
    r"[|•·、，；,]|/(?=\s)|(?<=\s)/|\s[-–—]\s|\s(?:and|und|et|og|och|és|oraz|и|та|και|ve|و)\s"
    r"|\s(?:y|e|i|&)\s(?=\S+\s\S)"  # José Ortega y Gasset is one, and so is Barnes & Noble
    r"|\s(?=[^\s:：]{1,8}[:：])",  # another label
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"\b(?:author|staff|writer|reporter|editor|editorial|correspondent|journalist|contributor|contributing|columnist|"
    r"officer|head of|director|producer|analyst|critic|fellow|professor|president|founder|ceo|cto|manager|"
    r"intern|freelance\w*|redakteur\w*|reporterin|korrespondent\w*|autorin|chefredakteur\w*|rédact\w+|journaliste|"
    r"correspondante?|envoyée?|redactor\w*|periodista|corresponsal|giornalista|redattor\w*|redacteur|journaliste?|"
    r"журналист\w*|корреспондент\w*|редактор\w*|обозреватель|dziennikar\w+|redaktor\w*|sponsored|follow|share|"
    r"updated|published|posted|comments?|read|min|minutes?|subscribe|advertisement|photo\w*|twitter|facebook|instagram|"
    r"linkedin|whatsapp|e-?mail|folgen|teilen|suivre|partager|seguir|compartir|login|menu|search|privacy|policy|"
    r"standards|contact|archive|newsletter)\b"
    r"|^(?:admin|administrator|guest|edited|reviewed|by|von|par|and|und)$|编辑|編輯|责编|来源|來源",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"^\W*(?:image|photo|foto|bild|picture|video|getty|illustration|graphic|grafik)s?\b", re.IGNORECASE
)
_PICTURE = re.compile(r"photo|foto|image|bild:|picture|courtesy|credit|illustration|unsplash|getty", re.IGNORECASE)
_GROUP = re.compile(
    r"^(?:the|die|der|das|le|la|les|el|il)\s|&|\b(?:news|times|telegram|gazette|journal|reporter|herald|tribune|press|"
    r"agency|agencies|magazine|staff|team|redaktion|rédaction|redacción|redação|redazione|redactie|редакция|editors|"
    r"editorial|media|daily|post|network|agence|agentur\w*|online|web|inc|ltd|gmbh|institute|university|foundation)\b"
    r"|新聞|新闻|通讯社|通信|編集部|编辑部|일보|뉴스",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"@|://|^www\.", re.IGNORECASE)
_DOMAIN = re.compile(r"\.(?:com|org|net|de|co\.uk)\b", re.IGNORECASE)
_PARTICLES = frozenset(
    "de da do dos das del della di du des la le van von der den ter ten zu zur vom bin ibn al el ben y e of af av och"
    " und et i и d' l' mc st st.".split()
)
_AGENCIES = frozenset(
    "ap afp dpa reuters pa upi ansa efe apa sda kna epd sid tass interfax xinhua ritzau ntb tt belga lusa bloomberg cnn"
    " associatedpress theassociatedpress agencefrancepresse thecanadianpress canadianpress pressassociation".split()
)


def declared_names(text: str) -> list[str]:
    """The names in what a page declares as its authors. It need not look like a name: "admin", "dpa"."""
    parts = [part for part in _split(text) if not _ADDRESS.search(part) and not _CREDIT.match(part)]
    return _distinct([part for part in parts if not _ROLE.search(part)] or parts)


def names_in(parts: Iterable[str]) -> list[str]:
    """The names in the texts of a byline. What does not look like a name is left out."""
    found = [name for part in parts for name in _split(part)]
    names = _distinct([name for name in found if is_name(name)])
    if len(names) > 1 and all(" " not in name and name.isascii() for name in names):
        names = [" ".join(names[:_MAX_NAME_WORDS])]  # given name and family name in elements of their own
    if any(" " in name for name in names):
        names = [name for name in names if " " in name or has_no_capitals(name)]  # "Ann Lee, Berlin"
    return [name for name in names if not is_group(name)] or names


def is_group(name: str) -> bool:
    """Whether a name is that of a paper, an agency or an office rather than a person's."""
    return letters(name) in _AGENCIES or bool(_GROUP.search(name))


def has_no_capitals(name: str) -> bool:
    """Whether a name is of a script without capitals, as Chinese."""
    return name.lower() == name.upper()


def is_name(text: str) -> bool:
    """Whether a text looks like a name: a few capitalised words, or some letters of a script without capitals."""
    words = text.split()
    if not words or len(words) > _MAX_NAME_WORDS or len(text) > _MAX_NAME_CHARS:
        return False
    if any(pattern.search(text) for pattern in (_ROLE, _CREDIT, _ADDRESS, _DOMAIN)) or _BEFORE.match(f"{text}: x"):
        return False
    if (
        not any(c.isalpha() for c in text)
        or any(c.isdigit() for c in text)
        or any(unicodedata.category(c)[0] in "SC" or c in "!?:…。！？" for c in text)
    ):
        return False
    if any(_HAN.search(word) and len(word) > _MAX_HAN for word in words):
        return False
    cased = [word for word in words if not has_no_capitals(word)]
    small = [word for word in cased if word.lower() == word and word.lower() not in _PARTICLES]
    return not small and (len(cased) < len(words) or any(word != word.lower() for word in cased) or not cased)


def byline_in(line: str) -> str:
    """The part of a line that begins as bylines do, with "By", "Von", "Автор" or the like before a name, or "".

    A date may stand before it: "5 March 2020, 10:15 | By Ann Lee".
    """
    if _PICTURE.search(line):
        return ""
    if _BEFORE.match(line):
        return line
    match = _AFTER_DATE.search(line)
    return match[1] if match else ""


def _split(text: str) -> list[str]:
    """The parts of a byline, each without the words and marks around a name."""
    text = " ".join(text.split())[: 4 * MAX_AUTHORS_CHARS]
    if ";" in text:
        return [name for part in text.split(";") for name in _split(part)]
    parts = [_bare(part) for part in _BETWEEN.split(_bare(text))]
    parts = [part for part in parts if part]
    if len(parts) == 2 and "," in text and all(" " not in part and part.istitle() for part in parts):
        return [f"{parts[1]} {parts[0]}"]  # "Lee, Ann"
    return parts


def _bare(part: str) -> str:
    """A part of a byline without the words and marks around the name."""
    before = None
    while part != before:
        before = part
        part = _AFTER.sub("", _BEFORE.sub("", _FULL_STOP.sub("", part.strip(_MARKS))))
    return _WITH_AGENCY.sub(r"\1", part)


def _distinct(names: Iterable[str]) -> list[str]:
    by_letters: dict[str, str] = {}
    for name in names:
        by_letters.setdefault(letters(name), name)
    return list(by_letters.values())
