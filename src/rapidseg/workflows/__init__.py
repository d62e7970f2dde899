"""One module per job, each with a public function that both the command line and `import rapidseg` call.

The functions take keyword arguments, return a frozen report with `to_dict()`, print nothing, and report progress
through `rapidseg.core.progress`.
"""
