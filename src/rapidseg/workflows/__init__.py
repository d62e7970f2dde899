"""One function a job: the command line and `import rapidseg` both call these.

Each takes keyword arguments, returns a frozen report with `to_dict()`, prints nothing, and reports progress through
`rapidseg.core.progress`.
"""
