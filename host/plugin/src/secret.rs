//! Texts that nobody sees, and the placeholders that plugins see in their place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::sync::Arc;

/// A text that is neither shown nor logged.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The text itself, for where it is used.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What a plugin sees in a secret's place.
pub(crate) struct Placeholder {
    /// As long as the secret and of its shape.
    pub(crate) text: String,
    /// Which part of the placeholder stands for which part of the secret, for those that
    /// travel within a URL.
    pub(crate) in_query: Option<(String, Secret)>,
}

/// Makes a placeholder that a plugin's library accepts: base64 where the secret is base64,
/// and of a query string only the signature replaced, since the rest says what it allows.
pub(crate) fn placeholder(secret: &str) -> Placeholder {
    if let Some(signature) = signature_in(secret) {
        let stand_in = random_text(signature.len().max(16));
        let text = secret.replace(signature, &stand_in);
        return Placeholder { text, in_query: Some((stand_in, Secret::new(signature))) };
    }
    if secret.len() >= 24
        && let Ok(bytes) = STANDARD.decode(secret)
    {
        return Placeholder { text: STANDARD.encode(random_bytes(bytes.len())), in_query: None };
    }
    Placeholder { text: random_text(secret.len()), in_query: None }
}

fn signature_in(secret: &str) -> Option<&str> {
    let pairs = secret.trim_start_matches('?').split('&');
    pairs.filter_map(|pair| pair.strip_prefix("sig=")).find(|signature| !signature.is_empty())
}

fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    random_bytes(length)
        .iter()
        .map(|byte| char::from(LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'A')))
        .collect()
}

fn random_bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    while getrandom::fill(&mut bytes).is_err() {
        std::thread::yield_now();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
    }

    #[test]
    fn placeholders_keep_the_shape_and_nothing_else() {
        let key = STANDARD.encode([7_u8; 64]);
        let seen = placeholder(&key);
        assert_ne!(seen.text, key);
        assert!(STANDARD.decode(&seen.text).is_ok_and(|bytes| bytes.len() == 64));
        let seen = placeholder("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY-");
        assert_eq!(seen.text.len(), 41);
        let seen = placeholder("?sv=2024&sp=rwdl&sig=abc%2Bdefghijklmnop");
        assert!(seen.text.starts_with("?sv=2024&sp=rwdl&sig=") && !seen.text.contains("defghij"));
        assert!(seen.in_query.is_some_and(|(stand_in, real)| seen.text.contains(&stand_in) && real.reveal() == "abc%2Bdefghijklmnop"));
    }
}
