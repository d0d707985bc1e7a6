"""Names of months by language."""

import unicodedata
from functools import cache

# Twelve months a language, in the forms that stand in dates; "/" separates forms. Letters without accents.
_NAMES = {
    "en": "january february march april may june july august september/sept october november december",
    "de": "januar/janner februar/feber marz/maerz april mai juni juli august september oktober november dezember",
    "fr": "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre/setiembre octubre noviembre diciembre",
    "pt": "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "ru": "января/январь февраля/февраль марта/март апреля/апрель мая/маи июня/июнь июля/июль августа/август"
    " сентября/сентябрь октября/октябрь ноября/ноябрь декабря/декабрь",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "stycznia/styczen lutego/luty marca/marzec kwietnia/kwiecien maja/maj czerwca/czerwiec lipca/lipiec"
    " sierpnia/sierpien wrzesnia/wrzesien pazdziernika/pazdziernik listopada/listopad grudnia/grudzien",
    "uk": "січня/січень лютого/лютии березня/березень квітня/квітень травня/травень червня/червень липня/липень"
    " серпня/серпень вересня/вересень жовтня/жовтень листопада/листопад грудня/грудень",
    "cs": "ledna/leden unora/unor brezna/brezen dubna/duben kvetna/kveten cervna/cerven cervence/cervenec"
    " srpna/srpen zari rijna/rijen listopadu/listopad prosince/prosinec",
    "sk": "januara/januar februara/februar marca/marec aprila/april maja/maj juna/jun jula/jul augusta/august"
    " septembra/september oktobra/oktober novembra/november decembra/december",
    "hr": "sijecnja/sijecanj veljace/veljaca ozujka/ozujak travnja/travanj svibnja/svibanj lipnja/lipanj"
    " srpnja/srpanj kolovoza/kolovoz rujna/rujan listopada/listopad studenoga/studenog/studeni prosinca/prosinac",
    "sr": "јануар фебруар март април маи јун јул август септембар октобар новембар децембар",
    "bg": "януари февруари март април маи юни юли август септември октомври ноември декември",
    "sl": "januarja februarja marca aprila maja junija julija avgusta septembra oktobra novembra decembra",
    "el": "ιανουαριου/ιανουαριος φεβρουαριου/φεβρουαριος μαρτιου/μαρτιος απριλιου/απριλιος μαιου/μαιος"
    " ιουνιου/ιουνιος ιουλιου/ιουλιος αυγουστου/αυγουστος σεπτεμβριου/σεπτεμβριος οκτωβριου/οκτωβριος"
    " νοεμβριου/νοεμβριος δεκεμβριου/δεκεμβριος",
    "tr": "ocak subat mart nisan mayıs/mayis haziran temmuz agustos eylul ekim kasım/kasim aralık/aralik",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "no": "januar februar mars april mai juni juli august september oktober november desember",
    "is": "januar februar mars april mai juni juli agust september oktober november desember",
    "fi": "tammikuuta/tammikuu helmikuuta/helmikuu maaliskuuta/maaliskuu huhtikuuta/huhtikuu toukokuuta/toukokuu"
    " kesakuuta/kesakuu heinakuuta/heinakuu elokuuta/elokuu syyskuuta/syyskuu lokakuuta/lokakuu"
    " marraskuuta/marraskuu joulukuuta/joulukuu",
    "et": "jaanuar veebruar marts aprill mai juuni juuli august september oktoober november detsember",
    "lt": "sausio vasario kovo balandzio geguzes birzelio liepos rugpjucio rugsejo spalio lapkricio gruodzio",
    "lv": "janvaris februaris marts aprilis maijs junijs julijs augusts septembris oktobris novembris decembris",
    "hu": "januar februar marcius aprilis majus junius julius augusztus szeptember oktober november december",
    "ro": "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "ca": "gener febrer marc abril maig juny juliol agost setembre octubre novembre desembre",
    "id": "januari februari maret april mei juni juli agustus september oktober november desember",
    "ar": "يناير فبراير مارس ابريل مايو يونيو/يونيه يوليو/يوليوز/يوليه اغسطس/غشت سبتمبر/شتنبر اكتوبر"
    " نوفمبر/نونبر ديسمبر/دجنبر",
    "he": "ינואר פברואר מרץ אפריל מאי יוני יולי אוגוסט ספטמבר אוקטובר נובמבר דצמבר",
}  # fmt: skip
_MIN_LETTERS = 3  # of a month that is cut short: "Jan."
_MAX_ENDING = 3  # letters of an ending that the table does not have


def month_of(word: str, language: str = "") -> int:
    """The number of a month by its name, which may be cut short or inflected, or 0. Names of `language` come first.

    "listopad" is October in Croatian, and November in Czech and Polish.
    """
    word = folded(word)
    for months in (_months(language) if language in _NAMES else {}, _months("")):
        for length in range(len(word), max(_MIN_LETTERS, len(word) - _MAX_ENDING) - 1, -1):
            if month := months.get(word[:length]):
                return month
    return 0


def folded(text: str) -> str:
    """The text in lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if unicodedata.category(c) != "Mn")


@cache
def _months(language: str) -> dict[str, int]:
    """Months of a language, or of all, by their names and the beginnings of these. Where two share one, the first is
    meant."""
    names = [_NAMES[language]] if language else list(_NAMES.values())
    forms = [(form, n) for text in names for n, month in enumerate(text.split(), 1) for form in month.split("/")]
    whole = dict(reversed(forms))
    parts = {form[:length]: month for form, month in reversed(forms) for length in range(_MIN_LETTERS, len(form))}
    return parts | whole
