"""Webhooks that verify.mjs received, verified by the official library for Python."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

told = json.load(open(sys.argv[1], encoding="utf-8"))
(first, second), (old, new) = told["received"], told["secrets"]
passed = failed = 0


def check(name, secret, webhook, holds, **changed):
    global passed, failed
    body = changed.pop("body", webhook["body"])
    headers = webhook["headers"] | {f"webhook-{name}": value for name, value in changed.items()}
    try:
        verified = Webhook(secret).verify(body, headers)["type"] == "posting.closed"
    except WebhookVerificationError:
        verified = False
    passed, failed = (passed + 1, failed) if verified == holds else (passed, failed + 1)
    print("ok  " if verified == holds else "FAIL", name)


check("the library verifies what came", old, first, True)
check("a changed body is refused", old, first, False, body=first["body"].replace("closed", "filled"))
check("another id is refused", old, first, False, id="other")
check("another secret is refused", new, first, False)
check("after a rotation the old secret verifies", old, second, True)
check("and so does the new one", new, second, True)
print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
