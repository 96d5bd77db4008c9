"""Passwords that follow from an order's secret, so that none is kept twice and a second try finds the same."""

import base64
import hashlib
import hmac

from addons.providers.base import Order

ROTATED = "rotated:"  # the option that counts how often a credential got a new password


def password(order: Order, purpose: str, credential: str = "") -> str:
    """43 letters, digits, dashes and underscores; another for each purpose, and after each rotation."""
    times = order.options.get(ROTATED + credential, "0")
    text = f"{purpose}/{credential}/{times}"
    mac = hmac.new(order.secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
