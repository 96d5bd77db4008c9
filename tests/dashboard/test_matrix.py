"""Who may open and do what: every route, for everybody. A new route needs a line in `RULES`."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from accounts import cli_sign_in, invitations, oauth
from accounts.actions import create_token
from addons import archives, databases
from apps import alerts, certificates, drains, transfers
from apps.models import Collaborator, Domain, Dyno
from blueprints.models import Proposal
from ci.actions import start_run_of_source
from flow import actions as flow
from flow import passages
from hooks.actions import add_webhook
from notices.actions import add_channel
from pipelines import actions as pipeline_actions
from pipelines import stages
from pipelines.models import Stage
from releases.models import Build, Source
from reviews import actions as review_actions
from scheduler.actions import add_job
from tests.certificates import leaf
from tests.factories import make_addon, make_app, make_release, make_shared_addon, make_slug
from tests.githosts.conftest import connected
from tests.pages import ELSEWHERE


def all_routes(prefix="", resolver=None):
    """(name, path as written, names of its arguments) of every route of the pages."""
    for pattern in (resolver or get_resolver()).url_patterns:
        path = prefix + str(pattern.pattern)
        if path.startswith(ELSEWHERE):
            continue
        if isinstance(pattern, URLResolver):
            yield from all_routes(path, pattern)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name, path, list(pattern.pattern.converters)


@pytest.fixture
def things(shop, team, alice, bob, charlie):
    """What stands in paths, by the name of the argument. Charlie has nothing to do with any of it."""
    staging = shop.couplings.get(app__name="shop-staging")
    app = staging.app
    make_release(app, by=alice, slug=make_slug(app))
    source = Source.objects.create(app=app, user=alice, commit="a" * 40)
    build = Build.objects.create(app=app, source=source, by=alice, status="running")
    promotion = pipeline_actions.promote(staging, staging.downstream(), by=alice)
    domain = Domain.objects.create(app=app, hostname="www.example.test")
    issued = leaf("www.example.test")
    certificate = certificates.add_certificate(app, issued.chain, issued.key_pem, by=alice)
    drain = drains.add_drain(app, "https://logs.invalid/x", by=alice)
    hook = add_webhook(app, include=["dyno"], level="sync", url="https://hooks.invalid/x", by=alice)
    channel = add_channel(
        shop, name="#releases", kind="slack", address="https://chat.invalid/x", events=[], by=alice
    )
    proposal = Proposal.objects.create(
        pipeline=shop,
        commit="a" * 40,
        branch="main",
        text="ci: {on_push: true}",
        status="ended",
        state="offered",
    )
    transfer = transfers.hand_over(make_app("mine", owner=alice), bob, by=alice)
    collaborator = Collaborator.objects.create(app=app, user=charlie, rights=[])
    Collaborator.objects.filter(pk=collaborator.pk).delete()
    Dyno.objects.create(
        app=app, type="run", number=1, one_off=True, command="x", release_version=1, state="up"
    )
    invitation, secret = invitations.invite(team, "new@example.com", "member", by=alice)
    question, _ = cli_sign_in.ask("laptop", address=None)
    token, _ = create_token(alice, by=alice, expires_at=timezone.now() + timedelta(days=1))
    addon = make_addon(app, "heroku-postgresql:hobby-dev")
    move = databases.capture(addon, by=alice)
    search = archives.save_search(make_addon(app, "papertrail:choklad", as_="PAPERTRAIL"), "All", by=alice)
    shared = make_shared_addon(shop, app)
    connected(shop, alice)
    client, _ = oauth.create_client("Bot", "https://bot.example.com/back", by=alice)
    line = flow.set_line(Stage.objects.get(pipeline=shop, name="production"), mode="ask", by=alice)
    gate, _ = flow.add_gate(line, "approval", {}, by=alice)
    (passage,) = passages.refresh(line)
    hold = flow.hold(shop, line=line, reason="Sale", by=alice)
    freeze = flow.freeze(shop, name="Sale", days=[0], by=alice)
    run = start_run_of_source(shop, source, branch="main", commit="a" * 40, message="x", by=alice)
    review_actions.set_settings(shop, enabled=True, by=alice)
    (review,) = review_actions.create(shop, "feature", by=alice)
    stages.set_vars(Stage.objects.get(pipeline=shop, name="review"), {"GREETING": "hi"}, by=alice)
    alert = alerts.add(app, "errors", 5, by=alice)
    job = add_job(app, "rake clean", schedule="0 * * * *", by=alice)
    return {
        "addon": addon.name, "attachment_id": addon.attachments.get().pk, "service": "heroku-postgresql",
        "proposal_id": proposal.pk, "alert_id": alert.pk,
        "channel_id": channel.pk, "pipeline_name": shop.name,
        "job_id": job.pk, "search_id": search.pk, "client_id": client.pk, "apps": {"name": app.name}, "pipelines": {"name": shop.name, "addon": shared.name}, "teams": {"name": team.name},
        "review_id": review.pk, "gate_id": gate.pk, "passage_id": passage.pk, "hold_id": hold.pk, "freeze_id": freeze.pk, "kind": "http",
        "app_name": app.name, "build_id": build.pk, "promotion_id": promotion.pk, "domain_id": domain.pk,
        "collaborator_id": collaborator.pk, "version": 2, "key": "GREETING", "dyno": "run.1", "user_id": bob.pk,
        "invitation_id": invitation.pk, "stage_name": "production", "ref": question.pk, "secret": secret,
        "token_id": token.pk, "certificate_id": certificate.pk, "tag": "apps",
        "drain_id": drain.pk, "webhook_id": hook.pk, "transfer_id": transfer.pk, "move_id": move.pk, "mail_id": move.pk, "pid": 1, "session_id": 1, "pk": 1, "place": 0,
        "number": run.number,
    }  # fmt: skip


# What each route demands. OPEN: nothing. SIGNED_IN: to be somebody. OWN: somebody, and what they do concerns themselves
# alone. The others: that right in the app, the pipeline or (ADMIN, MEMBER) the team that the address names.
OPEN, SIGNED_IN = "open", "signed in"
VIEW, DEPLOY, OPERATE, MANAGE = "view", "deploy", "operate", "manage"
RULES = {
    OPEN: """sign-in account_login mfa_authenticate mfa_login_webauthn account_reset_password account_reset_password_done
        account_reset_password_from_key account_reset_password_from_key_done socialaccount_login_error
        socialaccount_login_cancelled sign-out setup github_login github_callback account_confirm_email invitation
        invitation-account api-docs api-docs-tag openapi""",
    SIGNED_IN: """account_reauthenticate mfa_reauthenticate mfa_reauthenticate_webauthn email account_email password
        account_change_password two-factor mfa_index mfa_list_webauthn mfa_activate_totp mfa_deactivate_totp
        mfa_view_recovery_codes mfa_generate_recovery_codes mfa_add_webauthn mfa_edit_webauthn mfa_remove_webauthn
        sessions usersessions_list sessions-others-removal session-removal socialaccount_connections cli-sign-in
        cli-sign-in-approval cli-sign-in-refusal jump pipelines transfers transfer-acceptance transfer-refusal
        transfer-withdrawal pipeline-new apps app-new teams account account-name account-shortcuts account-removal tokens
        token-new token-removal oauth oauth-approval oauth-refusal programs program-removal client-new client-secret
        client-removal account-usage account-usage-csv account-notifications account-mails""",
    VIEW: """line line-passages passage freezes repository repository-receipts pipeline-config as-code proposal pipeline-notifications preference preference-removal database addon addon-home pipeline-resources pipeline-addon-balancing pipeline-activity pipeline-activity-csv pipeline-settings board promotion card card-menu app app-resources
        app-deploy build app-releases releases-compare release app-activity app-access app-settings team team-activity
        team-settings members team-usage team-usage-csv pipeline-usage pipeline-usage-csv app-usage app-usage-csv app-metrics app-alerts
        review-app review-app-card review-settings app-schedule scheduled-job tests test-run test-settings""",
    DEPLOY: """inbox inbox-removal inbox-passwords mail mail-html mail-source mail-attachment mail-removal review-app-new review-apps review-app-removal review-app-retrial review-app-approval test-run-new test-run-reruns test-run-reruns-of-failed test-run-cancellation test-config-vars test-config-value test-config-removal passage-changes passage-approval passage-refusal passage-verdict-removal passage-promotion
        passage-reopening passage-probes hold-new holds hold-lifting auto-deploy auto-deploy-removal branch-builds database-backups database-backup-cancellation database-backup-links database-schedule
        database-schedule-removal database-passwords database-session-end store-settings addon-new addon-sign-in addon-orders attachments attachment-removal attachment-promotion addon-plan addon-name
        addon-retries addon-removal coupling-new couplings coupling coupling-stage coupling-removal promotion-new promotions promotion-stop
        card-targets sources builds ref-builds url-builds image-builds build-cancellation rollback-new rollbacks app-config config-vars
        config-value config-edit config-removal config-write-only config-file config-values config-preview
        config-file-save app-dynos scheduled-job-pause
        scheduled-job-resumption scheduled-job-runs scheduled-job-removal""",
    OPERATE: """addon-window addon-restarts database-backup-removal database-restores database-copies restart-new app-formation app-autoscale alert-removal app-restarts dyno-removal app-logs app-logs-histogram app-logs-text log-archive log-searches log-search-removal
        app-maintenance app-wake outlets drains drain-removal webhooks webhook-removal""",
    MANAGE: """review-config-vars review-config-removal gate-new gates gate gate-removal freeze-removal repository-settings repository-removal repository-secret repository-secret-removal repository-hook as-code-file slipway-yml plans plan-changes following proposal-acceptance proposal-refusal channels channel channel-removal channel-tests pipeline-addon-new pipeline-addon-orders pipeline-addon-sharing pipeline-addon-sharing-removal
        pipeline-addon-retries pipeline-addon-removal pipeline-name pipeline-owner pipeline-removal stage-order stages stage stage-place stage-removal
        stage-config-vars stage-config-value stage-config-removal pipeline-config-vars pipeline-config-value
        pipeline-config-removal app-build-command app-lock app-lock-removal collaborators collaborator-rights collaborator-removal
        app-name app-stack app-buildpacks buildpack-place buildpack-removal app-health app-sleep domains domain-removal domain-certificate
        certificate-new certificate certificate-removal automatic-certificates
        automatic-certificates-removal automatic-certificates-refresh app-owner app-removal
        team-name team-removal member-role member-removal invitations invitation-renewal invitation-withdrawal""",
}
# Where who may look at a page is not yet who may send its form: what the form demands.
FORMS = {
    DEPLOY: "app-schedule scheduled-job",
    OPERATE: "app-alerts",
    MANAGE: "pipeline-addon-balancing review-settings test-settings line freezes repository team-usage pipeline-usage app-usage",
}
RULE = {name: rule for rule, names in RULES.items() for name in names.split()}
RULE_OF_FORM = RULE | {name: rule for rule, names in FORMS.items() for name in names.split()}
# Some do not fit: anyone may leave a team, an invitation is for its address alone, and what is somebody's own is
# nobody else's.
FITS_NOT = {"member-removal", "invitation", "invitation-account"}
MAY = {
    "charlie": set(),
    "vera": {VIEW},
    "bob": {VIEW, DEPLOY, OPERATE},
    "alice": {VIEW, DEPLOY, OPERATE, MANAGE},
}


def address_of(name, path, args, things):
    group = path.split("/")[0]
    of_group = things.get(group, {})
    given = {arg: of_group[arg] if arg in of_group else things[arg] for arg in args}
    if path.startswith("^"):  # allauth's own patterns
        return {
            "account_reset_password_from_key": "/sign-in/forgotten/x-y/",
            "account_confirm_email": "/account/email/no-such-key/",
        }[name]
    return reverse(name, kwargs=given) + QUERY.get(name, "")


QUERY = {"promotion-new": "?from=shop-staging"}


COOKIES = {}


def ask(method, address, user):
    """The status of an answer, and where it leads; what it did is undone."""
    client = Client()
    if user:
        if user.pk not in COOKIES:
            client.force_login(user)
            COOKIES[user.pk] = client.cookies.output(header="", sep=";")
        client.cookies.load(COOKIES[user.pk])
    with transaction.atomic():
        answer = getattr(client, method)(address, BODY if method == "post" else None)
        transaction.set_rollback(True)
    return answer.status_code, answer.get("Location", "")


BODY = {
    "from": "shop-staging",
    "source": "shop-staging",
    "stage": "staging",
    "how": "new",
    "name": "brand-new",
}


def problem(rule, who, status, where):
    """What is wrong with an answer; None when it is as the rule says."""
    to_sign_in = where.startswith("/sign-in/?")
    if rule == OPEN:
        return None if status < 500 and not to_sign_in else "must be open to everybody"
    if who == "nobody":
        return None if status == 302 and to_sign_in else "must send who is signed out to sign in"
    if rule == SIGNED_IN:
        return None if status not in (403, 500) and not to_sign_in else "must be there for anybody signed in"
    if who == "charlie":
        return None if status == 404 else "must not be there for strangers"
    if rule in MAY[who]:
        return None if status not in (403, 500) and not to_sign_in else f"must let in who may {rule}"
    return None if status == 403 else f"must refuse who may not {rule}"


def test_every_route_has_a_rule():
    """Say of a new route who may open or do it: put its name into RULES."""
    names = {name for name, _, _ in all_routes()}
    assert names - set(RULE) == set()
    assert set(RULE) - names == set()


@pytest.mark.timeout(900)
@pytest.mark.promise("I-28")
def test_every_route_is_there_for_whom_its_rule_says(things, alice, bob, vera, charlie):
    people = {"nobody": None, "charlie": charlie, "vera": vera, "bob": bob, "alice": alice}
    wrong, asked = [], 0
    for name, path, args in all_routes():
        if name in FITS_NOT:
            continue
        address = address_of(name, path, args, things)
        for method in ("get", "post"):
            answers = {who: ask(method, address, user) for who, user in people.items()}
            if {status for status, _ in list(answers.values())[1:]} == {405}:
                continue
            asked += 1
            for who, (status, where) in answers.items():
                rule = (RULE_OF_FORM if method == "post" else RULE)[name]
                found = problem(rule, who, status, where)
                if found:
                    wrong.append(f"{method.upper()} {address} ({name}), {who}: {status} {where}, {found}")
    assert not wrong, "\n".join(wrong)
    assert asked > 150


def test_who_may_change_who_is_in_a_team(things, team, alice, bob, vera, charlie):
    """Admins may remove anybody, everybody themselves."""
    ways = {charlie: (404, 404), vera: (403, 303), bob: (303, 403), alice: (303, 303)}
    for user, (bobs, veras) in ways.items():
        for member, expected in ((bob, bobs), (vera, veras)):
            address = reverse("member-removal", kwargs={"name": team.name, "user_id": member.pk})
            assert ask("post", address, user)[0] == expected, (user.email, member.email)


def test_an_invitation_is_for_its_address_alone(things, alice, bob, vera, charlie):
    address = reverse("invitation", kwargs={"secret": things["secret"]})
    assert ask("get", address, None)[0] == 200
    for user in (alice, bob, vera, charlie):
        assert ask("post", address, user)[0] == 403
