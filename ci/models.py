"""Test runs of a pipeline's code: what starts them, what they are told, and what came out."""

import uuid
from typing import ClassVar

from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from apps.models import App
from core import secrets
from core.jobs import Job, JobQuerySet
from pipelines.models import Pipeline
from releases.models import Build, Source


class CiSettings(models.Model):
    """Whether a pipeline's code is tested, and when. A pipeline without a row runs tests when it is asked to."""

    pipeline = models.OneToOneField(
        Pipeline, primary_key=True, on_delete=models.CASCADE, related_name="ci_settings"
    )
    on_push = models.BooleanField(default=False, help_text="Each push of a branch starts a test run.")
    supersede = models.BooleanField(
        default=True, help_text="A push cancels the run of an older one of its branch that has not begun."
    )
    by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", help_text="In whose name it runs."
    )
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"CI of {self.pipeline}"


class CiVar(models.Model):
    """A config var that test runs start with. Its value is sealed to the pipeline and the key."""

    SEALED: ClassVar = {"sealed": "bound_to"}

    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="ci_vars")
    key = models.CharField(max_length=255)
    sealed = models.TextField(editable=False)
    set_at = models.DateTimeField(default=timezone.now, editable=False)
    set_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering: ClassVar = ["key"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pipeline", "key"], name="one_value_per_ci_var")
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def bound_to(self) -> str:
        """What the sealed value belongs to."""
        return f"pipeline/{self.pipeline_id}/ci/{self.key}"

    @property
    def value(self) -> str:
        """The plain value; `core.secrets.Tampered` when the row is not what was written."""
        return secrets.unseal(self.sealed, to=self.bound_to).decode()

    @value.setter
    def value(self, text: str) -> None:
        self.sealed = secrets.seal(text.encode(), to=self.bound_to)


class State(models.TextChoices):
    """Where a run or one of its nodes stands, in the words of the Platform API."""

    PENDING = "pending", "pending"
    CANCELLED = "cancelled", "cancelled"
    CREATING = "creating", "creating"
    BUILDING = "building", "building"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    ERRORED = "errored", "errored"
    DEBUGGING = "debugging", "debugging"


ENDED = [State.CANCELLED, State.SUCCEEDED, State.FAILED, State.ERRORED]


class TestRun(Job):
    """One run of a pipeline's tests, in an app of its own that is destroyed at its end. `status` says whether there is
    work to do, `state` how far it is."""

    __test__ = False  # of pytest's collection

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        ENDED = "ended", "ended"

    class Cause(models.TextChoices):
        PUSH = "push", "a push"
        HAND = "hand", "by hand"
        RERUN = "rerun", "run again"
        API = "api", "by API"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pipeline = models.ForeignKey(Pipeline, on_delete=models.CASCADE, related_name="test_runs")
    number = models.PositiveIntegerField()
    branch = models.CharField(max_length=255, blank=True)
    commit = models.CharField(max_length=64, blank=True)
    message = models.CharField(max_length=500, blank=True, help_text="First line of the commit.")
    author = models.CharField(max_length=200, blank=True)
    source = models.ForeignKey(
        Source, null=True, on_delete=models.SET_NULL, related_name="+", help_text="What was uploaded for it."
    )
    cause = models.CharField(max_length=5, choices=Cause)
    rerun_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="reruns")
    only_failed = models.JSONField(
        default=list, help_text="Indexes of the nodes that it runs; empty: all of them."
    )
    clear_cache = models.BooleanField(default=False)
    has_cache = models.BooleanField(
        default=False, help_text="While it builds with its pipeline's cache, which one run has at a time."
    )
    debug = models.BooleanField(default=False, help_text="It waits with a shell instead of running tests.")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    reason = models.CharField(max_length=500, blank=True, help_text="Why it ended as it did, for people.")
    warning = models.CharField(max_length=500, blank=True)
    cancel_asked = models.BooleanField(default=False)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    app = models.OneToOneField(
        App, null=True, on_delete=models.SET_NULL, related_name="test_run", help_text="Until it ends."
    )
    build = models.ForeignKey(Build, null=True, on_delete=models.SET_NULL, related_name="+")
    app_json = models.JSONField(default=dict, help_text="How it runs: setup, test, nodes, size.")
    nodes_total = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0, help_text="Cases, at the end.")
    failed = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True, editable=False)
    running_at = models.DateTimeField(null=True, editable=False, help_text="When its tests began.")
    updated_at = models.DateTimeField(auto_now=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [models.Index(fields=["pipeline", "commit"], name="test_runs_by_commit")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pipeline", "number"], name="one_test_run_per_number"),
            models.UniqueConstraint(
                fields=["pipeline"], condition=Q(has_cache=True), name="one_test_run_has_the_cache"
            ),
            models.CheckConstraint(
                condition=Q(status="ended", state__in=ENDED) | (~Q(status="ended") & ~Q(state__in=ENDED)),
                name="test_run_ends_in_an_end_state",
            ),
        ]

    def __str__(self) -> str:
        return f"test run {self.number}"

    @property
    def log_stream(self) -> str:
        """Where the output of its set-up is: the app made, and the build."""
        return f"test/{self.pk}"

    @property
    def short(self) -> str:
        """The commit as people write it."""
        return self.commit[:7]

    @property
    def is_over(self) -> bool:
        """Whether it has ended, as it will stay."""
        return self.status == self.Status.ENDED

    @property
    def seconds(self) -> float | None:
        """From its begin to its end, or to now; None before it began."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    def take_cache(self) -> bool:
        """Have the pipeline's build cache until it is left, or the run ends; False when another run has it."""
        if not self.has_cache:
            try:
                with transaction.atomic():
                    rows = TestRun.objects.filter(pk=self.pk, status=self.Status.RUNNING)
                    self.has_cache = bool(rows.update(has_cache=True))
            except IntegrityError:
                return False
        return self.has_cache

    def leave_cache(self) -> None:
        """Let another run have the pipeline's build cache. No effect on a run that does not have it."""
        TestRun.objects.filter(pk=self.pk, has_cache=True).update(has_cache=False)

    @property
    def url_path(self) -> str:
        """Of its page."""
        return f"/pipelines/{self.pipeline.name}/tests/{self.number}/"


class TestNode(models.Model):
    """One of the dynos that share a run's tests. The conductor starts it under its own id, once."""

    __test__ = False
    SEALED: ClassVar = {"sealed_attach": "attach_bound_to"}

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(TestRun, on_delete=models.CASCADE, related_name="nodes")
    index = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    exit_code = models.IntegerField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    dyno_id = models.UUIDField(null=True, editable=False, help_text="Of a debug run: the row of its dyno.")
    sealed_attach = models.TextField(blank=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["index"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "index"], name="one_test_node_per_index")
        ]

    def __str__(self) -> str:
        return f"node {self.index} of {self.run}"

    @property
    def log_stream(self) -> str:
        """Where its output is."""
        return f"testnode/{self.pk}"

    @property
    def reports_stream(self) -> str:
        """Where what it reported in files is, until that has been read."""
        return f"testreport/{self.pk}"

    @property
    def attach_bound_to(self) -> str:
        """What the sealed secret to attach with belongs to."""
        return f"test-node/{self.pk}/attach"

    @property
    def attach_secret(self) -> str:
        """What a debug shell is attached to with, once; empty: there is none."""
        if not self.sealed_attach:
            return ""
        return secrets.unseal(self.sealed_attach, to=self.attach_bound_to).decode()

    @attach_secret.setter
    def attach_secret(self, text: str) -> None:
        self.sealed_attach = secrets.seal(text.encode(), to=self.attach_bound_to) if text else ""


class TestCase(models.Model):
    """One test, as the node reported it in TAP or JUnit's XML. Every text of it is a stranger's."""

    __test__ = False

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    run = models.ForeignKey(TestRun, on_delete=models.CASCADE, related_name="cases")
    node = models.ForeignKey(TestNode, on_delete=models.CASCADE, related_name="cases")
    number = models.PositiveIntegerField()
    description = models.CharField(max_length=500)
    directive = models.CharField(max_length=200, blank=True, help_text="skip or todo, and why.")
    passed = models.BooleanField()
    diagnostic = models.TextField(blank=True)
    seconds = models.FloatField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["node__index", "number"]
        indexes: ClassVar = [models.Index(fields=["run", "passed"], name="test_cases_by_outcome")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["node", "number"], name="one_test_case_per_number")
        ]

    def __str__(self) -> str:
        return self.description
