"""O5: the three tiers that the documents speak of, as policies."""

from __future__ import annotations

from datetime import timedelta

from supervision import TenantPolicy

__all__ = ["BANK", "CREDIT_UNION", "STARTUP"]

BANK = TenantPolicy(
    tier="bank",
    org_id="first-national",
    budget_class="prepaid",
    data_residency="us-east-1",
    allowed_tools={"search", "ledger", "wire"},
    denied_tools={"wire"},
    model_tier="large",
    weight=8,
    concurrency_cap=50,
    hard_cap=70,
    burst=900.0,
    response_target=4 * 3600.0,
    reviewer_pool="first-national",
    audit_retention=timedelta(days=7 * 365),
    settings={"calls_per_hour": 500, "dollars_per_run": "2.00"},
)

CREDIT_UNION = TenantPolicy(
    tier="credit-union",
    budget_class="monthly",
    model_tier="medium",
    weight=2,
    concurrency_cap=10,
    response_target=24 * 3600.0,
    reviewer_pool="shared",
    audit_retention=timedelta(days=3 * 365),
    settings={"calls_per_hour": 50, "dollars_per_run": "0.50"},
)

STARTUP = TenantPolicy(
    tier="startup",
    budget_class="card",
    model_tier="small",
    weight=1,
    concurrency_cap=3,
    reviewer_pool="shared",
    audit_retention=timedelta(days=90),
    settings={"calls_per_hour": 10, "dollars_per_run": "0.10"},
)
