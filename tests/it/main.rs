//! The one test binary: whatever needs two crates, a built plugin or another server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and may say why it was skipped"
)]

mod care;
mod command_line;
mod consistency;
mod credentials;
mod defects;
mod entrypoint;
mod expectations;
mod faults;
mod health;
mod hosts;
mod listener;
mod mistakes;
mod neighbours;
mod printed;
mod regions;
mod renewal;
mod starts;
mod support;
mod surface;
mod third_party;
mod tidy;
mod variables;
mod walkthrough;
mod ways_out;
