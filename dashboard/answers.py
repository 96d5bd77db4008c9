"""What a page answers to a form."""

from typing import Any

from django.http import HttpResponseRedirect
from django.urls import reverse


class SeeOther(HttpResponseRedirect):
    """Done; look there, with GET (303). htmx follows it as well and gets that page's partial."""

    status_code = 303


def see(page: str, *args: Any, query: str = "") -> SeeOther:
    """Send the browser to the page of that name, as `reverse` takes it; `query` is an encoded query string."""
    return SeeOther(reverse(page, args=args) + (f"?{query}" if query else ""))
