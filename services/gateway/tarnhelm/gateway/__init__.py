"""The gateway: takes objects in, drives them through the stages and the witness, and releases what is verified."""
