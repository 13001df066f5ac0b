//! The files of a report beside its data: their keys, and what is in them.

use super::{IncludedVersions, InventoryConfiguration, InventoryField};
use crate::names::BucketName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// The version of the manifest's form.
const MANIFEST_VERSION: &str = "2016-11-30";

/// A data file that was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReportFile {
    pub(crate) key: String,
    /// In bytes.
    pub(crate) size: u64,
    /// The MD5 of its bytes, in hexadecimal.
    #[serde(rename = "MD5checksum")]
    pub(crate) md5: String,
}

/// Which report it is.
pub(crate) struct Report<'a> {
    pub(crate) source: &'a BucketName,
    pub(crate) configuration: &'a InventoryConfiguration,
    /// When the walk through the bucket began, milliseconds since 1970.
    pub(crate) started: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    source_bucket: &'a str,
    destination_bucket: String,
    version: &'a str,
    creation_timestamp: String,
    file_format: &'a str,
    file_schema: String,
    files: &'a [ReportFile],
}

impl Report<'_> {
    /// The key of a data file. A report that goes on after a crash gives its files the names
    /// that they had.
    pub(crate) fn data_key(&self, run: &str, index: usize) -> String {
        let digest: [u8; 32] = Sha256::digest(format!("{run}/{index}")).into();
        let (bytes, _) = digest.split_at(16);
        let hexadecimal = hex::encode(bytes);
        let mut name = String::new();
        for (index, digit) in hexadecimal.chars().enumerate() {
            if [8, 12, 16, 20].contains(&index) {
                name.push('-');
            }
            name.push(digit);
        }
        format!("{}/data/{name}.csv.gz", self.folder())
    }

    /// The key of `manifest.json` or `manifest.checksum`.
    pub(crate) fn manifest_key(&self, name: &str) -> String {
        let time = self.time(format_description!("[year]-[month]-[day]T[hour]-[minute]Z"));
        format!("{}/{time}/{name}", self.folder())
    }

    /// The key of the list of data files for Hive.
    pub(crate) fn symlink_key(&self) -> String {
        let time = self.time(format_description!("[year]-[month]-[day]-[hour]-[minute]"));
        format!("{}/hive/dt={time}/symlink.txt", self.folder())
    }

    /// The list of data files for Hive.
    pub(crate) fn symlink(&self, files: &[ReportFile]) -> String {
        let bucket = &self.configuration.destination.bucket;
        let lines: Vec<String> = files.iter().map(|file| format!("s3://{bucket}/{}", file.key)).collect();
        lines.join("\n")
    }

    /// `manifest.json`.
    ///
    /// # Errors
    /// Never for what a configuration can hold.
    pub(crate) fn manifest(&self, files: &[ReportFile]) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&Manifest {
            source_bucket: self.source.as_str(),
            destination_bucket: format!("arn:aws:s3:::{}", self.configuration.destination.bucket),
            version: MANIFEST_VERSION,
            creation_timestamp: self.started.to_string(),
            file_format: "CSV",
            file_schema: schema(self.configuration),
            files,
        })
    }

    /// What all its keys begin with. A slash at the end of the prefix is not doubled.
    fn folder(&self) -> String {
        let own = format!("{}/{}", self.source, self.configuration.id);
        match self.configuration.destination.prefix.as_deref() {
            None | Some("") => own,
            Some(prefix) => format!("{}/{own}", prefix.strip_suffix('/').unwrap_or(prefix)),
        }
    }

    fn time(&self, format: &[BorrowedFormatItem<'_>]) -> String {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.started) * 1_000_000);
        time.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(format).unwrap_or_default()
    }
}

/// The columns of a report's lines.
fn schema(configuration: &InventoryConfiguration) -> String {
    let mut columns = vec!["Bucket", "Key"];
    if configuration.versions == IncludedVersions::All {
        columns.extend(["VersionId", "IsLatest", "IsDeleteMarker"]);
    }
    columns.extend(InventoryField::ALL.iter().filter(|field| configuration.fields.contains(field)).map(|it| it.name()));
    columns.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::configuration;
    use super::*;

    fn with_report(prefix: Option<&str>, test: impl FnOnce(&Report<'_>)) {
        let mut configuration = configuration();
        configuration.destination.prefix = prefix.map(str::to_owned);
        configuration.fields = vec![InventoryField::StorageClass, InventoryField::Size];
        let source = BucketName::parse("source").unwrap();
        test(&Report { source: &source, configuration: &configuration, started: 1_478_467_920_123 });
    }

    #[test]
    fn files_lie_where_s3_puts_them() {
        with_report(Some("some/where"), |report| {
            assert_eq!(report.manifest_key("manifest.json"), "some/where/source/id/2016-11-06T21-32Z/manifest.json");
            assert_eq!(report.symlink_key(), "some/where/source/id/hive/dt=2016-11-06-21-32/symlink.txt");
            let data = report.data_key("run", 0);
            let name = data.strip_prefix("some/where/source/id/data/").unwrap().strip_suffix(".csv.gz").unwrap();
            let groups: Vec<usize> = name.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{name}");
            assert_eq!(data, report.data_key("run", 0));
            assert_ne!(data, report.data_key("run", 1));
            assert_ne!(data, report.data_key("other", 0));
        });
        with_report(Some("a/"), |report| assert!(report.symlink_key().starts_with("a/source/id/hive/")));
        with_report(None, |report| assert!(report.symlink_key().starts_with("source/id/hive/")));
    }

    #[test]
    fn the_manifest_reads_as_s3_writes_it() {
        with_report(None, |report| {
            let files = [ReportFile { key: "k".into(), size: 7, md5: "f1".into() }];
            let manifest: serde_json::Value = serde_json::from_slice(&report.manifest(&files).unwrap()).unwrap();
            let expected = serde_json::json!({
                "sourceBucket": "source",
                "destinationBucket": "arn:aws:s3:::reports",
                "version": "2016-11-30",
                "creationTimestamp": "1478467920123",
                "fileFormat": "CSV",
                "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, StorageClass",
                "files": [{ "key": "k", "size": 7, "MD5checksum": "f1" }],
            });
            assert_eq!(manifest, expected);
            assert_eq!(report.symlink(&files), "s3://reports/k");
        });
    }
}
