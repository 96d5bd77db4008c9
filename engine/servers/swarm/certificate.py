"""A certificate that nobody vouches for: clients that insist on TLS, as those made for Heroku do, check none."""

from pathlib import Path

from engine.servers.each import write
from engine.tls import self_signed

DAYS = 20 * 365  # longer than anything that it serves
END = "-----END PRIVATE KEY-----\n"


def certificate(record: Path) -> tuple[str, str]:
    """Key and certificate in PEM, as kept in `record`, for nobody else to read; made the first time."""
    if not record.exists():
        write(record, self_signed("Slipway databases", days=DAYS))
    key, end, chain = record.read_text().partition(END)
    return key + end, chain
