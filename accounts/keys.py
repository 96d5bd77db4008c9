"""The SSH keys that people keep here. Nothing is opened with them."""

import base64
import binascii
import hashlib
import re

from django.db import IntegrityError, transaction

from accounts.models import SshKey, User
from core import activity
from core.errors import Refusal

MOST = 100
KINDS = re.compile(
    r"ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
NOT_ONE = "This is not a public SSH key. Give the line of a .pub file, such as ~/.ssh/id_ed25519.pub."


@transaction.atomic
def add(user: User, text: str, *, by: User) -> SshKey:
    """Keep a public key, given as the line of a `.pub` file. `Refusal` for what is none, or is there already."""
    kind, blob, comment = _parts(text)
    if SshKey.objects.filter(user=user).count() >= MOST:
        raise Refusal(f"You have {MOST} keys, which is the limit. Remove one first.")
    print_ = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    line = " ".join(filter(None, (kind, base64.b64encode(blob).decode(), comment)))
    try:
        with transaction.atomic():
            key = SshKey.objects.create(user=user, public_key=line, comment=comment, fingerprint=print_)
    except IntegrityError as error:
        raise Refusal("You have added this key already.") from error
    activity.record(by, "added", key, fingerprint=print_)
    return key


@transaction.atomic
def remove(key: SshKey, *, by: User) -> None:
    """Forget a public key."""
    activity.record(by, "removed", key, fingerprint=key.fingerprint)
    key.delete()


def _parts(text: str) -> tuple[str, bytes, str]:
    """Kind, key and comment. The key has to say of itself that it is of this kind."""
    words = text.strip().split(maxsplit=2)
    if len(words) < 2 or "\n" in text.strip() or len(text) > 10_000 or not KINDS.fullmatch(words[0]):
        raise Refusal(NOT_ONE, fields={"public_key": NOT_ONE})
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(NOT_ONE, fields={"public_key": NOT_ONE}) from error
    kind = words[0].encode()
    if not blob.startswith(len(kind).to_bytes(4, "big") + kind) or len(blob) < 32:
        raise Refusal(NOT_ONE, fields={"public_key": NOT_ONE})
    return words[0], blob, " ".join(words[2].split())[:200] if len(words) > 2 else ""
