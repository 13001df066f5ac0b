//! Inventories, from their configuration to reports that are read as other programs read them.

use futures::{StreamExt, stream};
use hyper::Method;
use sallyport_tests::chaos::Mood;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::commands::{aws, boto3};
use sallyport_tests::gateway::{Gateway, Setup};
use sallyport_tests::stage::Stage;
use sallyport_tests::wait::until;
use serde_json::{Value, json};
use std::time::Duration;

/// Reads reports: `report(bucket, prefix)` waits for one whose manifest is whole, and answers it
/// with its lines; `versions(bucket)` is what a listing says.
const READER: &str = r#"
import csv, gzip, hashlib, io, json, time, urllib.parse

def get(bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)['Body'].read()

def keys(bucket, prefix):
    pages = s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=prefix)
    return [found['Key'] for page in pages for found in page.get('Contents', [])]

def rows(bucket, manifest):
    names = manifest['fileSchema'].split(', ')
    lines = []
    for file in manifest['files']:
        data = get(bucket, file['key'])
        assert (len(data), hashlib.md5(data).hexdigest()) == (file['size'], file['MD5checksum']), file
        text = gzip.decompress(data).decode()
        assert all(line.startswith('"') and line.endswith('"') for line in text.splitlines()), text[:500]
        for values in csv.reader(io.StringIO(text)):
            assert len(values) == len(names), values
            line = dict(zip(names, values))
            line['Key'] = urllib.parse.unquote_plus(line['Key'])
            lines.append(line)
    return lines

def report(bucket, prefix):
    for _ in range(600):
        sums = [key for key in keys(bucket, prefix) if key.endswith('/manifest.checksum')]
        if sums:
            text = get(bucket, sums[-1].replace('.checksum', '.json'))
            if hashlib.md5(text).hexdigest() == get(bucket, sums[-1]).decode():
                manifest = json.loads(text)
                return manifest, rows(bucket, manifest)
        time.sleep(0.1)
    raise Exception(f'no report in {keys(bucket, prefix)}')

def configure(source, id, destination, **more):
    inventory = { 'Id': id, 'IsEnabled': True, 'IncludedObjectVersions': 'All',
        'Schedule': { 'Frequency': 'Daily' },
        'Destination': { 'S3BucketDestination': { 'Format': 'CSV', **destination } }, **more }
    s3.put_bucket_inventory_configuration(Bucket=source, Id=id, InventoryConfiguration=inventory)

ALL = ['Size', 'LastModifiedDate', 'StorageClass', 'ETag', 'IsMultipartUploaded', 'ReplicationStatus',
    'EncryptionStatus', 'ObjectLockRetainUntilDate', 'ObjectLockMode', 'ObjectLockLegalHoldStatus',
    'IntelligentTieringAccessTier', 'BucketKeyStatus', 'ChecksumAlgorithm', 'ObjectAccessControlList', 'ObjectOwner']
"#;

async fn start(day: &str) -> Gateway {
    let setup = Setup::with_locations(json!({})).environment("SALLYPORT_INVENTORY_DAY_SECONDS", day);
    let setup = setup.environment("MPU_TESTING", "yes").environment("SALLYPORT_KMS_CREATE_KEYS", "true");
    setup.start().await.unwrap()
}

async fn create(client: &Client, buckets: &[&str]) {
    for bucket in buckets {
        assert_eq!(client.create_bucket(bucket, "").await.unwrap().status, 200);
    }
}

fn document(id: &str, destination: &str) -> String {
    format!(
        "<InventoryConfiguration><Id>{id}</Id><IsEnabled>true</IsEnabled>\
         <IncludedObjectVersions>Current</IncludedObjectVersions><Schedule><Frequency>Daily</Frequency></Schedule>\
         <Destination><S3BucketDestination><Format>CSV</Format><Bucket>arn:aws:s3:::{destination}</Bucket>\
         <Prefix>of</Prefix></S3BucketDestination></Destination></InventoryConfiguration>"
    )
}

