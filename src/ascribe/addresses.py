"""Addresses of data bases and servers as they may be told: without their passwords."""

from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .errors import UserError

HIDDEN = "***"
SQLITE = "sqlite:///"
"""What an address begins with whose rest is the path of an SQLite file, as it is: nothing in it is escaped, and it has no
options."""


def sqlite_file(address: str) -> str:
    """The path of the file that `sqlite:///FILE` names.

    **Raises:** `UserError` where options seem to follow it.
    """
    file = address.removeprefix(SQLITE)
    if "?" in file:
        raise UserError(
            f"the address of an SQLite file is sqlite:///FILE, without options; got {told(address)!r}: leave them out, or name "
            f"a file that has a question mark in its name by its path alone."
        )
    return file


def told(text: str) -> str:
    """An address, or an option that has one (`--store=ADDRESS`), with `***` for each password; any other text as it is.

    All from the first `:` to the last `@` counts as a password, since people forget to escape what stands in one, and so does
    the value of every parameter with `password` in its name.
    """
    before, mark, address = text.partition("://")
    if not mark:
        return text
    user, at, rest = address.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:{HIDDEN}"
    place, question, query = f"{user}{at}{rest}".partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    query = "&".join(f"{name}{equals}{HIDDEN if equals and secret(name) else value}" for name, equals, value in pairs)
    return f"{before}{mark}{place}{question}{query}"


def passwords(address: str) -> set[str]:
    """The passwords in an address, as they are meant and as they stand in addresses."""
    try:
        parts = urlsplit(address)
        found = [parts.password, *(value for name, value in parse_qsl(parts.query) if secret(name))]
    except ValueError:
        return set()
    return {form for one in found if one for form in (one, unquote(one), quote(unquote(one), safe=""))}


def secret(name: str) -> bool:
    """Whether an address's parameter of that name is a password."""
    return "password" in unquote(name).lower()
