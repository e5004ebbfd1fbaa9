"""What is asked of a rule from outside: its credit in any training loop, whether it is active, whether a gradient is one."""
