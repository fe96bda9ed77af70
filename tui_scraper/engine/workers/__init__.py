r"""Processes in which untrusted bytes are parsed.

    engine  --control socket-->  zygote (warm, forks workers, reaps and kills them)
       \---- one socket each ---->  worker (reads, parses, chunks, labels)

`pool` is the engine's side, `zygote` and `worker` the other; `frames` is what both speak.
"""
