//! Whether every name has a place of its own.

use super::cases;
use crate::case::{Outcome, Stop, ensure};
use crate::content::pattern;
use crate::trial::Trial;
use bytes::Bytes;
use sallyport_core::backend::{Name, Place};
use sallyport_core::names::BucketName;

cases! {
    "names.unicode" Nothing
    "Keys of any script are stored, also those that differ only in how a letter is composed." unicode;
    "names.longest" Nothing
    "A key has up to 1,024 bytes, in one segment or in hundreds." longest;
    "names.odd" Nothing
    "A key holds whatever URLs, file systems and XML make something else of." odd;
    "names.dots" Nothing
    "Dot segments and slashes are part of a key and lead nowhere." dots;
    "names.case" Nothing
    "Keys that differ in case are different keys." case;
    "names.nested" Nothing
    "A key may be the beginning of another one, at a slash as anywhere else." nested;
    "names.buckets" Nothing
    "The same key in two buckets is two objects, unless their namespaces say otherwise." buckets;
    "names.derived" Nothing
    "Derived places are apart from each other and from every place that a key can reach." derived;
}

async fn unicode(trial: &Trial) -> Outcome {
    let keys = [
        "Grüße/Überraschung.txt",
        "日本語/ファイル",
        "שלום/مرحبا",
        "emoji/👩‍👩‍👧‍👦/🎉",
        "composed/\u{e9}",
        "composed/e\u{301}",
        "zero-width/a\u{200b}b",
        "zero-width/ab",
        "high/\u{10ffff}",
        "bom/\u{feff}x",
        "private/\u{e000}",
        "not-a-character/\u{fffe}",
    ];
    distinct(trial, &keys.map(str::to_owned)).await
}

async fn longest(trial: &Trial) -> Outcome {
    let keys = [
        "k".repeat(1024),
        "l".repeat(1023),
        "ü".repeat(512),
        "🎉".repeat(256),
        format!("{}x", "s/".repeat(511)),
        format!("{}/{}", "a".repeat(511), "b".repeat(512)),
        "%".repeat(1024),
        " ".repeat(1024),
        // These differ in their last byte alone, where a cut or a hash of a part would not.
        format!("{}1", "p".repeat(1023)),
        format!("{}2", "p".repeat(1023)),
    ];
    distinct(trial, &keys).await
}

async fn odd(trial: &Trial) -> Outcome {
    let keys = [
        "a b",
        "a+b",
        "a%20b",
        "a%2Fb",
        "a/b?c=d&e",
        "a#b",
        "a\\b",
        "a:b*c|d\"e<f>g",
        "'quotes'",
        "semi;colon,comma",
        "=equals=",
        "~tilde",
        "-dash",
        "--help",
        "$HOME/`id`",
        "tab\there",
        "line\nbreak",
        "return\rhere",
        "bell\u{7}",
        "delete\u{7f}",
        "next\u{85}line",
        "percent%",
        "%zz",
        "&amp;",
        "]]>",
        "CON",
        "aux.txt",
        "{braces}[brackets]^caret",
        "@at!bang",
        "trailing space ",
        " leading space",
    ];
    distinct(trial, &keys.map(str::to_owned)).await
}

async fn dots(trial: &Trial) -> Outcome {
    let keys = [
        ".",
        "..",
        "...",
        "./x",
        "../x",
        "a/./b",
        "a/../b",
        "a/b",
        "b",
        "x",
        "../../etc/passwd",
        "a/..",
        "a/.",
        "a.",
        "a..",
        ".hidden",
        "/",
        "//",
        "/x",
        "//x",
        "x/",
        "x//",
        "a//b",
        "a/",
        "..%2fx",
        "%2e%2e/x",
        "..\\x",
    ];
    distinct(trial, &keys.map(str::to_owned)).await
}

async fn case(trial: &Trial) -> Outcome {
    let keys = ["Key", "key", "KEY", "straße", "STRASSE", "ſ", "s", "İ", "i"];
    distinct(trial, &keys.map(str::to_owned)).await
}

async fn nested(trial: &Trial) -> Outcome {
    let keys = ["n", "n/", "n/o", "n/o/", "n/o/p", "n/op", "no", "n.o", "n-o"];
    distinct(trial, &keys.map(str::to_owned)).await
}

async fn buckets(trial: &Trial) -> Outcome {
    let mut names = Vec::new();
    let mut namespaces: Vec<String> = Vec::new();
    for suffix in ["", "-2", ".a", "2"] {
        let bucket = BucketName::parse(&format!("{}{suffix}", trial.bucket()));
        let bucket = bucket.map_err(|error| Stop::Failed(format!("the kit's own mistake: {error}")))?;
        let namespace = crate::trial::said("namespace", trial.backend().namespace(&bucket).await)?;
        let meets =
            namespaces.iter().any(|other| namespace.starts_with(other.as_str()) || other.starts_with(&namespace));
        if !meets {
            namespaces.push(namespace);
            names.push(Name { bucket, ..trial.plain("same/key")? });
        }
    }
    apart(trial, &names).await
}

async fn derived(trial: &Trial) -> Outcome {
    let mut names = vec![trial.derived("key")?, trial.derived("key")?, trial.derived("other")?, trial.plain("key")?];
    let tokens: Vec<String> = names
        .iter()
        .filter_map(|name| match &name.place {
            Place::Derived(token) => Some(token.clone()),
            Place::Plain => None,
        })
        .collect();
    let bucket = trial.bucket().clone();
    for token in tokens {
        for key in
            [token.clone(), format!(".sallyport/{bucket}/{token}"), format!("{bucket}/{token}"), format!("d{token}")]
        {
            names.push(trial.plain(&key)?);
        }
    }
    names.push(Name { place: Place::Derived("0-a".to_owned()), ..trial.plain("key")? });
    names.push(Name { place: Place::Derived("z".repeat(64)), ..trial.plain("key")? });
    apart(trial, &names).await
}

async fn distinct(trial: &Trial, keys: &[String]) -> Outcome {
    let names: Result<Vec<Name>, Stop> = keys.iter().map(|key| trial.plain(key)).collect();
    apart(trial, &names?).await
}

/// Stores other bytes at each name, then reads all of them: none may have been replaced.
async fn apart(trial: &Trial, names: &[Name]) -> Outcome {
    let mut stored: Vec<(&Name, sallyport_core::backend::Stored, sallyport_core::names::WriteId, Bytes)> = Vec::new();
    for (seed, name) in (100_u64..).zip(names) {
        let bytes = pattern(seed, trial.fitting(64));
        let put = trial.write(name, bytes.len() as u64);
        let write_id = put.write_id.clone();
        let answer = trial.send(put, crate::content::in_frames(&bytes, 64)).await;
        let answer = answer.map_err(|error| Stop::Failed(format!("put of {} failed: {error}", shown(name))))?;
        stored.push((name, answer, write_id, bytes));
    }
    for (name, answer, write_id, bytes) in &stored {
        let held = trial.holds(&answer.locator, bytes).await;
        held.map_err(|stop| match stop {
            Stop::Failed(why) => Stop::Failed(format!("{}: {why}", shown(name))),
            Stop::Skipped(why) => Stop::Skipped(why),
        })?;
        let found = trial.find(name, write_id).await?;
        ensure(found.is_some(), || format!("find does not see the write to {}", shown(name)))?;
    }
    Ok(())
}

fn shown(name: &Name) -> String {
    let key: String = name.key.as_str().chars().take(40).collect();
    match &name.place {
        Place::Plain => format!("the key {key:?}"),
        Place::Derived(token) => format!("the derived place {token} of {key:?}"),
    }
}
