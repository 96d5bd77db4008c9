import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("addons", "0001_initial"),
        ("apps", "0009_attached_config_vars"),
        ("pipelines", "0003_stage_rules_and_transfers"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AddonService",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.SlugField(max_length=60, unique=True)),
                ("human_name", models.CharField(max_length=100)),
                (
                    "summary",
                    models.CharField(blank=True, help_text="What it is, in one sentence.", max_length=200),
                ),
                ("icon", models.CharField(default="plug", help_text="Of the pages' own set.", max_length=20)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("alpha", "alpha"),
                            ("beta", "beta"),
                            ("ga", "available"),
                            ("shutdown", "not offered any more"),
                        ],
                        default="ga",
                        max_length=10,
                    ),
                ),
                (
                    "stem",
                    models.CharField(
                        help_text="How the names of its add-ons begin: postgresql-curly-12345.", max_length=40
                    ),
                ),
                (
                    "first_name",
                    models.CharField(
                        help_text="What an app calls its first one: DATABASE makes DATABASE_URL.",
                        max_length=60,
                    ),
                ),
                (
                    "further_name",
                    models.CharField(
                        help_text="What further ones are called, with a colour: HEROKU_POSTGRESQL_AMBER.",
                        max_length=60,
                    ),
                ),
                (
                    "config",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Suffixes of its config vars; an empty one is the bare name.",
                    ),
                ),
                (
                    "sharable",
                    models.BooleanField(default=True, help_text="It can be attached to several apps."),
                ),
                ("several", models.BooleanField(default=True, help_text="An app can have more than one.")),
                ("of_pipelines", models.BooleanField(default=False, help_text="A pipeline can own one.")),
                ("position", models.PositiveIntegerField(default=100)),
                (
                    "edited",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="An operator changed it: upgrades leave it alone.",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name": "add-on service",
                "ordering": ["position", "name"],
            },
        ),
        migrations.AlterModelOptions(
            name="addon",
            options={"ordering": ["name"], "verbose_name": "add-on"},
        ),
        migrations.RenameField("addon", "service", "old_service"),
        migrations.RenameField("addon", "plan", "old_plan"),
        migrations.AddField(
            model_name="addon",
            name="attempt",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="addon",
            name="by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="config_keys",
            field=models.JSONField(
                default=dict, editable=False, help_text="{credential: [suffix]} of its config."
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="finished_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="addon",
            name="lease_token",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="addon",
            name="lease_until",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="addon",
            name="message",
            field=models.CharField(
                blank=True, help_text="What its provider says, for people.", max_length=500
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="options",
            field=models.JSONField(
                default=dict, editable=False, help_text="What was asked for besides the plan."
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="pipeline",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="addons",
                to="pipelines.pipeline",
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="sealed_config",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AddField(
            model_name="addon",
            name="sealed_secret",
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AddField(
            model_name="addon",
            name="state",
            field=models.CharField(
                choices=[
                    ("provisioning", "being made"),
                    ("provisioned", "ready"),
                    ("changing", "changing"),
                    ("deprovisioning", "being removed"),
                    ("failed", "failed"),
                ],
                default="provisioned",
                max_length=14,
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="status",
            field=models.CharField(
                choices=[
                    ("pending", "pending"),
                    ("running", "running"),
                    ("succeeded", "at rest"),
                    ("failed", "failed"),
                ],
                default="succeeded",
                editable=False,
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="step",
            field=models.PositiveSmallIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name="addon",
            name="tasks",
            field=models.JSONField(
                default=list, editable=False, help_text="[[verb, argument …]] for the provider."
            ),
        ),
        migrations.AddField(
            model_name="addon",
            name="updated_at",
            field=models.DateTimeField(auto_now=True),
        ),
        migrations.AddField(
            model_name="addon",
            name="wake_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name="attachment",
            name="namespace",
            field=models.CharField(
                blank=True, help_text="credential:<name> when it has a credential of its own.", max_length=100
            ),
        ),
        migrations.AddField(
            model_name="attachment",
            name="updated_at",
            field=models.DateTimeField(auto_now=True),
        ),
        migrations.AlterField(
            model_name="addon",
            name="app",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="addons", to="apps.app"
            ),
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.SlugField(max_length=60)),
                ("human_name", models.CharField(max_length=100)),
                ("description", models.CharField(blank=True, max_length=200)),
                ("price_cents", models.PositiveIntegerField(default=0, help_text="Per month.")),
                (
                    "limits",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="{connections, storage_mb, memory_mb …}; the provider holds to them.",
                    ),
                ),
                (
                    "features",
                    models.JSONField(blank=True, default=list, help_text="Sentences for the page of plans."),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("public", "offered"), ("deprecated", "kept for those that have it")],
                        default="public",
                        max_length=12,
                    ),
                ),
                (
                    "default",
                    models.BooleanField(default=False, help_text="What the service's bare name means."),
                ),
                ("position", models.PositiveIntegerField(default=100)),
                (
                    "edited",
                    models.BooleanField(
                        default=False,
                        editable=False,
                        help_text="An operator changed it: upgrades leave it alone.",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "service",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="plans",
                        to="addons.addonservice",
                    ),
                ),
            ],
            options={
                "ordering": ["service__position", "position", "price_cents", "name"],
            },
        ),
        migrations.AddField(
            model_name="addon",
            name="plan",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="addons",
                to="addons.plan",
            ),
        ),
        migrations.AddConstraint(
            model_name="addon",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("app__isnull", False), ("pipeline__isnull", True)),
                    models.Q(("app__isnull", True), ("pipeline__isnull", False)),
                    _connector="OR",
                ),
                name="an_addon_has_one_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="plan",
            constraint=models.UniqueConstraint(fields=("service", "name"), name="one_plan_per_name"),
        ),
    ]
