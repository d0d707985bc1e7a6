"""The errors that a user can see, as a tree.

    GristmillError        one line, no traceback
    ├── UserError         the user's mistake: recipe, path, rights, another run's folder     exit code 2
    ├── LimitError        a limit of the process or the machine: open files, memory          exit code 1
    └── RunError          the run cannot continue: damaged input, full disk, dead worker     exit code 1
        └── Interrupted   Ctrl-C; finished units stay and a rerun resumes                    exit code 130

A bad *document* is none of these: it gets a drop reason and the run continues. A broken *invariant* is an `assert`.
A message is one line: the place (file, offset, stage), what was expected and found, and the remedy.
"""


class GristmillError(Exception):
    exit_code = 1


class UserError(GristmillError):
    exit_code = 2


class LimitError(GristmillError):
    exit_code = 1


class RunError(GristmillError):
    exit_code = 1


class Interrupted(RunError):
    exit_code = 130
