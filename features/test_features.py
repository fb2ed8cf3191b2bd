"""Every scenario of this folder, one test each."""

from pytest_bdd import scenarios

scenarios(".")
