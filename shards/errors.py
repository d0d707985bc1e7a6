"""Every error that a user can see, as a tree.

    GristmillError        one line, no traceback
    ├── UserError         the user's mistake: recipe, path, rights, another run's folder     exit code 2
    └── RunError          the run cannot go on: damaged input, full disk, dead worker        exit code 1
        └── Interrupted   Ctrl-C; finished units stay and a rerun resumes                    exit code 130

A bad *document* is none of these: it gets a drop reason and the run goes on. A broken *invariant* is an `assert`.
A message says where (file, offset, stage), what was found, and what to do about it, on one line.
"""


class GristmillError(Exception):
    exit_code = 1


class UserError(GristmillError):
    exit_code = 2


class RunError(GristmillError):
    exit_code = 1


class Interrupted(RunError):
    exit_code = 130
