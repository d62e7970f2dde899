"""What this machine and this installation can do, and what `rapidseg.load` makes of them.

Nothing here imports PyTorch but `gpus.py`, where it is installed.
"""

from rapidseg.diagnosis.diagnose import Diagnosis, diagnose
from rapidseg.system.machine import Machine, find_machine

__all__ = ["Diagnosis", "Machine", "diagnose", "find_machine"]
