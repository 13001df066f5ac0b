//! The kinds of destinations: webhooks with TLS and a secret, NATS, and clients that configure them.

use super::{CREATED, configure, configured, gateway, names, records, rule};
use sallyport_tests::commands::{aws, boto3};
use sallyport_tests::gateway::{Ran, Setup};
use sallyport_tests::tls::{Authority, Front};
use sallyport_tests::upstream::{NATS_PASSWORD, NATS_USER, Nats};
use sallyport_tests::wait::until;
use sallyport_tests::webhook::Webhook;
use serde_json::{Value, json};

#[tokio::test]
async fn a_webhook_is_reached_over_tls_with_its_secret() {
    let authority = Authority::new().unwrap();
    let hook = Webhook::start().await.unwrap();
    let front = Front::before(hook.port(), &authority.issue(&["localhost"]).unwrap()).await.unwrap();
    let url = format!("https://localhost:{}/in", front.port());
    let trusted = json!({
        "resource": "trusted", "type": "webhook", "url": url, "auth": { "token": "hush-hush" },
        "ca": authority.file().to_str().unwrap()
    });
    let stranger = json!({ "resource": "stranger", "type": "webhook", "url": url, "auth": { "token": "hush-hush" } });
    let setup = Setup::with_locations(json!({})).config("bucketNotificationDestinations", json!([trusted, stranger]));
    let mut gateway = setup.start().await.unwrap();
    let client = gateway.client().unwrap();
    client.create_bucket("bucket", "").await.unwrap();
    let refused = configure(&client, &rule("stranger", CREATED, "")).await;
    assert_eq!(refused.code(), "InvalidArgument");
    assert!(refused.text().to_lowercase().contains("certificate"), "{}", refused.text());
    configured(&client, &rule("trusted", CREATED, "")).await;
    client.put("bucket/k", "bytes").await.unwrap();
    assert_eq!(names(&records(&hook, 1).await), ["ObjectCreated:Put"]);
    assert!(hook.posted().iter().all(|posted| posted.headers["authorization"] == "Bearer hush-hush"));
    assert!(!gateway.log().contains("hush"), "{}", gateway.log());
}

fn nats_destination(nats: &Nats, password: &str) -> Value {
    json!([{
        "resource": "queue", "type": "nats", "host": "127.0.0.1", "port": nats.port(), "topic": "s3.events",
        "auth": { "user": NATS_USER, "password": password }
    }])
}

#[tokio::test]
async fn a_stream_of_nats_gets_every_event_once_also_while_it_was_down() {
    let mut nats = Nats::start().await.unwrap();
    let setup = Setup::with_locations(json!({}));
    let setup = setup.config("bucketNotificationDestinations", nats_destination(&nats, NATS_PASSWORD));
    let gateway = setup.start().await.unwrap();
    let client = gateway.client().unwrap();
    client.create_bucket("bucket", "").await.unwrap();
    // A subject that no stream keeps would lose what is published on it.
    let lost = configure(&client, &rule("queue", CREATED, "")).await;
    assert_eq!(lost.code(), "InvalidArgument");
    assert!(lost.text().contains("no stream of JetStream keeps the subject s3.events"), "{}", lost.text());
    nats.make_stream("events", "s3.>").await.unwrap();
    configured(&client, &rule("queue", CREATED, "")).await;
    client.put("bucket/first", "bytes").await.unwrap();
    until("the first arrives", async || nats.messages("events").await.unwrap().len() == 2).await;
    nats.stop().await.unwrap();
    for number in 0..10 {
        assert_eq!(client.put("bucket/later", number.to_string()).await.unwrap().status, 200);
    }
    nats.restart().await.unwrap();
    until("the others arrive", async || nats.messages("events").await.unwrap().len() >= 12).await;
    let messages = nats.messages("events").await.unwrap();
    assert_eq!(messages[0]["Event"], json!("s3:TestEvent"));
    let records: Vec<Value> = messages.iter().skip(1).map(|message| message["Records"][0].clone()).collect();
    let sequencers: Vec<&str> = records.iter().map(|one| one["s3"]["object"]["sequencer"].as_str().unwrap()).collect();
    assert_eq!(sequencers.len(), 11);
    assert!(sequencers.is_sorted_by(|a, b| a < b), "once and in order: {sequencers:?}");
}

