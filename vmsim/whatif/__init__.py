"""How often, how long, how many: questions to a scenario, answered by running it many times.

A study is a question (`studies`); a `design` is the content-addressed list of what has to be run
for it; `sweep` runs what is missing, on any engine; `answers` turns the rows into a figure with
its interval. Everything measured comes from records (`ledger`, `metrics`).
"""
