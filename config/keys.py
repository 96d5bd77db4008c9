"""Makes the keys of a new instance: `python -m config.keys`, before anything else reads the settings.

Keys are made only where there is nothing yet that old keys would be needed for (promise I-34).
"""

import base64
import os
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
NAME = "keys.env"


def make_keys(data: Path) -> bool:
    """Write `keys.env` (mode 0600) into a new data folder; True when it did. `SystemExit` explains a refusal."""
    given = os.environ.get("SLIPWAY_SECRET_KEY") and os.environ.get("SLIPWAY_KEYS")
    if given or (data / NAME).exists():
        return False
    if (data / "db.sqlite3").exists() or os.environ.get("DATABASE_URL"):
        raise SystemExit(
            f"The keys are missing: {data / NAME} does not exist, and SLIPWAY_SECRET_KEY and SLIPWAY_KEYS are not set, "
            "but there may be data that is sealed with them. Restore that file; for a new instance run "
            "`python manage.py newkeys` and put what it prints there."
        )
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o711)  # dynos have users of their own and must get to their slug, and to nothing else
    temporary = data / f".{NAME}.{os.getpid()}"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(new_keys())
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(data / NAME)
    return True


def new_keys() -> str:
    """A fresh set of keys as the lines of an environment file."""
    secret = base64.b64encode(os.urandom(48)).decode()
    seal = base64.b64encode(os.urandom(32)).decode()
    return f"SLIPWAY_SECRET_KEY={secret}\nSLIPWAY_KEYS=k1:{seal}\n"


if __name__ == "__main__":
    try:
        make_keys(Path(os.environ.get("SLIPWAY_DATA", BASE_DIR / "data")).resolve())
    except OSError as error:
        sys.exit(f"Slipway can't use its data folder: {error}")
