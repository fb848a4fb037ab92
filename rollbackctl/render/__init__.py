"""A plan or a report as text for people and machines; pure."""
