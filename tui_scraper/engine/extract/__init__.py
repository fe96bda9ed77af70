"""Text out of files: detection, reading, and a module for each family of formats.

Everything here but `registry` and `builtin` runs in sandboxed worker processes only, on untrusted bytes.
The libraries that parse are imported by the first document that needs them, or by `registry.preload` in
the process workers are forked from.
"""