async fn configure(client: &Client, id: &str, document: String) -> Answer {
    client.send(Call::new(Method::PUT, "source").query("inventory", "").query("id", id).body(document)).await.unwrap()
}

#[tokio::test]
async fn configurations_are_kept_told_and_taken_away() {
    let gateway = start("86400").await;
    let client = gateway.client().unwrap();
    create(&client, &["source", "reports"]).await;
    let wanted = json!({
        "Id": "daily", "IsEnabled": true, "IncludedObjectVersions": "All", "Schedule": { "Frequency": "Weekly" },
        "Filter": { "Prefix": "a/" }, "OptionalFields": ["ETag", "Size"],
        "Destination": { "S3BucketDestination": {
            "AccountId": "123456789012", "Bucket": "arn:aws:s3:::reports", "Format": "CSV", "Prefix": "in",
            "Encryption": { "SSEKMS": { "KeyId": "some-key" } }
        } }
    });
    let named = ["--bucket", "source", "--id", "daily"];
    let put = [&["s3api", "put-bucket-inventory-configuration"], &named[..]].concat();
    aws(&gateway, &[&put[..], &["--inventory-configuration", &wanted.to_string()]].concat()).await.unwrap();
    let got = [&["s3api", "get-bucket-inventory-configuration"], &named[..]].concat();
    let got: Value = serde_json::from_str(&aws(&gateway, &got).await.unwrap()).unwrap();
    assert_eq!(got["InventoryConfiguration"], wanted);

    for (id, document, code) in [
        ("other", document("daily", "reports"), "IdMismatch"),
        ("d", document("d", "absent"), "InvalidS3DestinationBucket"),
        ("d", document("d", "reports").replace("CSV", "Parquet"), "NotImplemented"),
        (
            "d",
            document("d", "reports").replace("<Format>", "<AccountId>210987654321</AccountId><Format>"),
            "InvalidS3DestinationBucket",
        ),
    ] {
        assert_eq!(configure(&client, id, document).await.code(), code);
    }
    let stranger = Client::new(gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap();
    let denied = configure(&stranger, "d", document("d", "reports")).await;
    assert_eq!(denied.code(), "AccessDenied");

    for number in 0..104 {
        let id = format!("more-{number:03}");
        assert_eq!(configure(&client, &id, document(&id, "reports")).await.status, 200);
    }
    let script = "found, more = [], {}\n\
        while True:\n    \
            page = s3.list_bucket_inventory_configurations(Bucket='source', **more)\n    \
            found.append([one['Id'] for one in page['InventoryConfigurationList']])\n    \
            if not page['IsTruncated']: break\n    \
            more = {'ContinuationToken': page['NextContinuationToken']}\n\
        assert [len(page) for page in found] == [100, 5], found\n\
        assert sum(found, []) == sorted(sum(found, [])) and found[1][-1] == 'more-103', found";
    boto3(&gateway, script).await.unwrap();

    let deletion = [&["s3api", "delete-bucket-inventory-configuration"], &named[..]].concat();
    aws(&gateway, &deletion).await.unwrap();
    let call = |method| Call::new(method, "source").query("inventory", "").query("id", "daily");
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(client.send(call(method)).await.unwrap().code(), "NoSuchConfiguration");
    }
}

