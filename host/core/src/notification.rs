//! [Event notifications](https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html):
//! whom a bucket tells of which changes, what they are told, and the port that delivers it.

mod announcement;
mod arn;
mod configuration;
mod delivery;
mod event;
mod message;

pub use announcement::{Announcement, Cause, Event, EventObject, EventQueue, Listener};
pub use arn::{DestinationKind, DestinationName, InvalidArn};
pub use configuration::{InvalidNotification, KeyFilter, NotificationConfiguration, NotificationRule};
pub use delivery::{DeliveryFailure, Destinations, Message, NoDestinations};
pub use event::{EventKind, EventPattern};
pub use message::test_message;
