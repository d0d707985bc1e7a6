"""`gristmill serve`: a run in the browser of this machine: its report, its ledger, `explain` and `whatif`.

server.py   sockets: loopback only, GET only, a token in the address, headers that forbid everything else
site.py     an address and its parameters ──▶ a page
browse.py   filter and sort millions of ledger rows, lazily, and page over them
"""
