"""The files of a demo workspace that people write: configuration, checklist, incident journal, rollback plan."""

AUTO_TRADER = """\
# Auto trader, paper deployment. Comments are reviewed by the change board: keep them.
defaults: &defaults
  decision_interval_seconds: 60   # main loop
  risk_profile: balanced

auto_trader:
  <<: *defaults
  enabled: true
  maintenance: false              # set to true while a model is being rolled back
  model:
    repository: models/decision_engine
    name: decision-core
"""

CHECKLIST = """\
# AI pipeline risk and compliance sign-off

## Pre-deployment
- [x] Walk-forward report attached for the activated version
- [x] `DecisionModelInference.is_ready` confirmed

## Post-incident review
Incident: {incident} (data drift, decision-core {version})
- [x] Risk approved the rollback decision - {risk}, {day}
- [ ] Compliance acknowledged the rollback
- [ ] Incident entry added to `audit/ai_decision/incident_journal.md`
- [ ] Drift and data-quality reports signed by Risk and Compliance
- [ ] Rollback executed and verified
- [ ] Root cause identified
"""

INCIDENT_JOURNAL = """\
# AI incident journal
"""

PLAN = """\
# What is not written here has its default; see them all: rollbackctl schema rollback-plan
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata:
  name: inc-demo-1-drift
  incident: {incident}
  reason: data_drift_alert
spec:
  model:
    target: {{select: last-stable}}
  checks:
    smoke: {{mode: paper}}
"""

MEASURED_PLAN = """\
# The same incident; here every version is held against the rows of the new market before it may be the target.
apiVersion: rollbackctl/v1alpha1
kind: RollbackPlan
metadata:
  name: inc-demo-1-measured
  incident: {incident}
  reason: data_drift_alert
spec:
  model:
    target: {{select: last-stable}}
  gates:
    data_drift:
      window: {{path: {window}, time_column: time}}
      segments: [symbol]
      min_rows: 50                    # the market has been another one for hours only
    replay:
      window: {{path: {window}}}
      min_rows: 50
  checks:
    smoke: {{mode: paper}}
    data_drift: {{}}
"""

PAPER = {
    "candidates": [
        {
            "strategy": "trend_follow",
            "action": "enter",
            "risk_profile": "balanced",
            "symbol": symbol,
            "notional": 3000.0,
            "expected_return_bps": 18.0,
            "expected_probability": 0.8,
            "latency_ms": 120.0,
            "metadata": {
                "model_features": {
                    "momentum": momentum,
                    "volume_ratio": 1.2,
                    "atr_pct": 0.8,
                    "spread_bps": 2.4,
                    "rsi_norm": 0.3,
                }
            },
        }
        for symbol, momentum in (("BTCUSDT", 1.1), ("ETHUSDT", 0.9), ("SOLUSDT", -1.2))
    ],
    "risk_snapshot": {
        "balanced": {
            "start_of_day_equity": 120000.0,
            "daily_realized_pnl": -350.0,
            "peak_equity": 125000.0,
            "last_equity": 121500.0,
            "positions": {"BTCUSDT": {"side": "long", "notional": 12000.0}},
        }
    },
    "tco_report": {
        "strategies": {"trend_follow": {"profiles": {"balanced": {"cost_bps": 4.2}}, "total": {"cost_bps": 4.6}}},
        "total": {"cost_bps": 5.8},
    },
}
