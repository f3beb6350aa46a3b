# Everything that must hold before a change goes in: the same that CI runs.
check:
    .ci/run

# Every test, browser included.
test:
    tests/all

# The quick half: what can be known without running anything.
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
