from django.db import migrations

# https://www.heroku.com/pricing, as operators know it; they set their own on the operators' site.
CENTS = {
    "eco": 500,
    "basic": 700,
    "standard-1x": 2500,
    "standard-2x": 5000,
    "performance-m": 25000,
    "performance-l": 50000,
}


def fill(apps, schema_editor):
    price = apps.get_model("metering", "DynoPrice")
    for size, cents in CENTS.items():
        price.objects.get_or_create(size=size, defaults={"cents_per_month": cents})


class Migration(migrations.Migration):
    dependencies = [("metering", "0001_ledger")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
