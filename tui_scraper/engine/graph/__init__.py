"""Who refers to whom: the graph of the documents at the head.

`references` says what a text and its links refer to, `names` whose names these are, `titles` which titles a
text cites, `build` puts them together; `reading` takes the documents from the store, `kept` keeps the result
in a file that lasts for as long as nothing has changed, `cycles` and `files` work on it.
"""
