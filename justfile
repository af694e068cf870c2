# What CI runs.
ci:
    .ci/run

# Formats everything.
format:
    cargo fmt --all

# Runs the simulator: `just vopr 1 2000`.
vopr seed runs:
    cargo run --release -p pbft-actors --features sim --bin vopr -- --seed {{seed}} --runs {{runs}}

# Benchmarks.
bench:
    cargo bench -p benches

# What is too long for the gate: until it is stopped, or for so many rounds; goes on where it was.
soak *arguments:
    .ci/soak {{arguments}}
