"""Every knob of Slipway, each from the environment and documented in docs/operating.md (a test compares the two)."""

import hashlib
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF

from config import addresses
from config.admin_site.look import UNFOLD as UNFOLD
from config.instance import port_of

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- where things are -------------------------------------------------------------------------------------------
DATA = Path(env.str("SLIPWAY_DATA", default=str(BASE_DIR / "data"))).resolve()
env.read_env(DATA / "keys.env")  # made by `bin/up`; what the environment says goes first
env.read_env("/run/secrets/slipway.env")  # the same in a container, with what else is secret

# Where Daphne listens for the router; a socket's path may have about 100 characters.
CONTROL_SOCKET = DATA / "run" / "web.sock"
if len(str(CONTROL_SOCKET)) > 100:
    _name = "slipway-" + hashlib.sha256(str(DATA).encode()).hexdigest()[:12]
    CONTROL_SOCKET = Path(tempfile.gettempdir()) / _name / "web.sock"

# --- secrets: no built-in key, a missing one stops the start (promise I-34) ----------------------------------------
SECRET_KEY = env.str("SLIPWAY_SECRET_KEY", default="")
SLIPWAY_KEYS = env.list("SLIPWAY_KEYS", default=[])

# --- addresses ----------------------------------------------------------------------------------------------------
PORT = env.int("SLIPWAY_PORT", default=port_of(DATA) or 8000)  # so commands know where the one that runs is
BIND = env.str("SLIPWAY_BIND", default="127.0.0.1")
URL = env.str("SLIPWAY_URL", default=f"http://localhost:{PORT}").rstrip("/")
ROUTER_URL = env.str("ROUTER_URL", default="local:")
# Where `heroku run` connects to, by TLS: host and port. The embedded router answers it on its own port.
RENDEZVOUS = env.str(
    "SLIPWAY_RENDEZVOUS",
    default=f"{urlsplit(URL).hostname}:"
    f"{5443 if ROUTER_URL != 'local:' else urlsplit(URL).port or (443 if URL.startswith('https') else PORT)}",
)
# Where dynos are opened by SSH, as the CLI's ps:exec does: it goes to port 80 of SSH_HOST, whatever is elsewhere.
SSH_LISTEN = env.str("SLIPWAY_SSH_LISTEN", default="127.0.0.2:80" if ROUTER_URL == "local:" else "")
SSH_HOST = env.str("SLIPWAY_SSH_HOST", default="")
HTTPS_PORT = env.int("SLIPWAY_HTTPS_PORT", default=0)
ROUTER_WEB = env.list("SLIPWAY_ROUTER_WEB", default=[f"unix@{CONTROL_SOCKET}"])
TLS_CERTIFICATE = env.str("SLIPWAY_TLS_CERTIFICATE", default="")
ACME_URL = env.str("SLIPWAY_ACME_URL", default="")
ACME_CONTACT = env.str("SLIPWAY_ACME_CONTACT", default="")
APPS_HOST = env.str("SLIPWAY_APPS_HOST", default="localhost")
HOST = urlsplit(URL).hostname or "localhost"
REGISTRY_HOST = f"registry.{HOST}"  # where the CLI takes images: docker push registry.HOST/APP/TYPE
ALLOWED_HOSTS = [
    *(HOST, REGISTRY_HOST, "localhost", "127.0.0.1", "[::1]"),
    *env.list("SLIPWAY_ALLOWED_HOSTS", default=[]),
]
TRUSTED_PROXIES = env.list("SLIPWAY_TRUSTED_PROXIES", default=[])
CSRF_TRUSTED_ORIGINS = [
    URL,
    *(f"{s}://{h}:{PORT}" for s in ("http", "https") for h in ("localhost", "127.0.0.1")),
]

