"""The API of Bitbucket Cloud."""

from typing import Any, ClassVar
from urllib.parse import quote

from django.conf import settings

from forge.hosts.api import Api, Found
from forge.models import PullRequest
from forge.payloads.bitbucket import pull_of
from forge.told import PullTold


class Bitbucket(Api):
    """Bitbucket Cloud."""

    events: ClassVar = [
        "repo:push",
        "pullrequest:created",
        "pullrequest:updated",
        "pullrequest:fulfilled",
        "pullrequest:rejected",
        "repo:commit_status_created",
        "repo:commit_status_updated",
    ]
    _states: ClassVar = {
        "pending": "INPROGRESS",
        "success": "SUCCESSFUL",
        "failure": "FAILED",
        "error": "FAILED",
    }
    _changing = "PUT"

    def find(self) -> Found:
        """See `Api`."""
        row = self._ask("GET", self._repo)
        branch = row.get("mainbranch")
        return Found(
            str(row.get("full_name") or self.full_name)[:250],
            str(branch.get("name") if isinstance(branch, dict) else "main")[:255],
            row.get("is_private") is True,
        )

    def make_hook(self, url: str, secret: str) -> str:
        """See `Api`."""
        path = f"{self._repo}/hooks"
        rows = self._ask("GET", f"{path}?pagelen=100").get("values", [])
        self._drop_hooks(path, rows, url, lambda row: row.get("url"))
        body = {"description": "Slipway", "url": url, "active": True, "secret": secret, "events": self.events}
        return str(self._ask("POST", path, body).get("uuid", ""))

    def remove_hook(self, ref: str) -> None:
        """See `Api`."""
        self._send("DELETE", f"{self._repo}/hooks/{quote(ref, safe='')}", missing=True)

    def set_status(self, commit: str, context: str, state: str, description: str, url: str) -> None:
        """See `Api`."""
        body = {
            "key": context[:40],
            "name": context,
            "state": self._states[state],
            "description": description,
            "url": url or settings.URL,
        }
        self._send("POST", f"{self._repo}/commit/{quote(commit, safe='')}/statuses/build", body)

    def comment(self, pull: PullRequest, text: str) -> str:
        """See `Api`."""
        comments = f"{self._repo}/pullrequests/{pull.number}/comments"
        return self._keep_comment(pull, text, comments, comments, key="content")

    def open_pulls(self) -> list[PullTold]:
        """See `Api`."""
        return self._pulls(f"{self._repo}/pullrequests?state=OPEN&pagelen=50", pull_of)

    def pull(self, number: int) -> PullTold | None:
        """See `Api`."""
        return self._pull(f"{self._repo}/pullrequests/{number}", pull_of)

    def _said(self, text: str, key: str) -> dict[str, Any]:
        return {key: {"raw": text}}

    def _text_of(self, row: dict[str, Any], key: str) -> Any:
        content = row.get(key)
        return content.get("raw", "") if isinstance(content, dict) else ""

    @property
    def _repo(self) -> str:
        return f"/repositories/{quote(self.full_name)}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}
