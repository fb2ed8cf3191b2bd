"""A Supervisor that is judged through its Kubernetes API alone."""
