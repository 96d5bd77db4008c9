"""What tests.browser.seed makes, with Alice as an operator."""

from tests.browser.seed import seed  # isort: skip - it sets Django up

from accounts.models import User

if __name__ == "__main__":
    seed()
    User.objects.filter(email="alice@example.com").update(is_staff=True, is_superuser=True)
