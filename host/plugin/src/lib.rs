//! `Backend` on WebAssembly components: the only user of wasmtime.

mod admission;
mod backend;
mod bindings;
mod body;
mod cache;
mod call;
mod compile;
mod confine;
mod convert;
mod description;
mod details;
mod egress;
mod engine;
mod error;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod grants;
mod handover;
mod host;
mod inspection;
mod instance;
mod lane;
mod limits;
mod log;
mod memory;
mod outgoing;
mod plugin;
mod pool;
mod priority;
mod regular;
mod run;
mod scan;
mod secret;
mod shares;
mod shelf;
mod sign;
mod state;
mod stillness;
mod tally;
mod trust;
mod usage;
mod wakes;
mod whose;

pub use compile::{Compiler, compile_alone};
pub use description::{Description, Field, Profile, StorageLimits};
pub use egress::{Diversion, ProxySettings, Resolver};
pub use error::{OpenError, PluginError, Problem, Section};
pub use grants::LocationGrants;
pub use host::{HostOptions, LocationSpec, OpenedLocation, PluginHost, PluginVersion};
pub use inspection::Inspection;
pub use limits::Limits;
pub use sign::{AwsIdentity, AwsSigner};
pub use trust::{Trust, Vouched};
pub use usage::Usage;
