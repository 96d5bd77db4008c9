from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("apps", "0007_log_drains"),
    ]

    operations = [
        migrations.AddField(
            model_name="app",
            name="locked",
            field=models.BooleanField(
                default=False, help_text="Members of its team who are no collaborators only view it."
            ),
        ),
        migrations.AddField(
            model_name="dyno",
            name="inside",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="The start of a dyno in whose walls it runs.",
                max_length=80,
            ),
        ),
    ]