#[tokio::test]
async fn a_wrong_password_of_nats_is_said_without_it() {
    let nats = Nats::start().await.unwrap();
    let setup = Setup::with_locations(json!({}));
    let setup = setup.config("bucketNotificationDestinations", nats_destination(&nats, "hush-hush"));
    let mut gateway = setup.start().await.unwrap();
    let client = gateway.client().unwrap();
    client.create_bucket("bucket", "").await.unwrap();
    let refused = configure(&client, &rule("queue", CREATED, "")).await;
    assert_eq!(refused.code(), "InvalidArgument");
    assert!(refused.text().contains("authorization"), "{}", refused.text());
    assert!(!refused.text().contains("hush") && !gateway.log().contains("hush"));
}

#[tokio::test]
async fn clients_of_aws_configure_and_read_notifications() {
    let hook = Webhook::start().await.unwrap();
    let (gateway, client) = gateway(&[("hooks", &hook)], |setup| setup).await;
    let script = "
rules = {'Filter': {'Key': {'FilterRules': [{'Name': 'prefix', 'Value': 'images/'}]}}}
arn = 'arn:aws:sqs:us-east-1:123456789012:hooks'
created = {'Id': 'created', 'QueueArn': arn, 'Events': ['s3:ObjectCreated:*'], **rules}
removed = {'LambdaFunctionArn': 'arn:aws:lambda:us-east-1:123456789012:function:hooks', 'Events': ['s3:ObjectRemoved:*']}
configuration = {'QueueConfigurations': [created], 'LambdaFunctionConfigurations': [removed]}
s3.put_bucket_notification_configuration(Bucket='bucket', NotificationConfiguration=configuration)
found = s3.get_bucket_notification_configuration(Bucket='bucket')
assert found['QueueConfigurations'] == [created], found
assert found['LambdaFunctionConfigurations'][0]['Events'] == ['s3:ObjectRemoved:*'], found
s3.put_object(Bucket='bucket', Key='images/a b.png', Body=b'bytes')
s3.delete_object(Bucket='bucket', Key='images/a b.png')
try:
    s3.put_bucket_notification_configuration(Bucket='bucket', NotificationConfiguration={'QueueConfigurations': [
        {'QueueArn': 'arn:aws:sqs:us-east-1:123456789012:nowhere', 'Events': ['s3:ObjectCreated:*']}]})
    raise SystemExit('an unknown destination was taken')
except s3.exceptions.ClientError as error:
    assert error.response['Error']['Code'] == 'InvalidArgument', error
    assert 'nowhere' in error.response['Error']['Message'], error
";
    boto3(&gateway, script).await.unwrap();
    let mut arrived = names(&records(&hook, 2).await);
    arrived.sort();
    assert_eq!(arrived, ["ObjectCreated:Put", "ObjectRemoved:Delete"]);
    let rules = r#"{"TopicConfigurations":[{"Id":"cli","TopicArn":"arn:scality:bucketnotif:::hooks","Events":["s3:ObjectAcl:Put"]}]}"#;
    let put = ["s3api", "put-bucket-notification-configuration", "--bucket", "bucket", "--notification-configuration"];
    aws(&gateway, &[&put[..], &[rules]].concat()).await.unwrap();
    let read = aws(&gateway, &["s3api", "get-bucket-notification-configuration", "--bucket", "bucket"]).await.unwrap();
    let read: Value = serde_json::from_str(&read).unwrap();
    assert_eq!(read["TopicConfigurations"][0]["TopicArn"], json!("arn:scality:bucketnotif:::hooks"));
    assert_eq!(client.put("bucket/images/c.png", "bytes").await.unwrap().status, 200);
}

#[tokio::test]
async fn check_names_every_mistake_of_destinations_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let destinations = json!([
        { "resource": "hooks", "type": "webhook", "url": "ftp://hush" },
        { "resource": "queue", "type": "nats", "host": "127.0.0.1", "topic": "a b" },
        { "resource": "old", "type": "kafka", "host": "127.0.0.1", "port": 9092 },
    ]);
    let setup = Setup::with_locations(json!({})).config("bucketNotificationDestinations", destinations);
    let ran = Ran::of(&mut setup.subcommand(folder.path(), &["check"]).unwrap()).await.unwrap();
    assert_ne!(ran.code, Some(0));
    let said = format!("{}{}", ran.output, ran.errors);
    for text in ["destinations.0.url", "destinations.1.topic", "destinations.2.type"] {
        let text = text.replace("destinations", "bucketNotificationDestinations");
        assert!(said.contains(&text), "{text} in {said}");
    }
    assert!(!said.contains("hush"), "{said}");
}
