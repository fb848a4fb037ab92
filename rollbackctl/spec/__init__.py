"""The rollback plan that an operator writes: loading, checking and deciding what it means."""
