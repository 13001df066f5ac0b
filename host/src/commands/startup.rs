//! What keeps a server from starting though its configuration can be read.

use crate::app::environment_problems;
use crate::config::{Configuration, Environment, Problem};
use crate::destinations::DestinationTable;
use crate::serving::{Certificate, CertificateError};
use std::io;
use std::path::Path;

/// All of it, so that `check` finds what `serve` would end with.
pub(super) async fn problems(configuration: &Configuration, environment: &dyn Environment) -> Vec<Problem> {
    let mut problems = environment_problems(configuration, environment);
    problems.extend(of_certificates(configuration));
    problems.extend(of_metadata(&configuration.metadata_dir).await);
    let fix = "name a file that the server can read, or remove the field";
    for (name, what) in DestinationTable::faults(&configuration.destinations).await {
        let field = format!("bucketNotificationDestinations.{name}");
        problems.push(Problem::fatal(&configuration.config_file, what, fix).at(field));
    }
    problems
}

fn of_certificates(configuration: &Configuration) -> Vec<Problem> {
    let faults = configuration.tls.as_ref().map(Certificate::faults).unwrap_or_default();
    let problem = |(key, error): (&str, CertificateError)| {
        let fix = match error {
            CertificateError::Use(_) => "write the certificate that belongs to the key",
            CertificateError::Read { .. } | CertificateError::Make(_) | CertificateError::Write { .. } => {
                "name a file of PEM that the server can read"
            }
        };
        let field = format!("certFilePaths.{key}");
        Problem::fatal(&configuration.config_file, error.to_string(), fix).at(field)
    };
    faults.into_iter().map(problem).collect()
}

/// Whether the folder is there or can be made, without making it.
async fn of_metadata(folder: &Path) -> Option<Problem> {
    let above = folder.ancestors().find(|above| above.exists()).unwrap_or_else(|| Path::new("."));
    let error = if !above.is_dir() {
        io::Error::from(io::ErrorKind::NotADirectory)
    } else {
        let probe = above.join(format!(".sallyport-{}", std::process::id()));
        let made = tokio::fs::create_dir(&probe).await;
        let _ = tokio::fs::remove_dir(&probe).await;
        made.err()?
    };
    let what = format!("cannot be made: {}: {error}", above.display());
    let fix = "name a folder that the server may make and write, with --metadata-dir or S3METADATAPATH";
    Some(Problem::fatal(folder.display(), what, fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_told_and_none_is_made() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        tokio::fs::write(&file, "").await.unwrap();
        for folder in [root.path().to_owned(), root.path().join("a/b")] {
            assert_eq!(of_metadata(&folder).await, None);
        }
        for folder in [file.clone(), file.join("below")] {
            let problem = of_metadata(&folder).await.unwrap();
            assert!(problem.to_string().contains("file: "), "{problem}");
        }
        assert_eq!(root.path().read_dir().unwrap().count(), 1, "something was made");
    }
}
