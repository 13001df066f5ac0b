//! Runs the checked-in corpus of a target as an ordinary test.

use std::fs;
use std::path::Path;

/// Gives each file of a target's corpus to it; a property that does not hold names the file.
#[expect(clippy::disallowed_methods, reason = "no executor waits for a test")]
pub(crate) fn corpus(target: &str, run: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("a file").path();
        let input = fs::read(&path).expect("readable");
        let outcome = std::panic::catch_unwind(|| run(&input));
        assert!(outcome.is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "nothing in {}", folder.display());
}