#[tokio::test]
async fn a_report_has_every_version_as_it_is() {
    let gateway = start("1").await;
    create(&gateway.client().unwrap(), &["reports"]).await;
    let script = r#"
import base64, datetime
s3.create_bucket(Bucket='source', ObjectLockEnabledForBucket=True)
odd = ['a b', 'plus+percent%41', 'quotes"and,commas', 'line\nbreak', 'ключ/ü', 'deep/er/and//deeper']
for key in odd:
    s3.put_object(Bucket='source', Key=key, Body=key.encode())
for body in [b'1', b'22', b'333']:
    s3.put_object(Bucket='source', Key='versions', Body=body, ChecksumAlgorithm='SHA256')
s3.put_object(Bucket='source', Key='gone', Body=b'x')
s3.delete_object(Bucket='source', Key='gone')
until = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
held = s3.put_object(Bucket='source', Key='held', Body=b'x', ObjectLockMode='GOVERNANCE',
    ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus='ON')['VersionId']
s3.put_object(Bucket='source', Key='sealed', Body=b'x', ServerSideEncryption='AES256')
s3.put_object(Bucket='source', Key='kms', Body=b'x', ServerSideEncryption='aws:kms', SSEKMSKeyId='k', BucketKeyEnabled=True)
upload = s3.create_multipart_upload(Bucket='source', Key='parts', StorageClass='STANDARD_IA')['UploadId']
etag = s3.upload_part(Bucket='source', Key='parts', UploadId=upload, PartNumber=1, Body=b'part')['ETag']
s3.complete_multipart_upload(Bucket='source', Key='parts', UploadId=upload,
    MultipartUpload={'Parts': [{'PartNumber': 1, 'ETag': etag}]})

configure('source', 'all', { 'Bucket': 'arn:aws:s3:::reports', 'Prefix': 'to/here',
    'Encryption': { 'SSEKMS': { 'KeyId': 'reports-key' } } }, OptionalFields=ALL)
manifest, lines = report('reports', 'to/here/source/all/')
assert manifest['fileSchema'] == 'Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, ' \
    'StorageClass, IsMultipartUploaded, ReplicationStatus, EncryptionStatus, ObjectLockRetainUntilDate, ' \
    'ObjectLockMode, ObjectLockLegalHoldStatus, IntelligentTieringAccessTier, BucketKeyStatus, ChecksumAlgorithm, ' \
    'ObjectAccessControlList, ObjectOwner', manifest
assert (manifest['sourceBucket'], manifest['destinationBucket']) == ('source', 'arn:aws:s3:::reports'), manifest
assert (manifest['version'], manifest['fileFormat']) == ('2016-11-30', 'CSV'), manifest
started = datetime.datetime.fromtimestamp(int(manifest['creationTimestamp']) / 1000, datetime.timezone.utc)
folder = started.strftime('to/here/source/all/%Y-%m-%dT%H-%MZ/')
assert keys('reports', folder) == [folder + 'manifest.checksum', folder + 'manifest.json']
link = get('reports', started.strftime('to/here/source/all/hive/dt=%Y-%m-%d-%H-%M/symlink.txt')).decode()
assert link.startswith('s3://reports/to/here/source/all/data/') and link.endswith('.csv.gz'), link

listed = s3.list_object_versions(Bucket='source', EncodingType='url')
expected = {}
for one in listed['Versions'] + listed['DeleteMarkers']:
    time = one['LastModified'].strftime('%Y-%m-%dT%H:%M:%S.') + f"{one['LastModified'].microsecond // 1000:03}Z"
    is_marker = 'Size' not in one
    expected[one['VersionId']] = (urllib.parse.unquote_plus(one['Key']), str(one['IsLatest']).lower(),
        str(is_marker).lower(), '' if is_marker else str(one['Size']), time, one.get('ETag', '').strip('"'),
        one.get('StorageClass', ''))
names = ['Key', 'IsLatest', 'IsDeleteMarker', 'Size', 'LastModifiedDate', 'ETag', 'StorageClass']
assert len(lines) == len(expected) == len(odd) + 9, (lines, expected)
for line in lines:
    assert tuple(line[name] for name in names) == expected[line['VersionId']], (line, expected)
    assert line['Bucket'] == 'source' and line['ReplicationStatus'] == line['IntelligentTieringAccessTier'] == ''
by_key = { line['Key']: line for line in lines if line['IsDeleteMarker'] == 'false' }
assert set(odd) < set(by_key)
assert by_key['parts']['IsMultipartUploaded'] == 'true' and by_key['held']['IsMultipartUploaded'] == 'false'
assert [by_key[key]['EncryptionStatus'] for key in ['a b', 'sealed', 'kms']] == ['NOT-SSE', 'SSE-S3', 'SSE-KMS']
assert [by_key[key]['BucketKeyStatus'] for key in ['a b', 'kms']] == ['', 'ENABLED']
assert by_key['versions']['ChecksumAlgorithm'] == 'SHA256', by_key['versions']
lock = [by_key['held'][name] for name in ['ObjectLockMode', 'ObjectLockRetainUntilDate', 'ObjectLockLegalHoldStatus']]
assert lock == ['GOVERNANCE', '2031-02-03T04:05:06.000Z', 'On'], lock
owner = s3.list_buckets()['Owner']['ID']
assert by_key['a b']['ObjectOwner'] == owner
acl = json.loads(base64.b64decode(by_key['a b']['ObjectAccessControlList']))
assert acl['status'] == 'AVAILABLE' and acl['grants'] == [
    { 'canonicalId': owner, 'type': 'CanonicalUser', 'permission': 'FULL_CONTROL' }], acl

for key in [manifest['files'][0]['key'], folder + 'manifest.json', folder + 'manifest.checksum']:
    head = s3.head_object(Bucket='reports', Key=key)
    assert (head['ServerSideEncryption'], head['SSEKMSKeyId']) == ('aws:kms', 'reports-key'), head
"#;
    boto3(&gateway, &format!("{READER}{script}")).await.unwrap();
}

