"""What everything else stands on: errors, strict reading, durable writing, locks, digests, a cache."""
