"""The imperative shell: reads the workspace, carries plans out, keeps their record; decides nothing."""
