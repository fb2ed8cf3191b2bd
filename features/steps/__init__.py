"""The sentences of the scenarios: Given builds, When acts once, Then only looks."""
