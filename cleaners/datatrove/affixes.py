"""The prefixes, suffixes and exceptions of spaCy 3.8, as tables for the kernel of `cleaners.datatrove.words`.

They are those of `spacy.lang.char_classes`, `.punctuation` and `.tokenizer_exceptions`, with English infixes and
contractions. The exceptions of English, German and Russian are in one table, without those that are words of another of
these languages: "im" is an English "i'm" and a German preposition; "so." and "do." are German days of the week, but
English words at the end of a sentence.
"""

import unicodedata
from functools import cache

import numpy as np

# Bits of `traits()`.
PREFIX, SUFFIX, QUOTE, ALPHA, LOWER, UPPER, SYMBOL, HYPHEN, BEFORE_DOT, SPACE, HOST, PLAIN = (
    1 << bit for bit in range(12)
)

PUNCTUATION = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
QUOTES = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》\u3008\u3009\u2329\u232a⟦⟧"
CURRENCIES = "$£€¥฿₽﷼₴" + "".join(map(chr, range(0x20A0, 0x20C0)))
DASHES = "—–"
# Scripts without case count as lower and as upper case; CJK punctuation and squared words are among them.
_UNCASED = (
    (0x0591, 0x05F4), (0x0620, 0x064A), (0x066E, 0x06D5), (0x06E5, 0x06FF), (0x0750, 0x077F), (0x08A0, 0x08BD),
    (0x0900, 0x097F), (0x0980, 0x09FF), (0x0B80, 0x0BFF), (0x0C00, 0x0CFF), (0x0D80, 0x0DFF), (0x1100, 0x137F),
    (0x2E80, 0x2FDF), (0x2FF0, 0x30FF), (0x31C0, 0x31EF), (0x3200, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF),
    (0xF900, 0xFAFF), (0xFB1D, 0xFB4F), (0xFB50, 0xFBB1), (0xFBD3, 0xFD3D), (0xFD50, 0xFDC7), (0xFDF0, 0xFDFB),
    (0xFE30, 0xFE4F), (0xFE70, 0xFEFC), (0x1F200, 0x1F2FF), (0x20000, 0x2EBEF), (0x2F800, 0x2FA1F),
)  # fmt: skip

# Suffixes that are cut off after a digit.
AFTER_DIGITS = (
    *CURRENCIES,
    *"+ US$ C$ A$ km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz".split(),
    *"m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³".split(),
    *"мм мм² мм³ нм кг г мг м/с км/ч кПа Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ".split(),
)

# Words that stay whole.
_WHOLE = r"""
'' ' — C++ \") \t \n a. b. c. d. e. f. g. h. i. j. k. l. m. n. o. p. q. r. s. t. u. v. w. x. y. z. ä. ö. ü.
:) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-; :( :-( :((
:-(( :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P :p :-p :O :-O :o :-o :0 :-0 :() >:o
:* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D 8D 8-D ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_- -__- v.v V.V v_v
V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) (._.) (>_<) (*_*) (¬_¬) ಠ_ಠ
ಠ︵ಠ (ಠ_ಠ) ¯\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>
'S 's ‘S ‘s 'd 'll 're 'em 'Cause 'cause 'Cos 'cos 'Coz 'coz 'Cuz 'cuz 'bout 'nuff and/or w/o ma'am Ma'am o'clock
O'clock doin' Doin' goin' Goin' havin' Havin' lovin' Lovin' nothin' Nothin' nuthin' Nuthin' ol' Ol' somethin' Somethin'
Adm. Ak. Ala. Apr. Ariz. Ark. Aug. Bros. Calif. Co. Colo. Conn. Corp. D.C. Dec. Del. Dr. E.G. E.g. Feb. Fla. Ga. Gen.
Gov. I.E. I.e. Ia. Id. Ill. Inc. Ind. Jan. Jr. Jul. Jun. Kan. Kans. Ky. La. Ltd. Mar. Mass. Md. Messrs. Mich. Minn.
Miss. Mo. Mont. Mr. Mrs. Ms. Mt. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. Ph.D. Prof.
Rep. Rev. S.C. Sen. Sep. Sept. St. Tenn. Va. Wash. Wis. a.m. co. e.g. i.e. p.m. v.s. vs.
Abb. Abk. Abs. Abt. B.Sc. Bd. Betr. Bf. Bhf. Bsp. CDU/CSU Chr. Cie. Dez. Dipl. Dipl.-Ing. Fa. Fam. Frl. G.m.b.H. Gebr.
Hbf. Hg. Hr. Hrn. Hrsg. Ing. Jh. Jhd. M.Sc. Mio. Mrd. Mrz. MwSt. Mär. Nr. Okt. Pkt. Std. Str. Tel. Tsd. Univ. a.D.
a.M. a.Z. abzgl. allg. bspw. bzgl. bzw. ca. d.h. dgl. e.V. ebd. ehem. eigtl. engl. entspr. evtl. frz. geb. gegr. ggf.
ggfs. ggü. h.c. hrsg. i.A. i.G. i.O. i.Tr. i.V. i.d.R. inkl. insb. kath. m.E. m.M. lt. mtl. n.Chr. o.a. o.g. o.ä. p.a.
röm. s.o. sog. stellv. tägl. u.U. u.a. u.s.w. u.v.m. usf. usw. uvm. v.Chr. v.a. v.l.n.r. vgl. vllt. vlt. wiss. z.B.
z.Bsp. z.T. z.Z. z.Zt. z.b. zzgl. österr.
Авг. Апр. Воскр. Вс. Вт. Дек. Июл. Июн. Мар. Ноя. Нояб. Окт. Пн. Пт. Сб. Сен. Сент. Ср. Фев. Февр. Чт. Янв. авг. апр.
вс. вт. дек. июл. июн. мар. ноя. нояб. окт. пн. пт. сб. сен. сент. ср. фев. февр. чт. янв. г. г.г. гг. т.г. т.д. т.е.
т.к. т.н. т.п. д. к. п. с. у. х. ш. ю. им. ул. пер. пл. пос. пгт. обл. респ. руб. долл. тыс. тыс.руб. чел. см. ст. стр.
кв. кв.м. прим. проф. доц. акад. дир. и.о. тов. наст. наб. оф. тер. сл. дор. ком. г-да г-жа г-н д-р р-н б-р кв-л пр-д
пр-кт а/п б/у с/с ж/р
"""

