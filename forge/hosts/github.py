"""The APIs of GitHub, and of Gitea and Forgejo, which are made after it."""

from typing import Any, ClassVar
from urllib.parse import quote

from forge.hosts.api import Api, Found
from forge.models import PullRequest
from forge.payloads.github import pull_of
from forge.told import PullTold


class Github(Api):
    """GitHub, of github.com or of an enterprise."""

    events: ClassVar = ["push", "pull_request", "status", "check_run"]

    def find(self) -> Found:
        """See `Api`."""
        row = self._ask("GET", self._repo)
        return Found(
            str(row.get("full_name") or self.full_name)[:250],
            str(row.get("default_branch") or "main")[:255],
            row.get("private") is True,
        )

    def make_hook(self, url: str, secret: str) -> str:
        """See `Api`."""
        path = f"{self._repo}/hooks"
        self._drop_hooks(path, self._ask("GET", f"{path}?per_page=100&limit=50"), url, _config_url)
        return str(self._ask("POST", path, self._hook(url, secret)).get("id", ""))

    def remove_hook(self, ref: str) -> None:
        """See `Api`."""
        self._send("DELETE", f"{self._repo}/hooks/{quote(ref, safe='')}", missing=True)

    def set_status(self, commit: str, context: str, state: str, description: str, url: str) -> None:
        """See `Api`."""
        body = {"state": state, "context": context, "description": description, "target_url": url}
        self._send("POST", f"{self._repo}/statuses/{quote(commit, safe='')}", body)

    def comment(self, pull: PullRequest, text: str) -> str:
        """See `Api`."""
        issues = f"{self._repo}/issues"
        return self._keep_comment(pull, text, f"{issues}/{pull.number}/comments", f"{issues}/comments")

    def open_pulls(self) -> list[PullTold]:
        """See `Api`."""
        return self._pulls(f"{self._repo}/pulls?state=open&per_page=100&limit=50", pull_of)

    def pull(self, number: int) -> PullTold | None:
        """See `Api`."""
        return self._pull(f"{self._repo}/pulls/{number}", pull_of)

    def _hook(self, url: str, secret: str) -> dict[str, Any]:
        config = {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
        return {"name": "web", "active": True, "events": self.events, "config": config}

    @property
    def _repo(self) -> str:
        return f"/repos/{quote(self.full_name)}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "X-GitHub-Api-Version": "2022-11-28"}


class Gitea(Github):
    """Gitea and Forgejo, whose API is made after GitHub's."""

    events: ClassVar = ["push", "delete", "pull_request", "pull_request_sync", "status"]

    def _hook(self, url: str, secret: str) -> dict[str, Any]:
        config = {"url": url, "content_type": "json", "secret": secret}
        return {"type": "gitea", "active": True, "events": self.events, "config": config}

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self._token}"}


def _config_url(row: dict[str, Any]) -> Any:
    config = row.get("config")
    return config.get("url") if isinstance(config, dict) else None
