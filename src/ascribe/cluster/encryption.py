"""Whether the line to a scheduler of the user's own is private: TLS with certificates, or in the open only where that is said.

Whoever the scheduler lets in can run code on every worker and in this process, so can whoever is on the way to it.
"""

import ipaddress
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ascribe.errors import UserError

ENCRYPTED = ("tls", "wss")
OPTIONS = "`tls_ca`, `tls_cert` and `tls_key` (--tls-ca, --tls-cert, --tls-key)"


def address_in(scheduler: str) -> str:
    """The address of a scheduler, which may be given as the path of its scheduler file.

    **Raises:** `UserError` where that file holds none.
    """
    path = Path(scheduler)
    try:
        if not path.is_file():
            return scheduler
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{scheduler!r} is no scheduler file: give the one that `dask scheduler --scheduler-file` wrote, or an address as "
            f"in tls://HOST:8786."
        ) from error


def security(
    address: str, *, ca: str | None = None, cert: str | None = None, key: str | None = None, insecure: bool = False
) -> Any:
    """Dask's `Security` for that address: the certificates that are given, else those of Dask's own configuration
    (`distributed.comm.tls`). `key` may be left out where the file `cert` holds it too.

    **Raises:** `UserError` where certificates are missing, of no use or cannot be read, and where the scheduler is on another
    host and talks in the open, unless `insecure`.
    """
    from distributed import Security  # noqa: PLC0415 - an extra

    kind = address.partition("://")[0] if "://" in address else "tcp"
    if kind not in ENCRYPTED:
        if (ca, cert, key) != (None, None, None):
            raise UserError(f"certificates are for a scheduler that talks by TLS, tls://HOST:PORT; got {address!r}.")
        if not (insecure or _here(address)):
            raise UserError(
                f"the scheduler at {address} is on another host and talks in the open: whoever is on the way could read the "
                f"data, change the results and run code here; start it with certificates and name it as tls://HOST:PORT, with "
                f"{OPTIONS}, or say `insecure=True` (--insecure) where the network is yours alone."
            )
        return Security()
    if (ca, cert, key) == (None, None, None):
        found = Security(require_encryption=True)
        if not (found.tls_ca_file and found.tls_client_cert):  # pyright: ignore[reportAttributeAccessIssue]
            raise UserError(f"the scheduler at {address} asks for certificates: give {OPTIONS}, or configure Dask.")
    elif ca is None or cert is None:
        raise UserError(
            f"TLS takes the authority's certificate and one of your own with its key: give {OPTIONS}; the key may be left out "
            f"where the certificate's file holds it."
        )
    else:
        found = Security(require_encryption=True, tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key)
    try:
        found.get_connection_args("client")
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(repr(str(file)) for file in (ca, cert, key) if file is not None) or "Dask's configuration"
        raise UserError(f"the certificates in {names} cannot be used ({error}): give PEM files of {OPTIONS}.") from error
    return found


def _here(address: str) -> bool:
    """Whether only this machine hears what is said to that address."""
    kind, mark, rest = address.partition("://")
    if kind == "inproc":
        return True
    try:
        host = urlsplit(f"tcp://{rest if mark else address}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