# --- parts --------------------------------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", default=f"sqlite:///{DATA / 'db.sqlite3'}")
REDIS_URL = addresses.bus(env.str("REDIS_URL", default=""))
ENGINE_URL = env.str("ENGINE_URL", default="local:")
DYNO_PORTS = env.str("SLIPWAY_DYNO_PORTS", default="20000-29999")
NODE_PORT = env.int("SLIPWAY_NODE_PORT", default=2378)  # where other nodes' engines call the conductor
SERVER_PORTS = env.str("SLIPWAY_SERVER_PORTS", default="19000-19999")
SERVER_ADDRESS = env.str("SLIPWAY_SERVER_ADDRESS", default="")
SERVER_IMAGES = {
    "postgresql": env.str("SLIPWAY_POSTGRES_IMAGE", default="postgres:16"),
    "valkey": env.str("SLIPWAY_VALKEY_IMAGE", default="valkey/valkey:8"),
    "memcached": env.str("SLIPWAY_MEMCACHED_IMAGE", default="memcached:1.6"),
}
MAILER_PORT = env.int("SLIPWAY_MAILER_PORT", default=0)
KEEP_LAST_BACKUP_DAYS = env.int("SLIPWAY_KEEP_LAST_BACKUP_DAYS", default=7)
MAINTENANCE_WINDOW = env.str("SLIPWAY_MAINTENANCE_WINDOW", default="Sunday 03:00")
POSTGRES_MEMORY = env.int("SLIPWAY_POSTGRES_MEMORY", default=1024**3)
POSTGRES_ADDONS_URL = env.str("SLIPWAY_POSTGRES_ADDONS_URL", default="")
REGISTRY = env.str("SLIPWAY_REGISTRY", default="")
REGISTRY_AUTH = env.str("SLIPWAY_REGISTRY_AUTH", default="")
_REGISTRY_HOST = urlsplit(f"//{REGISTRY}").hostname
REGISTRY_URL = env.str(
    "SLIPWAY_REGISTRY_URL",
    default=f"{'http' if _REGISTRY_HOST in ('localhost', '127.0.0.1', '::1') else 'https'}://{REGISTRY}",
).rstrip("/")
SHARED_IMAGES = env.list("SLIPWAY_SHARED_IMAGES", default=[])
DOCKERFILE_BUILDER = env.str("SLIPWAY_DOCKERFILE_BUILDER", default="buildkit")
CNB_BUILDER = env.str("SLIPWAY_CNB_BUILDER", default="").strip()
STACK_IMAGE = env.str("SLIPWAY_STACK_IMAGE", default="slipway/stack:24")

# --- limits -------------------------------------------------------------------------------------------------------
BUILD_SECONDS = env.int("SLIPWAY_BUILD_SECONDS", default=15 * 60)
BUILD_MEMORY = env.int("SLIPWAY_BUILD_MEMORY", default=2 * 1024**3)
BUILD_CPUS = env.float("SLIPWAY_BUILD_CPUS", default=2)
BUILD_OUTPUT_BYTES = env.int("SLIPWAY_BUILD_OUTPUT_BYTES", default=300 * 1024**2)
BUILD_SLOTS = env.int("SLIPWAY_BUILD_SLOTS", default=2)
SPARE_BUILDS = env.int("SLIPWAY_SPARE_BUILDS", default=4)
SPARE_DYNOS = env.int("SLIPWAY_SPARE_DYNOS", default=4)
CI_SECONDS = env.int("SLIPWAY_CI_SECONDS", default=3600)
CI_RUNS = env.int("SLIPWAY_CI_RUNS", default=4)
PUSH_BYTES = env.int("SLIPWAY_PUSH_BYTES", default=1024**3)
LAYER_BYTES = env.int("SLIPWAY_LAYER_BYTES", default=2 * 1024**3)
SOURCE_BYTES = env.int("SLIPWAY_SOURCE_BYTES", default=1024**3)
SLUG_BYTES = env.int("SLIPWAY_SLUG_BYTES", default=500 * 1024**2)
HOOK_BYTES = env.int("SLIPWAY_HOOK_BYTES", default=5 * 1024**2)
BODY_BYTES = env.int("SLIPWAY_BODY_BYTES", default=1024**2)
CONFIG_BYTES = env.int("SLIPWAY_CONFIG_BYTES", default=32 * 1024)
BOOT_SECONDS = env.int("SLIPWAY_BOOT_SECONDS", default=60)
STOP_SECONDS = env.int("SLIPWAY_STOP_SECONDS", default=30)
RELEASE_PHASE_SECONDS = env.int("SLIPWAY_RELEASE_PHASE_SECONDS", default=3600)
LOG_LINES_PER_SECOND = env.int("SLIPWAY_LOG_LINES_PER_SECOND", default=200_000)
LOG_BYTES = env.int("SLIPWAY_LOG_BYTES", default=64 * 1024**2)
DRAIN_SECONDS = env.float("SLIPWAY_DRAIN_SECONDS", default=30)
KEEP_SLUGS = env.int("SLIPWAY_KEEP_SLUGS", default=25)
KEEP_DAYS = env.int("SLIPWAY_KEEP_DAYS", default=90)
LEASE_SECONDS = env.float("SLIPWAY_LEASE_SECONDS", default=30)
HEARTBEAT_SECONDS = env.float("SLIPWAY_HEARTBEAT_SECONDS", default=10)
SWEEP_SECONDS = env.float("SLIPWAY_SWEEP_SECONDS", default=5)
MAX_APPS = env.int(
    "SLIPWAY_MAX_APPS", default=0
)  # of a person's own; a team's limits are set in the admin site
MAX_DYNOS = env.int("SLIPWAY_MAX_DYNOS", default=0)
MAX_BUILDS = env.int("SLIPWAY_MAX_BUILDS", default=0)
CONTACT = env.str("SLIPWAY_CONTACT", default="")
API_CALLS_PER_HOUR = env.int("SLIPWAY_API_CALLS_PER_HOUR", default=4500)

