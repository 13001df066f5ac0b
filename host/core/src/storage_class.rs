//! [Storage classes](https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html)
//! that S3 itself knows: here they are names and no more.

/// What an object has unless something else is said.
pub const STANDARD: &str = "STANDARD";

/// Classes that an object may be written with or moved to.
const KNOWN: &[&str] = &[
    STANDARD,
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
];

/// Whether S3 knows a class of this name.
pub fn is_known(class: &str) -> bool {
    KNOWN.contains(&class)
}

/// Whether rules may move objects to this class of S3's.
pub fn is_target(class: &str) -> bool {
    is_known(class) && !matches!(class, STANDARD | "REDUCED_REDUNDANCY")
}