#[tokio::test]
async fn a_report_of_current_objects_keeps_to_its_prefix() {
    let gateway = start("1").await;
    create(&gateway.client().unwrap(), &["source", "reports"]).await;
    let script = r#"
s3.put_bucket_versioning(Bucket='source', VersioningConfiguration={'Status': 'Enabled'})
for key in ['in/a', 'in/b', 'in/gone', 'out', 'in']:
    s3.put_object(Bucket='source', Key=key, Body=b'1')
s3.put_object(Bucket='source', Key='in/a', Body=b'22')
s3.delete_object(Bucket='source', Key='in/gone')
configure('source', 'now', { 'Bucket': 'arn:aws:s3:::reports', 'Encryption': { 'SSES3': {} } },
    IncludedObjectVersions='Current', Filter={ 'Prefix': 'in/' }, OptionalFields=['Size'])
manifest, lines = report('reports', 'source/now/')
assert manifest['fileSchema'] == 'Bucket, Key, Size', manifest
assert [(line['Key'], line['Size']) for line in lines] == [('in/a', '2'), ('in/b', '1')], lines
assert s3.head_object(Bucket='reports', Key=manifest['files'][0]['key'])['ServerSideEncryption'] == 'AES256'
configure('source', 'nothing', { 'Bucket': 'arn:aws:s3:::reports' }, Filter={ 'Prefix': 'absent/' })
manifest, lines = report('reports', 'source/nothing/')
assert manifest['files'] == [] and lines == [], manifest

# What is disabled is not made any more.
configure('source', 'now', { 'Bucket': 'arn:aws:s3:::reports' }, IsEnabled=False)
time.sleep(1.5)
before = keys('reports', 'source/now/data/')
time.sleep(3)
assert keys('reports', 'source/now/data/') == before
"#;
    boto3(&gateway, &format!("{READER}{script}")).await.unwrap();
}

