"""What this machine is: processors, GPUs, memory and cache folders."""
