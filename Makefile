.PHONY: demo test check

# Makes the environment, compiles a small real classifier for this machine, ends in the report's path and what was won.
demo:
	@scripts/setup
	@scripts/demo

# Makes the environment, then runs every check and test.
test:
	@scripts/setup
	@scripts/test

# Makes the environment, then lint, types and architecture alone.
check:
	@scripts/setup
	@scripts/check