_VERBS = "ca could do does did had may might must need ought sha should wo would".split()
_PRONOUNS = "i you he she it we they".split()
_ASKING = "who what when where why how there that this these those".split()
_WORDS_OF_THEIR_OWN = set("ill hell shell shed its were well im whore".split())


@cache
def traits() -> np.ndarray:
    """uint16[0x110000]: the bits of each code point. Nothing is cut off a word of PLAIN characters."""
    table = np.zeros(0x110000, np.uint16)
    bits = {"Ll": ALPHA | LOWER, "Lu": ALPHA | UPPER, "Lt": ALPHA | UPPER, "So": SYMBOL | PREFIX | SUFFIX}
    for c in range(0x2_0000):
        table[c] = bits.get(unicodedata.category(chr(c)), 0) | chr(c).isspace() * SPACE
    for first, last in _UNCASED:
        table[first : last + 1] |= ALPHA | LOWER | UPPER
    for characters, bit in (
        ("§%=+" + DASHES + PUNCTUATION + QUOTES + CURRENCIES, PREFIX),
        (DASHES + PUNCTUATION + QUOTES, SUFFIX),
        (QUOTES, QUOTE),
        ("-~" + DASHES, HYPHEN),
        ("0123456789%²-+|(?:)" + PUNCTUATION + QUOTES, BEFORE_DOT),
    ):
        table[list({*map(ord, characters)})] |= bit
    table[table & LOWER > 0] |= BEFORE_DOT
    table[(table & ALPHA > 0) & (table & (PREFIX | SUFFIX | SYMBOL | HYPHEN | SPACE) == 0)] |= PLAIN
    table[[*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B), *range(0xA1, 0x1_0000)]] |= HOST
    return table


@cache
def exceptions() -> dict[str, tuple[str, ...]]:
    """The pieces that each exception is cut into, by word; every word also stands with ’ for '."""
    cut: dict[str, tuple[str, ...]] = {}
    for word in _WHOLE.split():
        cut[word] = (word,)
    for pieces in _contractions():
        for first in (pieces[0], pieces[0].title()):
            cut["".join((first, *pieces[1:]))] = (first, *pieces[1:])
            bare = (first, *(piece.replace("'", "") for piece in pieces[1:]))
            if len(bare) > 1 and "".join(bare).lower() not in _WORDS_OF_THEIR_OWN:
                cut["".join(bare)] = bare
    for pieces in (("let", "'s"), ("c'm", "on"), ("how", "'d", "'y"), ("it", "'s")):
        for first in (pieces[0], pieces[0].capitalize()):
            cut["".join((first, *pieces[1:]))] = (first, *pieces[1:])
    cut |= {"y'all": ("y'", "all"), "yall": ("y", "all")}
    for hour in range(1, 13):
        cut |= {f"{hour}{half}": (str(hour), half) for half in ("am", "pm", "a.m.", "p.m.")}
    for unit in "cfkCFK":
        cut[f"°{unit}."] = ("°", unit, ".")
    for word, pieces in list(cut.items()):
        cut[word.replace("'", "’")] = tuple(piece.replace("'", "’") for piece in pieces)
    return cut


def _contractions() -> list[tuple[str, ...]]:
    contractions: list[tuple[str, ...]] = [("can", "not"), ("gon", "na"), ("got", "ta"), ("not", "'ve"), ("i", "'m")]
    contractions += [("i", "'m", "a")]
    for verb in _VERBS:
        contractions += [(verb, "n't"), (verb, "n't", "'ve")]
    contractions += [(verb, "n't") for verb in "ai are is was were have has dare".split()]
    contractions += [(verb, "'ve") for verb in "could might must should would".split()]
    for word in (*_PRONOUNS, *_ASKING):
        contractions += [(word, "'ll"), (word, "'ll", "'ve"), (word, "'d"), (word, "'d", "'ve")]
    contractions += [(word, "'ve") for word in ("i", "you", "we", "they", *_ASKING) if word not in ("that", "this")]
    contractions += [(word, "'re") for word in ("you", "we", "they", *_ASKING) if word not in ("that", "this")]
    contractions += [(word, "'s") for word in ("he", "she", "it", *_ASKING) if word not in ("these", "those")]
    return contractions
