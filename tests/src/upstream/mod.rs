//! The real servers that stand in for the clouds, each in a folder of its own on a free port.

mod azurite;
mod ceph;
mod dav;
mod moto;
mod nats;
mod rclone;

pub use azurite::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite};
pub use ceph::{CEPH_ACCESS_KEY, CEPH_SECRET_KEY, Ceph};
pub use dav::Dav;
pub use moto::Moto;
pub use nats::{NATS_PASSWORD, NATS_USER, Nats};
pub use rclone::Rclone;
