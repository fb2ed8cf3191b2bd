"""vmsim: the VM Operator VirtualMachine page, executable."""

__version__ = "0.1.0"
