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

mod access;
mod allowances;
mod care;
#[path = "../compat/clients.rs"]
mod clients;
mod command_line;
mod consistency;
mod copies;
mod credentials;
mod defects;
mod drop_in;
mod encryption;
mod entrypoint;
mod expectations;
mod faults;
mod forms;
mod health;
mod hostile;
mod hosts;
mod imports;
mod instances;
mod inventories;
mod key_service;
mod kit;
mod lifecycles;
mod listener;
mod logs;
mod mistakes;
mod neighbours;
mod notifications;
mod object_lock;
mod plugin_command;
mod printed;
mod regions;
mod renewal;
mod sealed;
mod starts;
mod support;
mod surface;
mod tenants;
mod third_party;
mod tidy;
mod variables;
mod walkthrough;
mod watches;
mod ways_out;
mod websites;
mod wire;
