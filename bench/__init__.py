"""Benchmarks: the same churn of VMs in vmsim, in plain SimPy and in CloudSim Plus."""
