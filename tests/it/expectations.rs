//! A blob that somebody replaced or removed meanwhile is not ours to overwrite or delete.

use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::upstream::{AZURITE_ACCOUNT, AZURITE_KEY, Azurite};
use serde_json::{Value, json};

/// More than what is verified before it leaves.
const LARGE: usize = 300_000;

fn location(azurite: &Azurite, adopts: bool) -> Value {
    json!({ "azure": { "type": "azure", "legacyAwsBehavior": false, "adoptExisting": adopts, "details": {
        "azureStorageEndpoint": azurite.endpoint(), "bucketMatch": true, "azureContainerName": "cloud",
        "azureStorageAccountName": AZURITE_ACCOUNT, "azureStorageAccessKey": AZURITE_KEY
    } } })
}

async fn gateway(azurite: &Azurite, adopts: bool) -> Gateway {
    let setup = Setup::with_locations(location(azurite, adopts));
    let setup = setup.environment("SALLYPORT_SWEEP_INTERVAL_MS", "100").environment("SALLYPORT_DELETION_DELAY_MS", "0");
    let gateway = setup.start().await.unwrap();
    assert_eq!(gateway.client().unwrap().create_bucket("bucket", "azure").await.unwrap().status, 200);
    gateway
}

#[tokio::test]
async fn what_took_the_place_of_our_blob_stays() {
    let azurite = Azurite::start().await.unwrap();
    let (ours, theirs) = (gateway(&azurite, false).await, gateway(&azurite, true).await);
    let (client, other) = (ours.client().unwrap(), theirs.client().unwrap());
    let reader = azurite.reader().unwrap();
    for (key, size) in [("small", 5), ("large", LARGE)] {
        let path = format!("bucket/{key}");
        assert_eq!(client.put(&path, vec![1; size]).await.unwrap().status, 200);
        assert_eq!(reader.get("cloud", key).await.unwrap().body.len(), size, "at its plain name");
        // An overwrite of our own keeps the name.
        assert_eq!(client.put(&path, vec![2; size]).await.unwrap().status, 200);
        assert_eq!(reader.get("cloud", key).await.unwrap().body, vec![2; size]);

        assert_eq!(other.put(&path, "theirs").await.unwrap().status, 200, "they take what is there");
        assert_eq!(client.get(&path).await.unwrap().status, 424, "ours is gone, and theirs is not shown for it");
        assert_eq!(client.put(&path, vec![3; size]).await.unwrap().status, 200);
        assert_eq!(client.get(&path).await.unwrap().body, vec![3; size]);
        assert_eq!(reader.get("cloud", key).await.unwrap().text(), "theirs");
        assert_eq!(client.delete(&path).await.unwrap().status, 204);
        assert_eq!(client.get(&path).await.unwrap().status, 404);

        let removed = format!("bucket/removed-{key}");
        assert_eq!(client.put(&removed, vec![4; size]).await.unwrap().status, 200);
        assert_eq!(reader.delete("cloud", &format!("removed-{key}")).await.unwrap().status, 202);
        assert_eq!(client.put(&removed, vec![5; size]).await.unwrap().status, 200);
        assert_eq!(client.get(&removed).await.unwrap().body, vec![5; size]);
    }
    // Once the queue is through, only what is current is left, theirs among it.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while reader.names("cloud").await.unwrap().len() != 4 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", reader.names("cloud").await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for key in ["small", "large"] {
        assert_eq!(other.get(&format!("bucket/{key}")).await.unwrap().text(), "theirs");
    }
}
