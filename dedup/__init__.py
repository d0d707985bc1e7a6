"""Global stages: duplicates over all units of a run. They exchange files, never a process's memory."""
