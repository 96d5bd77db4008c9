"""The API of GitLab."""

from typing import ClassVar
from urllib.parse import quote

from forge.hosts.api import Api, Found, SameState
from forge.models import PullRequest
from forge.told import Body, PullTold


class Gitlab(Api):
    """GitLab, of gitlab.com or of one's own."""

    events: ClassVar = ["push_events", "merge_requests_events", "pipeline_events"]
    _states: ClassVar = {"failure": "failed", "error": "failed", "pending": "pending", "success": "success"}
    _changing = "PUT"

    def find(self) -> Found:
        """See `Api`."""
        row = self._ask("GET", self._project)
        return Found(
            str(row.get("path_with_namespace") or self.full_name)[:250],
            str(row.get("default_branch") or "main")[:255],
            row.get("visibility") != "public",
        )

    def make_hook(self, url: str, secret: str) -> str:
        """See `Api`."""
        path = f"{self._project}/hooks"
        self._drop_hooks(path, self._ask("GET", f"{path}?per_page=100"), url, lambda row: row.get("url"))
        body = {"url": url, "token": secret, "enable_ssl_verification": True}
        return str(self._ask("POST", path, {**body, **dict.fromkeys(self.events, True)}).get("id", ""))

    def remove_hook(self, ref: str) -> None:
        """See `Api`."""
        self._send("DELETE", f"{self._project}/hooks/{quote(ref, safe='')}", missing=True)

    def set_status(self, commit: str, context: str, state: str, description: str, url: str) -> None:
        """See `Api`. GitLab turns a state down that it has already, which is no trouble."""
        body = {
            "state": self._states[state],
            "name": context,
            "description": description,
            "target_url": url,
        }
        try:
            self._send("POST", f"{self._project}/statuses/{quote(commit, safe='')}", body)
        except SameState:
            return

    def comment(self, pull: PullRequest, text: str) -> str:
        """See `Api`."""
        notes = f"{self._project}/merge_requests/{pull.number}/notes"
        return self._keep_comment(pull, text, notes, notes)

    def open_pulls(self) -> list[PullTold]:
        """See `Api`."""
        return self._pulls(f"{self._project}/merge_requests?state=opened&per_page=100", _pull_of)

    def pull(self, number: int) -> PullTold | None:
        """See `Api`."""
        return self._pull(f"{self._project}/merge_requests/{number}", _pull_of)

    @property
    def _project(self) -> str:
        return f"/projects/{quote(self.full_name, safe='')}"

    def _headers(self) -> dict[str, str]:
        return {"PRIVATE-TOKEN": self._token}


def _pull_of(row: Body) -> PullTold:
    """A merge request, as the API shows it."""
    here = row.number("source_project_id") == row.number("target_project_id")
    return PullTold(
        number=row.number("iid"),
        branch=row.needed("source_branch"),
        commit=row.needed("sha", most=64),
        state={"opened": "open", "merged": "merged"}.get(row.text("state"), "closed"),
        at=row.time("updated_at"),
        title=row.text("title", most=300),
        author=row.text("author", "username", most=200),
        from_fork="" if here else "another project",
        draft=row.yes("draft") or row.yes("work_in_progress"),
        url=row.text("web_url"),
    )
