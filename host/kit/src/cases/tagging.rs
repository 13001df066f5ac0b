//! Whether tags can be shown without touching bytes.

use super::cases;
use crate::case::Outcome;
use crate::content::pattern;
use crate::trial::{Trial, gone, said};
use sallyport_core::backend::Projection;

cases! {
    "tagging.replaces" Tagging
    "put-tags replaces an object's tags; the locator that it answers names the same bytes." replaces;
    "tagging.absent" Tagging
    "put-tags on bytes that are gone answers not-found or changed." absent;
}

fn tagged(count: usize) -> Projection {
    let tags = (0..count).map(|index| (format!("tag {index}"), format!("value {index}, ä"))).collect();
    Projection { tags, ..Projection::default() }
}

async fn replaces(trial: &Trial) -> Outcome {
    let bytes = pattern(90, trial.fitting(2_500));
    let mut locator = trial.put(&trial.plain("tagged")?, &bytes).await?.locator;
    for count in [1, 10, 10, 0, 50] {
        locator = said("put-tags", trial.backend().put_tags(&locator, &tagged(count)).await)?;
        trial.remember(&locator);
        trial.holds(&locator, &bytes).await?;
    }
    said("delete", trial.backend().delete(&locator).await)?;
    trial.is_gone(&locator, bytes.len() as u64).await
}

async fn absent(trial: &Trial) -> Outcome {
    let (stored, _) = trial.put_pattern("untagged", 100).await?;
    said("delete", trial.backend().delete(&stored.locator).await)?;
    gone("put-tags", trial.backend().put_tags(&stored.locator, &tagged(1)).await.map(|_| ()))
}
