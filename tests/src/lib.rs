//! What the tests stand on: a gateway of one's own, real upstreams, faults, and clients.

#![allow(clippy::disallowed_methods, reason = "tests wait for other processes, in real time")]

pub mod admin;
pub mod azure;
pub mod client;
pub mod commands;
pub mod gateway;
pub mod memory;
pub mod process;
pub mod proxy;
pub mod signing;
pub mod stage;
pub mod tls;
pub mod tools;
pub mod upstream;
pub mod wait;
pub mod wrapped;

pub use sallyport_kit::chaos;
