"""Does the hypervisor's own API keep what the specification builds on?

The VM role stands on a vSphere cluster: on maintenance mode that empties a host, on capacity that
is enforced, on moves that are checked. Here that is judged alone, through pyvmomi, with our roles
switched off. `python -m features.vsphere` judges what GOVC_URL names, or a vcsim.
"""