# --- what things cost: nothing is charged, it is shown who uses how much ------------------------------------------
SHOW_PRICES = env.bool("SLIPWAY_SHOW_PRICES", default=True)
CURRENCY = env.str("SLIPWAY_CURRENCY", default="") or "$"

# --- backups ------------------------------------------------------------------------------------------------------
BACKUP_HOURS = env.float("SLIPWAY_BACKUP_HOURS", default=0)
BACKUP_KEEP = env.int("SLIPWAY_BACKUP_KEEP", default=7)
BACKUP_STORAGE = env.bool("SLIPWAY_BACKUP_STORAGE", default=True)
BACKUP_DIR = env.str("SLIPWAY_BACKUP_DIR", default=str(DATA / "backups"))

# --- watching over it ---------------------------------------------------------------------------------------------
METRICS_TOKEN = env.str("SLIPWAY_METRICS_TOKEN", default="")
MONITOR = env.str("SLIPWAY_MONITOR", default="")

# --- webhooks and log drains --------------------------------------------------------------------------------------
WEBHOOK_SECONDS = env.float("SLIPWAY_WEBHOOK_SECONDS", default=10)
WEBHOOK_RETRY_SECONDS = env.float("SLIPWAY_WEBHOOK_RETRY_SECONDS", default=15)
KEEP_WEBHOOK_DAYS = env.int("SLIPWAY_KEEP_WEBHOOK_DAYS", default=30)
SUMMARY_HOUR = env.int("SLIPWAY_SUMMARY_HOUR", default=7)
DRAIN_LINES = env.int("SLIPWAY_DRAIN_LINES", default=100_000)

# --- repositories elsewhere that send no hooks: how often they are looked at -----------------------------------------
POLL_SECONDS = env.float("SLIPWAY_POLL_SECONDS", default=60)

# --- requests that users cause (buildpacks by URL): internal addresses are refused but for these hosts and networks --
OUTBOUND_ALLOW = env.list("SLIPWAY_OUTBOUND_ALLOW", default=[])

# --- people: how they sign in, and mail to them -------------------------------------------------------------------
REQUIRE_TWO_FACTOR = env.str(
    "SLIPWAY_REQUIRE_TWO_FACTOR", default=""
)  # of "operators", of "everyone", of nobody
GITHUB_CLIENT_ID = env.str("SLIPWAY_GITHUB_CLIENT_ID", default="")
GITHUB_CLIENT_SECRET = env.str("SLIPWAY_GITHUB_CLIENT_SECRET", default="")
GITHUB_URL = env.str("SLIPWAY_GITHUB_URL", default="https://github.com").rstrip("/")
GOOGLE_CLIENT_ID = env.str("SLIPWAY_GOOGLE_CLIENT_ID", default="")
GOOGLE_CLIENT_SECRET = env.str("SLIPWAY_GOOGLE_CLIENT_SECRET", default="")
_MAIL = addresses.mail(env.str("EMAIL_URL", default="dummymail://"))
vars().update(_MAIL)
MAIL = not EMAIL_BACKEND.endswith("dummy.EmailBackend")  # type: ignore[name-defined]  # noqa: F821
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("SLIPWAY_MAIL_FROM", default=f"slipway@{HOST}")

# --- for developers and tests -------------------------------------------------------------------------------------
DEBUG = env.bool("SLIPWAY_DEBUG", default=False)
FAILPOINTS_ALLOWED = env.bool("SLIPWAY_FAILPOINTS", default=False)

# --- Django -------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    # As an app it is its runserver alone, and half a second of every other command; config/server.py serves with it.
    *(["daphne"] if "runserver" in sys.argv else []),
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "config.admin_site.apps.OperatorsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "channels",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    *(["allauth.socialaccount.providers.github"] if GITHUB_CLIENT_ID else []),
    *(["allauth.socialaccount.providers.google"] if GOOGLE_CLIENT_ID else []),
    "core",
    "accounts",
    "apps",
    "releases",
    "addons",
    "pipelines",
    "scheduler",
    "metering",
    "forge",
    "ci",
    "reviews",
    "flow",
    "notices",
    "blueprints",
    "hooks",
    "conductor",
    "dashboard",
    "config",
]

