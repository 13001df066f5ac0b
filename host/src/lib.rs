//! The server around the parts: configuration, listeners, the admin port, the commands.

pub mod accounts;
pub mod admin;
pub mod app;
pub mod arguments;
pub mod commands;
pub mod config;
pub mod keys;
pub mod locations;
pub mod reload;
pub mod serving;
pub mod telemetry;
