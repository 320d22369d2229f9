.PHONY: demo test check

# Makes the environment, compiles a small real classifier for this machine, shows the report's path.
demo:
	@scripts/setup
	@scripts/demo

# Makes the environment, then runs every check and test.
test:
	@scripts/setup
	@scripts/test

check:
	@scripts/setup
	@scripts/check
