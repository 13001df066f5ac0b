//! (e) A page of a thousand entries, from buckets of very different sizes.

use super::Effort;
use crate::load::{self, Content, Prepared, Until};
use crate::report::{Report, median};
use crate::servers::{self, Server};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Method;
use sallyport_tests::client::Call;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;

/// Groups that a delimiter makes of each bucket's keys: a page's worth.
const GROUPS: u64 = 1000;
const PAGES: u64 = 40;
/// How much slower the largest bucket may be than the smallest.
const ALLOWED: f64 = 1.5;

/// Measures it.
///
/// # Errors
/// When a server does not start or answers with an error.
pub(crate) async fn run(report: &mut Report, effort: Effort) -> Result<()> {
    let mut server = servers::sallyport_local().await?;
    let sizes = [1000, 100_000, effort.keys];
    for size in sizes {
        let bucket = bucket_of(size);
        ensure!(server.client().create_bucket(&bucket, "").await?.status.is_success(), "{bucket} was not created");
        ensure!(server.client().put(&format!("{bucket}/template"), "x").await?.status.is_success(), "no template");
    }
    let gateway = server.gateway().context("a gateway")?;
    gateway.stop().await?;
    fill(gateway.folder(), &sizes).await?;
    gateway.restart().await?;
    let address = gateway.endpoint().strip_prefix("http://").context("an endpoint without http")?.parse()?;
    let server = server.moved_to(address)?;
    for (case, delimiter) in [("flat", None), ("with delimiter", Some("/"))] {
        let pages: Vec<_> = sizes.iter().map(|size| Arc::new(pages(&server, *size, delimiter))).collect();
        let mut rounds = vec![Vec::new(); sizes.len()];
        for _ in 0..effort.rounds {
            for (requests, rounds) in pages.iter().zip(&mut rounds) {
                let outcome = load::run(server.address, Arc::clone(requests), 1, Until::Sent(PAGES)).await?;
                rounds.push(outcome.latency(0.5).as_secs_f64() * 1e3);
            }
        }
        let medians: Vec<f64> = rounds.into_iter().map(median).collect();
        for (size, middle) in sizes.iter().zip(&medians) {
            report.row("e", &format!("page {case}, {size} keys"), server.name, &[("p50_ms", *middle)]);
        }
        let ratio = medians.iter().copied().fold(0.0, f64::max) / medians.first().copied().unwrap_or(f64::NAN);
        let promise = format!("a page {case} of the largest bucket within {ALLOWED}x of the smallest");
        report.verdict("e", &promise, format!("{ratio:.2}x"), ratio <= ALLOWED);
    }
    Ok(())
}

fn bucket_of(size: u64) -> String {
    format!("keys-{size}")
}

/// A key of a bucket: a group, then the number within it.
fn key_of(size: u64, number: u64) -> String {
    let per_group = size / GROUPS;
    format!("group-{:05}/{:08}", number / per_group, number % per_group)
}

fn pages(server: &Server, size: u64, delimiter: Option<&str>) -> Vec<Prepared> {
    let pages = (0..PAGES).map(|page| {
        let mut call = Call::new(Method::GET, &bucket_of(size)).query("list-type", "2").query("max-keys", "1000");
        call = match delimiter {
            // Each page starts at the front: a thousand groups follow.
            Some(delimiter) => call.query("delimiter", delimiter),
            // Somewhere inside, where a whole page still follows.
            None if size > 1000 => call.query("start-after", &key_of(size, page * (size - 1001) / PAGES)),
            None => call,
        };
        server.prepare(&call, Method::GET, Content::Whole(Bytes::new()))
    });
    pages.collect()
}

/// Writes rows as if all keys had been put: through S3 that would take hours.
async fn fill(folder: &Path, sizes: &[u64]) -> Result<()> {
    let database = database(&servers::metadata_folder(folder))?;
    let mut connection = SqliteConnectOptions::new().filename(&database).connect().await?;
    for table in ["object", "version"] {
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT name FROM pragma_table_info(?)").bind(table).fetch_all(&mut connection).await?;
        for size in sizes {
            copy_template(&mut connection, table, &columns, *size).await?;
        }
    }
    sqlx::query("DELETE FROM object WHERE key = CAST('template' AS BLOB)").execute(&mut connection).await?;
    sqlx::query("DELETE FROM version WHERE key = CAST('template' AS BLOB)").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn copy_template(connection: &mut SqliteConnection, table: &str, columns: &[String], size: u64) -> Result<()> {
    let key = "CAST(printf('group-%05d/%08d', number / :per_group, number % :per_group) AS BLOB)";
    let selected: Vec<&str> =
        columns.iter().map(|column| if column == "key" { key } else { column.as_str() }).collect();
    let statement = format!(
        "WITH RECURSIVE numbers(number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < {size})\n\
         INSERT INTO {table} ({}) SELECT {} FROM numbers, {table}\n\
         WHERE {table}.key = CAST('template' AS BLOB)\n\
         AND {table}.bucket = (SELECT id FROM bucket WHERE name = '{}')",
        columns.join(", "),
        selected.join(", ").replace(":per_group", &(size / GROUPS).to_string()),
        bucket_of(size),
    );
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

fn database(folder: &Path) -> Result<std::path::PathBuf> {
    let files = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut databases =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "sqlite" || extension == "db"));
    databases.next().with_context(|| format!("no database in {}", folder.display()))
}
