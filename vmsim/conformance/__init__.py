"""Does an implementation do what the specification says, and who can check the answer?

The features are run on a target, every request and observation is kept as evidence, and every
verdict is computed from the evidence alone. So another person can compute it again (`verify`).
"""
