//! Whether what is stored comes back, is found, and goes.

use super::cases;
use crate::case::{Outcome, Stop, ensure, failed, skipped};
use crate::content::pattern;
use crate::trial::{Trial, gone, said};
use sallyport_core::backend::{BackendError, Digest, FailureCode, Projection};
use sallyport_core::checksum::{Algorithm, Hashers};
use sallyport_core::names::{BucketName, WriteId};

cases! {
    "location.works" Nothing
    "check answers that the location works, as often as it is asked." works;
    "location.limits" Nothing
    "The limits of describe agree with each other and with the exported interfaces." limits;
    "location.namespace" Nothing
    "A namespace begins with the location's target and is the same each time." namespace;
    "put.empty" Nothing
    "An object of no bytes is stored like any other." empty;
    "put.lengths" Nothing
    "An object of any length comes back byte by byte, around 4 KiB, 64 KiB and 1 MiB." lengths;
    "put.large" Nothing
    "A body of several MiB comes back byte by byte." large;
    "put.checksums" Nothing
    "Checksums that put and find report are those of the bytes." checksums;
    "put.known-checksums" Nothing
    "A write whose checksums are known beforehand succeeds when they are right." known_checksums;
    "put.projection" Nothing
    "Headers, metadata and tags of any kind never fail a write." projection;
    "head.absent" Nothing
    "head and get of bytes that were deleted answer not-found or changed." absent;
    "delete.frees" Nothing
    "delete frees the bytes that the locator names, and answers the same when they are gone." frees;
    "delete.others" Nothing
    "delete frees no other bytes: neither a neighbour's nor what replaced those of the locator." others;
    "find.write" Nothing
    "find answers what a write left, by its name and id." find_write;
    "find.other-write" Nothing
    "find answers nothing for a write that did not take place." find_other;
    "find.behind" Nothing
    "Where overwritten bytes are kept, find looks behind newer writes." find_behind;
    "find.anything" Nothing
    "find without a write id answers nothing, or what the newest write left." find_anything;
    "versions.hide" Versions
    "hide leaves a delete marker that delete removes; the bytes under it can be read." hide;
}

async fn works(trial: &Trial) -> Outcome {
    for thorough in [true, false, true] {
        said("check", trial.backend().check(thorough).await)?;
    }
    Ok(())
}

async fn limits(trial: &Trial) -> Outcome {
    let traits = trial.traits();
    ensure(traits.max_put > 0, || "max-put is 0: nothing could be stored".to_owned())?;
    if traits.multipart {
        ensure(traits.min_part <= traits.max_part && traits.max_part > 0, || {
            format!("min-part is {} and max-part {}", traits.min_part, traits.max_part)
        })?;
        return ensure(traits.max_parts > 0, || "max-parts is 0 although multipart is exported".to_owned());
    }
    ensure((traits.min_part, traits.max_part, traits.max_parts) == (0, 0, 0), || {
        "min-part, max-part and max-parts are 0 without multipart".to_owned()
    })
}

async fn namespace(trial: &Trial) -> Outcome {
    let target = &trial.traits().target;
    let other = BucketName::parse(&format!("{}-2", trial.bucket()))
        .map_err(|error| Stop::Failed(format!("the kit's own mistake: {error}")))?;
    for bucket in [trial.bucket(), &other] {
        let first = said("namespace", trial.backend().namespace(bucket).await)?;
        let second = said("namespace", trial.backend().namespace(bucket).await)?;
        ensure(first == second, || format!("first it is `{first}`, then `{second}`"))?;
        ensure(first.starts_with(target.as_str()), || format!("`{first}` does not begin with `{target}`"))?;
    }
    Ok(())
}

async fn empty(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("empty", 0).await?;
    trial.holds(&stored.locator, &bytes).await
}

async fn lengths(trial: &Trial) -> Outcome {
    for length in [1, 2, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1] {
        let (stored, bytes) = trial.put_pattern(&format!("length/{length}"), length).await?;
        trial.holds(&stored.locator, &bytes).await.map_err(|stop| of_length(stop, length))?;
    }
    Ok(())
}

async fn large(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("large", (9 << 20) + 7).await?;
    trial.holds(&stored.locator, &bytes).await
}

async fn checksums(trial: &Trial) -> Outcome {
    let bytes = pattern(3, trial.fitting(100_000));
    let put = trial.write(&trial.plain("checksums")?, bytes.len() as u64);
    let (name, write_id) = (put.name.clone(), put.write_id.clone());
    let stored = said("put", trial.send(put, crate::content::in_frames(&bytes, 9_000)).await)?;
    verify("put", &stored.checksums, &bytes)?;
    match trial.find(&name, &write_id).await? {
        Some(found) => verify("find", &found.checksums, &bytes),
        None => failed("find answers nothing of a write that was acknowledged"),
    }
}