MIDDLEWARE = [
    "config.monitoring.Monitoring",
    "core.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "core.assets.LeanAssets",
    "csp.middleware.CSPMiddleware",
    "core.middleware.ApiMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "core.middleware.TextMiddleware",
    "core.middleware.PrivateMiddleware",
    "accounts.middleware.SeenMiddleware",
    "accounts.middleware.TwoFactorMiddleware",
    "core.middleware.RefusalMiddleware",
]

ROOT_URLCONF = "config.urls"
API_URLCONF = "config.api_urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]

DATABASES = {"default": addresses.database(DATABASE_URL)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Without IMMEDIATE a transaction that reads first and writes later fails with "database is locked" under load;
    # FULL keeps acknowledged commits through a power cut (promise I-21).
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    # Under ASGI every request has a thread of its own: connections that live with threads would pile up.
    DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 1, "max_size": 24, "timeout": 10}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {
        "BACKEND": "channels.layers.InMemoryChannelLayer",
        "CONFIG": {"capacity": 1000, "group_expiry": 10**9},  # a page may stay open for days
    }
}

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "pipelines"
LOGOUT_REDIRECT_URL = "sign-in"

# What counts tries and spent codes. Without Redis there is one web process, and its memory is enough; the entries must
# not push each other out.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_CHANGE_EMAIL = True  # one address each: the new one replaces the old once it is confirmed
ACCOUNT_EMAIL_VERIFICATION = (
    "none"  # accounts are made by operators and invitations, not by whoever types an address
)
ACCOUNT_EMAIL_NOTIFICATIONS = MAIL
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 10 * 60
# How a session may have shown who its person is; a link is one that an operator made for them.
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa", "link"]
ACCOUNT_SESSION_REMEMBER = True
MFA_ADAPTER = "accounts.adapters.TwoFactorAdapter"
MFA_FORMS = {
    "activate_totp": "accounts.two_factor.ActivateAppForm",
    "add_webauthn": "accounts.passkeys.AddForm",
    "edit_webauthn": "accounts.passkeys.RenameForm",
    "authenticate_webauthn": "accounts.passkeys.SecondFactorForm",
    "login_webauthn": "accounts.passkeys.SignInForm",
    "reauthenticate_webauthn": "accounts.passkeys.ConfirmForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Slipway"
MFA_TOTP_TOLERANCE = 1
SOCIALACCOUNT_ADAPTER = "accounts.adapters.SocialAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_QUERY_EMAIL = True
SOCIALACCOUNT_PROVIDERS = {
    "github": {
        "APP": {"client_id": GITHUB_CLIENT_ID, "secret": GITHUB_CLIENT_SECRET},
        **({} if GITHUB_URL == "https://github.com" else {"GITHUB_URL": GITHUB_URL}),
    },
    "google": {
        "APP": {"client_id": GOOGLE_CLIENT_ID, "secret": GOOGLE_CLIENT_SECRET},
        "OAUTH_PKCE_ENABLED": True,
    },
}
# A form that leads there is sent to ourselves first, but browsers ask whether the redirect is allowed as well.
_SIGN_IN_ELSEWHERE = [
    *([GITHUB_URL] if GITHUB_CLIENT_ID else []),
    *(["https://accounts.google.com"] if GOOGLE_CLIENT_ID else []),
]

# --- browser ------------------------------------------------------------------------------------------------------
_SECURE = URL.startswith("https://")
# Cookies know no ports: instances side by side on localhost keep sessions apart by name.
_COOKIE = "slipway" if _SECURE else "slipway-" + hashlib.sha256(URL.encode()).hexdigest()[:8]
SESSION_COOKIE_NAME = f"__Host-{_COOKIE}" if _SECURE else _COOKIE
CSRF_COOKIE_NAME = f"__Host-{_COOKIE}-csrf" if _SECURE else f"{_COOKIE}-csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_PROXY_SSL_HEADER = (
    "HTTP_X_FORWARDED_PROTO",
    "https",
)  # the router sets it, and only the router reaches us
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF, *_SIGN_IN_ELSEWHERE],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024**2

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 60

MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "core.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if env.str("SLIPWAY_LOG_FORMAT", default="line") == "json" else "line",
        }
    },
    "root": {"handlers": ["console"], "level": env.str("SLIPWAY_LOG_LEVEL", default="WARNING")},
}
