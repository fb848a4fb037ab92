"""Plan, gate, apply and prove the rollback of an AI decision model."""

VERSION = "0.1.0"