async fn known_checksums(trial: &Trial) -> Outcome {
    let bytes = pattern(4, trial.fitting(70_000));
    let mut put = trial.write(&trial.plain("known")?, bytes.len() as u64);
    put.checksums = Algorithm::ALL
        .into_iter()
        .map(|algorithm| Digest { algorithm: algorithm.name().to_owned(), value: algorithm.digest(&bytes) })
        .chain([Digest { algorithm: "md5".to_owned(), value: md5(&bytes) }])
        .collect();
    let stored = said("put", trial.send(put, crate::content::in_frames(&bytes, 65_536)).await)?;
    trial.holds(&stored.locator, &bytes).await
}

async fn projection(trial: &Trial) -> Outcome {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let content = vec![
        pair("content-type", "text/plain; charset=\"utf-8\""),
        pair("cache-control", "max-age=0, no-store"),
        pair("content-disposition", "attachment; filename*=UTF-8''%e2%82%ac.txt"),
        pair("content-encoding", "gzip"),
        pair("content-language", "de, en"),
        pair("expires", "not even a date"),
    ];
    let odd = vec![
        pair("plain", "value"),
        pair("x-with.dots_and-dashes", "1"),
        pair("0digit", "starts with one"),
        pair("umlaut", "Grüße, 世界 🎉"),
        pair("spaces", "  around  and  inside  "),
        pair("empty", ""),
        pair("quotes", "\"'<&>%2F=;,\\"),
    ];
    let many: Vec<_> = (0..50).map(|index| pair(&format!("tag {index}"), "a+b:c/d=@ é")).collect();
    let heavy = vec![pair("heavy", &"v".repeat(2_000)), pair("heavier", &"ü".repeat(3_000))];
    let objects = [
        ("headers", Projection { content, ..Projection::default() }),
        ("metadata", Projection { metadata: odd, ..Projection::default() }),
        ("tags", Projection { tags: many, ..Projection::default() }),
        ("heavy", Projection { metadata: heavy, ..Projection::default() }),
    ];
    for (what, object) in objects {
        let bytes = pattern(5, trial.fitting(1_000));
        let mut put = trial.write(&trial.plain(&format!("projection/{what}"))?, bytes.len() as u64);
        put.object = object;
        let stored = trial.send(put, crate::content::in_frames(&bytes, 65_536)).await;
        let stored = stored.map_err(|error| Stop::Failed(format!("a write with {what} failed: {error}")))?;
        trial.holds(&stored.locator, &bytes).await?;
    }
    Ok(())
}

async fn absent(trial: &Trial) -> Outcome {
    let (stored, bytes) = trial.put_pattern("absent", 5_000).await?;
    said("delete", trial.backend().delete(&stored.locator).await)?;
    trial.is_gone(&stored.locator, bytes.len() as u64).await
}

async fn frees(trial: &Trial) -> Outcome {
    for name in [trial.plain("freed")?, trial.derived("freed")?] {
        let bytes = pattern(6, trial.fitting(3_000));
        let stored = trial.put(&name, &bytes).await?;
        for _ in 0..3 {
            said("delete", trial.backend().delete(&stored.locator).await)?;
        }
        trial.is_gone(&stored.locator, bytes.len() as u64).await?;
    }
    Ok(())
}

async fn others(trial: &Trial) -> Outcome {
    let name = trial.plain("others/key")?;
    let (first, second) = (pattern(7, trial.fitting(2_000)), pattern(8, trial.fitting(2_000)));
    let (neighbour, neighbours) = trial.put_pattern("others/key2", 100).await?;
    let (parent, parents) = trial.put_pattern("others", 100).await?;
    let old = trial.put(&name, &first).await?;
    let new = trial.put(&name, &second).await?;
    match trial.backend().delete(&old.locator).await {
        Ok(()) => {}
        Err(error) if error.code() == Some(FailureCode::Changed) => {}
        Err(error) => return failed(format!("delete of replaced bytes failed: {error}")),
    }
    trial.holds(&new.locator, &second).await?;
    trial.holds(&neighbour.locator, &neighbours).await?;
    trial.holds(&parent.locator, &parents).await?;
    said("delete", trial.backend().delete(&new.locator).await)?;
    trial.holds(&neighbour.locator, &neighbours).await?;
    trial.holds(&parent.locator, &parents).await
}

