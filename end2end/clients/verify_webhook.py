"""Verifies one delivery with the official Standard Webhooks library; ends with 1 where it does not hold."""

import json
import sys

from standardwebhooks.webhooks import Webhook

given = json.load(sys.stdin)
Webhook(given["secret"]).verify(given["body"], given["headers"])
