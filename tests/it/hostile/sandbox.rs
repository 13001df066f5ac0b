//! F: ways out of the sandbox.

use super::{Siege, repetitions};
use serde_json::json;
use std::os::unix::fs::symlink;

#[tokio::test]
async fn f1_no_path_leads_out_of_the_locations_folder() {
    let siege = Siege::of(json!({}), json!({})).await;
    let folder = siege.gateway.folder().join("data/hostile");
    let outside = siege.gateway.folder().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, folder.join("link")).unwrap();
    symlink(outside.join("secret"), folder.join("file-link")).unwrap();
    std::fs::write(folder.join("own"), "own").unwrap();
    assert!(siege.says("file/own").await.contains("read 3 bytes"));
    for path in [
        "..%2Foutside%2Fsecret",
        "..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "%2Fetc%2Fpasswd",
        "link%2Fsecret",
        "file-link",
        "file-link%2F",
        "link%2F..%2F..%2Foutside%2Fsecret",
        "own%2F..%2F..%2Foutside%2Fsecret",
        ".",
        "..",
        "own%00",
        "%2Fproc%2Fself%2Fenviron",
        "%2Fdev%2Fzero",
        "",
    ] {
        let said = siege.says(&format!("file/{path}")).await;
        assert!(said.contains("no file"), "{path}: {said}");
    }
    for path in ["..%2Fescaped", "link%2Fescaped", "%2Ftmp%2Fsallyport-escaped", "file-link%2Fescaped", "own%2Fescaped"]
    {
        let said = siege.says(&format!("writes/{path}")).await;
        assert!(said.contains("no file"), "{path}: {said}");
    }
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(siege.repeat("file/..%2Foutside%2Fsecret", repetitions()).await, ["ServiceUnavailable"]);
    siege.ends_well().await;
}

#[tokio::test]
async fn f5_a_plugin_sees_no_environment_no_arguments_no_files_and_no_network() {
    let siege = Siege::of(json!({}), json!({})).await;
    let said = siege.says("sees/x").await.replace("&quot;", "\"");
    assert!(said.contains("environment [] arguments [] files 0 socket false"), "{said}");
    siege.ends_well().await;
}

#[tokio::test]
async fn f6_log_lines_are_few_and_printable() {
    let siege = Siege::of(json!({}), json!({ "logLinesPerSecond": 10 })).await;
    assert_eq!(siege.put("shout/500", "x").await.status, 200);
    assert_eq!(siege.put("print/500", "x").await.status, 200);
    assert!(siege.hits("logLinesPerSecond").await >= 900);
    let log = siege.ends_well().await;
    assert!(!log.contains(['\u{1b}', '\u{7}']), "an escape reached the log");
    let shouted = log.lines().filter(|line| line.contains("shouting") || line.contains("printing")).count();
    assert!((1..100).contains(&shouted), "{shouted} lines");
}

#[tokio::test]
async fn f_random_numbers_have_a_limit() {
    let siege = Siege::of(json!({}), json!({ "randomBytes": 1_024 })).await;
    let said = siege.says("random/1000000").await;
    assert!(said.contains("1024 random bytes"), "{said}");
    siege.ends_well().await;
}
