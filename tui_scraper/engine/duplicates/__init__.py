"""Documents that are copies of each other, exactly or nearly: groups with one that stands for the others.

`signature` and `grouping` know texts and numbers only; `reading` takes them from the store, `spool` holds
what workers have made of them in a pass, `kept` keeps what was worked out beside the store.
"""
