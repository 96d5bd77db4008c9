"""What a test leaves behind that runs without a transaction around it. Django's flush truncates each of some hundred
tables and makes all permissions anew, which takes PostgreSQL seconds a test; deleting the rows takes it milliseconds."""

from functools import cache

from django.db import connection, transaction
from django.test import TransactionTestCase

from addons import catalog
from metering import prices

KEPT = {"django_migrations", "django_content_type", "auth_permission"}  # the same for every test


@cache
def tables():
    """All that tests write to."""
    return sorted(set(connection.introspection.django_table_names(only_existing=True)) - KEPT)


def clear(case=None):
    """Delete every row, and put back what is there after the migrations."""
    with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are looked at in the end alone
        for table in tables():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
    catalog.load()
    prices.fill()


TransactionTestCase._fixture_teardown = clear
