import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("pipelines", "0005_automatic_promotions"),
    ]

    operations = [
        migrations.AddField(
            model_name="stage",
            name="source",
            field=models.CharField(
                choices=[
                    ("any", "Anywhere: promotions, pushes and builds"),
                    ("own", "Builds of their own"),
                    ("promotion", "Promotions only"),
                ],
                default="any",
                help_text="Where releases of apps here come from.",
                max_length=9,
            ),
        ),
        migrations.AddField(
            model_name="stage",
            name="build_command",
            field=models.CharField(
                blank=True, help_text="Of new apps here: run after their buildpacks.", max_length=500
            ),
        ),
        migrations.AddField(
            model_name="stage",
            name="stack",
            field=models.CharField(
                blank=True, help_text="Of new apps here; empty: the platform's own.", max_length=40
            ),
        ),
        migrations.AddField(
            model_name="coupling",
            name="inherits",
            field=models.BooleanField(
                default=True,
                help_text="The config vars of stage and pipeline; not so where a stranger's code runs.",
            ),
        ),
        migrations.CreateModel(
            name="PipelineVar",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=255)),
                ("sealed", models.TextField(editable=False)),
                ("set_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "set_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "pipeline",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="config_vars",
                        to="pipelines.pipeline",
                    ),
                ),
            ],
            options={
                "ordering": ["key"],
                "abstract": False,
                "constraints": [
                    models.UniqueConstraint(fields=("pipeline", "key"), name="one_value_per_pipeline_var")
                ],
            },
        ),
    ]