#[tokio::test]
async fn another_accounts_bucket_takes_reports_that_its_policy_allows() {
    let mut gateway = start("1").await;
    let client = gateway.client().unwrap();
    create(&client, &["source"]).await;
    let other = Client::new(gateway.endpoint(), "accessKey2", "verySecretKey2").unwrap();
    create(&other, &["reports"]).await;
    client.put("source/k", "body").await.unwrap();
    assert_eq!(configure(&client, "daily", document("daily", "reports")).await.status, 200);
    let refused = "an inventory could not be delivered to reports and is tried again: access denied";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !gateway.log().contains(refused) {
        assert!(tokio::time::Instant::now() < deadline, "{}", gateway.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(other.keys("reports").await.unwrap().is_empty());
    // As AWS documents it, but for the wrong source first.
    let allow = |source: &str| {
        json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" }, "Action": "s3:PutObject",
            "Resource": ["arn:aws:s3:::reports/*"],
            "Condition": {
                "ArnLike": { "aws:SourceArn": format!("arn:aws:s3:::{source}") },
                "StringEquals": { "aws:SourceAccount": "123456789012", "s3:x-amz-acl": "bucket-owner-full-control" }
            }
        }] })
    };
    let put = |policy: Value| Call::new(Method::PUT, "reports").query("policy", "").body(policy.to_string());
    assert_eq!(other.send(put(allow("elsewhere"))).await.unwrap().status, 204);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(other.keys("reports").await.unwrap().is_empty());
    assert_eq!(other.send(put(allow("source"))).await.unwrap().status, 204);
    until("the report is delivered", async || {
        other.keys("reports").await.unwrap().iter().any(|key| key.ends_with("/manifest.checksum"))
    })
    .await;
    let keys = other.keys("reports").await.unwrap();
    assert!(keys.iter().all(|key| key.starts_with("of/source/daily/")), "{keys:?}");
    // The service's name is no way in for people.
    assert_eq!(client.put("reports/mine", "x").await.unwrap().code(), "AccessDenied");
}

#[tokio::test]
async fn a_report_that_was_cut_off_goes_on_with_its_next_file() {
    const OBJECTS: usize = 3_300;
    let stage = Stage::start().await.unwrap();
    let setup = Setup::with_locations(stage.locations()).environment("SALLYPORT_INVENTORY_DAY_SECONDS", "2");
    // A file for every page.
    let mut gateway = setup.environment("SALLYPORT_INVENTORY_FILE_BYTES", "1").start().await.unwrap();
    let client = gateway.client().unwrap();
    create(&client, &["source"]).await;
    assert_eq!(client.create_bucket("reports", "plain-aws").await.unwrap().status, 200);
    // What a later report would replace stays readable.
    let versioned = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let call = Call::new(Method::PUT, "reports").query("versioning", "").body(versioned);
    assert_eq!(client.send(call).await.unwrap().status, 200);
    let puts = stream::iter(0..OBJECTS).map(|number| {
        let client = client.clone();
        async move { client.put(&format!("source/key {number:05}"), "x").await.unwrap().status }
    });
    assert!(puts.buffer_unordered(16).all(async |status| status == 200).await);

    stage.before_moto.turn(Mood::Slow(Duration::from_millis(700)));
    assert_eq!(configure(&client, "daily", document("daily", "reports")).await.status, 200);
    until("the first file is there", async || !client.keys("reports").await.unwrap().is_empty()).await;
    // The next one is begun only when the first one is noted.
    let requests = stage.before_moto.requests();
    until("the next one is under way", async || stage.before_moto.requests() > requests).await;
    gateway.crash_and_restart().await.unwrap();
    stage.before_moto.turn(Mood::Honest);
    let client = gateway.client().unwrap();
    let first = client.keys("reports").await.unwrap();
    assert_eq!(first.len(), 1, "one data file was delivered before the crash: {first:?}");
    let script = format!(
        r#"
first, objects = {:?}, {OBJECTS}
def manifests():
    found = s3.list_object_versions(Bucket='reports', Prefix='of/source/daily/')
    for one in found.get('Versions', []):
        if one['Key'].endswith('/manifest.json'):
            yield json.loads(s3.get_object(Bucket='reports', Key=one['Key'], VersionId=one['VersionId'])['Body'].read())
for _ in range(600):
    begun = [one for one in manifests() if one['files'][0]['key'] == first]
    if begun: break
    time.sleep(0.1)
assert len(begun) == 1, 'the report that was begun has to be ended, once'
assert len(begun[0]['files']) > 2, begun
lines = rows('reports', begun[0])
assert [line['Key'] for line in lines] == [f'key {{number:05}}' for number in range(objects)], len(lines)
versions = s3.list_object_versions(Bucket='reports', Prefix=first)['Versions']
assert len(versions) == 1, 'the first file was not written again'
"#,
        first[0]
    );
    boto3(&gateway, &format!("{READER}{script}")).await.unwrap();
}
