"""Numbers as text for people, on the terminal and in reports."""

NOTHING = "–"  # where there is no number


def number(value: float | None) -> str:
    """12,345 for a count, three significant digits for other numbers."""
    if value is None:
        return NOTHING
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def counted(number: int, noun: str) -> str:
    """ "1 document", "2,000 documents"; `noun` takes a plain s in the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(part: float | None, whole: float | None) -> float | None:
    """part / whole; None where there is no part, or nothing that it could be a part of."""
    return part / whole if part is not None and whole else None


def percent(share: float | None, digits: int = 1) -> str:
    """ "12.3 %" for .123."""
    return NOTHING if share is None else f"{100 * share:.{digits}f} %"


def percent_of(part: int, whole: int) -> str:
    """ "33.3%", as the terminal has it; NOTHING where `whole` is 0."""
    return f"{part / whole:.1%}" if whole else NOTHING


def size(num_bytes: float) -> str:
    """ "1.2 MB", in powers of 1,000."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= factor:
            return f"{num_bytes / factor:,.1f} {unit}"
    return f"{num_bytes:,.0f} bytes"


def compact(number: float) -> str:
    """12.3 M, 4,567: as many digits as a person reads at a glance."""
    for factor, word in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if number >= factor:
            return f"{number / factor:,.{1 if number < 100 * factor else 0}f} {word}"
    return f"{number:,.0f}"


def duration(seconds: float | None) -> str:
    """ "45 s", "12 min", "3.1 h", "2.4 days"."""
    if seconds is None:
        return NOTHING
    for factor, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * factor:
            return f"{seconds / factor:.1f} {unit}"
    return f"{seconds:.0f} s"
