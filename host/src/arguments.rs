//! The command line.

mod plugin;

pub use plugin::{Cache, Inspect, Language, New, PluginCommand, Test};

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{LogFormat, Overrides};

/// An S3 server whose storage locations are sandboxed WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(
    name = "sallyport",
    version,
    propagate_version = true,
    after_help = "\
To begin, in a folder with config.json, locationConfig.json and conf/authdata.json:
  sallyport check                     says what is wrong with them, and what to write instead
  sallyport serve                     prints one line with its address once it accepts requests
  s3cmd -c conf/s3cfg mb s3://first   makes a bucket with the keys of conf/authdata.json

CloudServer's variables (S3_CONFIG_FILE, S3DATAPATH, ENDPOINT, LISTEN_ADDR, ...) work as well;
SALLYPORT_... wins over them, and an argument over both."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The command by which the server starts itself as a compiler.
pub const COMPILE_COMMAND: &str = "compile-plugin";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve S3 until SIGTERM or SIGINT
    Serve(Settings),
    /// Report all mistakes in configuration and plugins, and each location's health
    Check(Settings),
    /// Copy the metadata into a file while the server runs
    Backup {
        /// The file to write; it must not exist
        #[arg(value_name = "FILE")]
        to: PathBuf,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Put a backup in place of the metadata, with the server stopped
    Restore {
        /// The backup to read
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Compare metadata with stored bytes, both ways, with the server stopped
    Fsck {
        /// Delete stored objects of ours that nothing refers to
        #[arg(long)]
        repair: bool,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Look after the keys of SSE-S3 and SSE-KMS
    Key {
        /// What to do.
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Look into a plugin, test it, or begin a new one
    Plugin {
        /// What to do.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Take objects that a location holds already into a bucket, where they are, with the server stopped
    Import {
        /// Whose container holds them
        #[arg(long, value_name = "LOCATION")]
        location: String,
        /// The bucket that they become visible in; it must exist
        #[arg(long, value_name = "BUCKET")]
        bucket: String,
        /// Say what would be taken in, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Compile a plugin from standard input to standard output: the server's own child
    #[command(name = COMPILE_COMMAND, hide = true)]
    CompilePlugin {
        /// Most memory, in bytes
        memory: u64,
        /// Most processor time, in seconds
        seconds: u64,
    },
    /// Accept that a location's objects were moved to where it points now
    Rebind {
        /// The location
        #[arg(value_name = "LOCATION")]
        location: String,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
}

/// What to do with keys. All but `rewrap` may be done while the server runs.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key that clients may name for SSE-KMS
    Create {
        /// Its name
        name: String,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Show all keys
    List {
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Wrap the keys of new objects by a new version of a key; old versions stay for old objects
    Rotate {
        /// Its name: sallyport/s3 for SSE-S3, aws/s3 for SSE-KMS without a name
        name: String,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Let a key open and wrap nothing
    Disable {
        /// Its name
        name: String,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Let a disabled key work again
    Enable {
        /// Its name
        name: String,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Wrap all objects' keys by the newest versions, with the server stopped; no object is rewritten
    Rewrap {
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
    /// Seal all keys by the first master key that there is
    Reseal {
        /// Make a new master key first, and drop the old one at the end
        #[arg(long)]
        new: bool,
        /// Where the configuration is.
        #[command(flatten)]
        settings: Settings,
    },
}

impl KeyCommand {
    /// Where the configuration is.
    pub fn settings(&self) -> &Settings {
        match self {
            Self::Create { settings, .. }
            | Self::List { settings }
            | Self::Rotate { settings, .. }
            | Self::Disable { settings, .. }
            | Self::Enable { settings, .. }
            | Self::Rewrap { settings }
            | Self::Reseal { settings, .. } => settings,
        }
    }
}

/// Where the configuration is, and what replaces parts of it.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Hosts, ports, certificate, log level [default: config.json]
    #[arg(long, env = "SALLYPORT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The locations [default: locationConfig.json]
    #[arg(long, env = "SALLYPORT_LOCATIONS", value_name = "FILE")]
    pub locations: Option<PathBuf>,
    /// Accounts and their keys [default: conf/authdata.json]
    #[arg(long, env = "SALLYPORT_AUTH", value_name = "FILE")]
    pub auth: Option<PathBuf>,
    /// Folders with <type>.wasm, separated by commas [default: plugins beside the binary]
    #[arg(long, env = "SALLYPORT_PLUGINS", value_name = "FOLDER", value_delimiter = ',')]
    pub plugins: Vec<PathBuf>,
    /// Holds the bytes of local locations [default: localData]
    #[arg(long, env = "SALLYPORT_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Holds the metadata; losing it is losing everything [default: localMetadata]
    #[arg(long, env = "SALLYPORT_METADATA_DIR", value_name = "FOLDER")]
    pub metadata_dir: Option<PathBuf>,
    /// Holds compiled plugins; several servers may share it [default: compiled, in the metadata folder]
    #[arg(long, env = "SALLYPORT_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// Addresses to serve S3 on, port 0 for a free one [default: 127.0.0.1 and config.json's port]
    #[arg(long, env = "SALLYPORT_LISTEN", value_name = "IP:PORT", value_delimiter = ',')]
    pub listen: Vec<SocketAddr>,
    /// Addresses for /live, /ready and /metrics [default: 127.0.0.1 and metricsPort]
    #[arg(long, env = "SALLYPORT_METRICS_LISTEN", value_name = "IP:PORT", value_delimiter = ',')]
    pub metrics_listen: Vec<SocketAddr>,
    /// How log lines look; auto is text on a terminal and JSON elsewhere
    #[arg(long, env = "SALLYPORT_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

impl From<Settings> for Overrides {
    fn from(settings: Settings) -> Self {
        Self {
            config: settings.config,
            locations: settings.locations,
            auth: settings.auth,
            plugins: settings.plugins,
            data_dir: settings.data_dir,
            metadata_dir: settings.metadata_dir,
            cache_dir: settings.cache_dir,
            listen: settings.listen,
            metrics_listen: settings.metrics_listen,
            log_format: settings.log_format,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn lists_are_separated_by_commas_or_given_again() {
        let line = ["sallyport", "serve", "--listen", "127.0.0.1:0,[::1]:0", "--listen", "1.2.3.4:5"];
        let Command::Serve(settings) = Arguments::parse_from(line).command else {
            panic!("not serve");
        };
        assert_eq!(settings.listen.len(), 3);
    }
}
