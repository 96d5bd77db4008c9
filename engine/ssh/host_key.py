"""The key that the SSH server is known by. Made once; clients are told its public half by the API."""

import fcntl
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.tls import write_whole


class HostKey:
    """The key pair in `folder`, made there if there is none: `ssh.key` for nobody else, `ssh.pub` for everybody."""

    def __init__(self, folder: Path) -> None:
        self.private, self._public = folder / "ssh.key", folder / "ssh.pub"
        if not self._public.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "ssh.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self._public.exists():
                    self._make()

    @property
    def public(self) -> str:
        """As OpenSSH writes it: kind and key, in one line."""
        return self._public.read_text().strip()

    def _make(self) -> None:
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        # The private half first: a public one that is there means that both are.
        write_whole(self.private, private, 0o600)
        write_whole(self._public, public + b"\n", 0o644)
