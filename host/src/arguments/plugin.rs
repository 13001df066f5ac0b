//! What the command line asks of plugins.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with a plugin. None of it needs a configuration or a running server.
#[derive(Debug, Subcommand)]
pub enum PluginCommand {
    /// Say what a plugin is, what it needs and what its details may hold
    Inspect(Inspect),
    /// Ask a plugin, at a location of its own, all that the contract promises; ends with 1 when something is not so
    Test(Test),
    /// Write a complete project of a new plugin
    New(New),
}

/// What to look into.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The plugin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Verify the signature beside it with this key: the second line of minisign.pub, or that file; may be given again
    #[arg(long, value_name = "KEY")]
    pub public_key: Vec<String>,
    /// Answer one JSON object
    #[arg(long)]
    pub json: bool,
    /// Where to keep compiled plugins.
    #[command(flatten)]
    pub cache: Cache,
}

/// What to test, and where.
#[derive(Debug, Args)]
pub struct Test {
    /// The plugin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// A JSON file with the location: { "type": …, "details": { … } }, or a whole locationConfig.json
    #[arg(long, value_name = "FILE")]
    pub location: PathBuf,
    /// Which location of a whole locationConfig.json [default: the only one of the plugin's type]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Ask only cases whose id begins with this; may be given again
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Do not measure operations when the cases are over
    #[arg(long)]
    pub no_measure: bool,
    /// Write the report as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Where to keep compiled plugins.
    #[command(flatten)]
    pub cache: Cache,
}

/// What to write.
#[derive(Debug, Args)]
pub struct New {
    /// The plugin's name, which is its locations' type: lower-case letters, digits and underscores
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The language to write it in
    #[arg(long, value_enum, default_value_t)]
    pub lang: Language,
    /// The folder to write it to; it must not exist or be empty [default: the name]
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

/// The languages that a plugin can be written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With the SDK
    #[default]
    Rust,
    /// From the contract alone
    Python,
    /// From the contract alone
    C,
}

/// Where compiled plugins are kept.
#[derive(Debug, Args)]
pub struct Cache {
    /// Keeps compiled plugins for the next time [default: not kept]
    #[arg(long, env = "SALLYPORT_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
}