async fn find_write(trial: &Trial) -> Outcome {
    for name in [trial.plain("found")?, trial.derived("found")?] {
        let bytes = pattern(9, trial.fitting(4_000));
        let put = trial.write(&name, bytes.len() as u64);
        let write_id = put.write_id.clone();
        let stored = said("put", trial.send(put, crate::content::in_frames(&bytes, 65_536)).await)?;
        let Some(found) = trial.find(&name, &write_id).await? else {
            return failed("find answers nothing of a write that was acknowledged");
        };
        ensure(found.size == bytes.len() as u64, || format!("find answered {} bytes of {}", found.size, bytes.len()))?;
        trial.holds(&found.locator, &bytes).await?;
        said("delete", trial.backend().delete(&stored.locator).await)?;
        let found = trial.find(&name, &write_id).await?;
        ensure(found.is_none(), || "find answers a write whose bytes were deleted".to_owned())?;
    }
    Ok(())
}

async fn find_other(trial: &Trial) -> Outcome {
    let name = trial.plain("occupied")?;
    trial.put(&name, &pattern(10, trial.fitting(100))).await?;
    for name in [name, trial.plain("free")?, trial.derived("free")?] {
        let found = trial.find(&name, &WriteId::random()).await?;
        ensure(found.is_none(), || "find answers something for an id that no write had".to_owned())?;
    }
    Ok(())
}

async fn find_behind(trial: &Trial) -> Outcome {
    if !trial.traits().keeps_overwritten {
        return skipped("an overwrite loses what it replaces");
    }
    let name = trial.plain("behind")?;
    let bytes = pattern(11, trial.fitting(500));
    let put = trial.write(&name, bytes.len() as u64);
    let write_id = put.write_id.clone();
    said("put", trial.send(put, crate::content::in_frames(&bytes, 65_536)).await)?;
    for seed in 12..15 {
        trial.put(&name, &pattern(seed, trial.fitting(600))).await?;
    }
    match trial.find(&name, &write_id).await? {
        Some(found) => trial.holds(&found.locator, &bytes).await,
        None => failed("find does not see a write that three newer ones followed"),
    }
}

async fn find_anything(trial: &Trial) -> Outcome {
    let name = trial.plain("anything")?;
    let nothing = said("find", trial.backend().find(&name, None).await)?;
    ensure(nothing.is_none(), || "find answers something at a place where nothing was stored".to_owned())?;
    let bytes = pattern(16, trial.fitting(700));
    trial.put(&name, &bytes).await?;
    match said("find", trial.backend().find(&name, None).await)? {
        Some(found) => trial.holds(&found.locator, &bytes).await,
        None => Ok(()),
    }
}

async fn hide(trial: &Trial) -> Outcome {
    let name = trial.plain("hidden")?;
    let bytes = pattern(17, trial.fitting(800));
    let stored = trial.put(&name, &bytes).await?;
    let marker = match trial.backend().hide(&name).await {
        Err(error) if error.code() == Some(FailureCode::Unsupported) => {
            return skipped(format!("not at this location: {error}"));
        }
        other => said("hide", other)?,
    };
    trial.remember(&marker);
    trial.holds(&stored.locator, &bytes).await?;
    for _ in 0..2 {
        said("delete of a marker", trial.backend().delete(&marker).await)?;
    }
    trial.holds(&stored.locator, &bytes).await?;
    gone("get", trial.get(&marker, 1, None).await.map(|_| ())).or_else(|stop| match stop {
        // Any other no is as good: a marker has no bytes.
        Stop::Failed(why) if !why.contains("succeeded") => Ok(()),
        other => Err(other),
    })
}

/// Compares what a backend reports of bytes with what they are.
fn verify(call: &str, reported: &[Digest], bytes: &[u8]) -> Outcome {
    for digest in reported {
        let expected = match Algorithm::parse(&digest.algorithm) {
            Some(algorithm) => algorithm.digest(bytes),
            None if digest.algorithm == "md5" => md5(bytes),
            None => continue,
        };
        ensure(digest.value == expected, || {
            let (said, is) = (hex::encode(&digest.value), hex::encode(&expected));
            format!("{call} reports the {} {said} of bytes that have {is}", digest.algorithm)
        })?;
    }
    Ok(())
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    let mut hashers = Hashers::new(&[]);
    hashers.update(bytes);
    hashers.finish().md5.to_vec()
}

fn of_length(stop: Stop, length: usize) -> Stop {
    match stop {
        Stop::Failed(why) => Stop::Failed(format!("at {length} bytes: {why}")),
        Stop::Skipped(why) => Stop::Skipped(why),
    }
}

/// Whether a call was answered with no, and not broken by the plugin.
pub(super) fn is_answered(error: &BackendError) -> bool {
    matches!(error, BackendError::Answered { .. })
}
