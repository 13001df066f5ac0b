//! What the kernel is asked, in its order: nothing is answered before it is on the disk.

use super::{LARGE, complete_call, content, create_upload, part_call, setup};
use hyper::Method;
use sallyport_tests::client::Call;
use sallyport_tests::tools;
use sallyport_tests::wrapped::Wrapped;
use serde_json::json;
use std::ffi::OsString;
use std::path::Path;

/// What is traced: sockets, and all that makes a file.
const CALLS: &str = "trace=read,recvfrom,write,writev,sendto,sendmsg,openat,pwrite64,fsync,fdatasync,rename,renameat,\
                     renameat2,mkdirat,unlinkat";

#[tokio::test]
async fn nothing_is_answered_before_it_is_on_the_disk() {
    let strace = tools::strace().unwrap();
    let trace = |folder: &Path| {
        // The server is the child and strace its grandchild, so that signals reach the server.
        let words = ["-D", "-f", "-y", "-s", "800", "-e", CALLS, "-o"].map(OsString::from);
        let file = folder.join("trace").into_os_string();
        std::iter::once(strace.clone().into_os_string()).chain(words).chain([file]).collect()
    };
    let mut gateway = Wrapped::start(&setup(json!({})), trace).await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("traced", "").await.unwrap().status, 200);
    for (key, size) in [("small", 100), ("small", 101), ("large", LARGE)] {
        assert_eq!(client.put(&format!("traced/{key}"), content(1, size)).await.unwrap().status, 200);
    }
    let upload = create_upload(&client, "traced/parts").await;
    let part = client.send(part_call("traced/parts", &upload, 1, content(1, LARGE))).await.unwrap();
    assert_eq!(part.status, 200);
    let complete = complete_call("traced/parts", &upload, &[part.header("etag").to_owned()]);
    assert!(client.send(complete).await.unwrap().text().contains("<CompleteMultipartUploadResult"));
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let tagging = Call::new(Method::PUT, "traced/small").query("tagging", "").body(tags);
    assert_eq!(client.send(tagging).await.unwrap().status, 200);
    assert_eq!(client.delete("traced/small").await.unwrap().status, 204);
    gateway.stop().await.unwrap();
    let text = ended_trace(&gateway.folder().join("trace")).await;
    let events = read(&text);

    for request in ["PUT /traced/small", "PUT /traced/large", "PUT /traced/parts"] {
        let exchanges = exchanges(&events, request, "HTTP/1.1 200");
        assert!(!exchanges.is_empty(), "{request} is not in the trace");
        // The intent of a small write leads to a file of its own at most, and its commit syncs it.
        let intent = if request.ends_with("/small") { is_database_written } else { is_database_synced };
        for exchange in exchanges.iter().filter(|exchange| !exchange.iter().any(|it| it.text.contains("?tagging"))) {
            stores_a_file_for_good(exchange, request, intent);
        }
    }
    for (request, answer) in [
        ("PUT /traced ", "HTTP/1.1 200"),
        ("POST /traced/parts?uploads", "HTTP/1.1 200"),
        ("POST /traced/parts?uploadId", "<CompleteMultipartUploadResult"),
        ("PUT /traced/small?tagging", "HTTP/1.1 200"),
        ("DELETE /traced/small", "HTTP/1.1 204"),
    ] {
        let exchanges = exchanges(&events, request, answer);
        let [exchange] = exchanges.as_slice() else { panic!("{} of {request} in the trace", exchanges.len()) };
        assert!(exchange.iter().any(is_database_synced), "{request} is answered before the database is synced");
    }
    // A delete answers before the bytes go, and a completion moves none.
    let delete = &exchanges(&events, "DELETE /traced/small", "HTTP/1.1 204")[0];
    // The check of a location makes and removes a file of its own at any time.
    let removes = |event: &Event| event.name == "unlinkat" && !event.text.contains(".sallyport-tmp-");
    assert!(!delete.iter().any(removes), "a delete waits for the backend");
    let complete = &exchanges(&events, "POST /traced/parts?uploadId", "<CompleteMultipartUploadResult")[0];
    assert!(!complete.iter().any(|event| event.name == "openat" && event.text.contains(".sallyport-tmp-")));
}

/// Intent, bytes, name, folder, commit; bytes, folder and commit are each durable before the next begins.
fn stores_a_file_for_good(exchange: &[Event], request: &str, is_intent: fn(&Event) -> bool) {
    let show = || exchange.iter().map(|event| event.text.as_str()).collect::<Vec<_>>().join("\n");
    let position = |what: &str, from: usize, is: &dyn Fn(&Event) -> bool| -> usize {
        let found = exchange.iter().skip(from).position(is);
        from + found.unwrap_or_else(|| panic!("{request}: no {what} after event {from} of\n{}", show()))
    };
    let intent = position("intent", 0, &is_intent);
    let created = position("temporary file", 0, &|event| {
        event.name == "openat" && event.text.contains(".sallyport-tmp-") && event.text.contains("O_CREAT")
    });
    assert!(intent < created, "{request}: bytes come before their intent in\n{}", show());
    let synced =
        position("sync of the bytes", created, &|event| event.is_sync() && event.text.contains(".sallyport-tmp-"));
    let named = position("rename", synced, &|event| {
        event.name.starts_with("rename") && event.text.contains(".sallyport-tmp-") && event.succeeded()
    });
    let early = exchange[..synced].iter().any(|event| event.name.starts_with("rename"));
    assert!(!early, "{request}: the name comes before the bytes in\n{}", show());
    let folder = position("sync of the folder", named, &|event| {
        event.is_sync() && event.text.contains("/data/") && !event.text.contains(".sallyport-tmp-")
    });
    // Syncs of what others committed come at any time, and rows of theirs that nobody waits for:
    // the write's own rows are the last that are synced before its answer.
    let last = exchange.iter().rposition(is_database_synced).unwrap_or_default();
    let committed = exchange[..last].iter().rposition(is_database_written).unwrap_or_default();
    assert!(folder < committed, "{request}: its rows come before the sync of the folder in\n{}", show());
    // A new folder's own name is synced, too.
    for (index, made) in exchange.iter().enumerate().filter(|(_, event)| event.name == "mkdirat" && event.succeeded()) {
        let parent = made.descriptor().unwrap_or_else(|| panic!("{}", made.text));
        let synced = position("sync of a new folder's parent", index, &|event| {
            event.is_sync() && event.descriptor() == Some(parent)
        });
        assert!(synced < committed, "{request}: a new folder is synced after the commit in\n{}", show());
    }
}

fn is_database_written(event: &Event) -> bool {
    event.name == "pwrite64" && event.text.contains("metadata.sqlite-wal>")
}

fn is_database_synced(event: &Event) -> bool {
    event.is_sync() && event.text.contains("metadata.sqlite-wal>")
}

/// A system call: where it stands is where it ended, or began when it writes to a socket.
#[derive(Debug, Clone)]
struct Event {
    name: String,
    text: String,
}

impl Event {
    fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.succeeded()
    }

    fn succeeded(&self) -> bool {
        self.text.trim_end().ends_with("= 0")
    }

    fn is_socket(&self) -> bool {
        self.descriptor().is_some_and(|path| path.starts_with("socket:") || path.starts_with("TCP"))
    }

    fn reads(&self) -> bool {
        matches!(self.name.as_str(), "read" | "recvfrom")
    }

    fn writes(&self) -> bool {
        matches!(self.name.as_str(), "write" | "writev" | "sendto" | "sendmsg")
    }

    /// What the first descriptor refers to.
    fn descriptor(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once('<')?;
        rest.split_once('>').map(|(path, _)| path)
    }
}

/// Lines of a trace are `pid call(arguments) = result`, or two of them when another process
/// came in between.
fn read(text: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut unfinished: std::collections::HashMap<&str, String> = std::collections::HashMap::new();
    for line in text.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            let event = Event { name: name(begun), text: begun.to_owned() };
            // An answer has left when its call began: what syncs meanwhile syncs too late.
            if event.writes() && event.is_socket() {
                events.push(event);
            } else {
                unfinished.insert(process, begun.to_owned());
            }
        } else if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            if let Some(begun) = unfinished.remove(process) {
                events.push(Event { name: name(&begun), text: format!("{begun}{end}") });
            }
        } else {
            events.push(Event { name: name(rest), text: rest.to_owned() });
        }
    }
    events
}

fn name(call: &str) -> String {
    call.split('(').next().unwrap_or_default().to_owned()
}

/// What happened between each arrival of a request and the beginning of its answer.
fn exchanges(events: &[Event], request: &str, answer: &str) -> Vec<Vec<Event>> {
    let mut found = Vec::new();
    let starts = events.iter().enumerate();
    for (start, _) in starts.filter(|(_, event)| event.reads() && event.text.contains(&format!("\"{request}"))) {
        let rest = &events[start..];
        let end = rest.iter().position(|event| event.writes() && event.is_socket() && event.text.contains(answer));
        if let Some(end) = end {
            found.push(rest[..end].to_vec());
        }
    }
    found
}

/// The tracer writes its last lines after the server has ended.
async fn ended_trace(path: &Path) -> String {
    let mut text = String::new();
    super::until("the trace ends", async || {
        text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().last().is_some_and(|line| line.contains("+++ exited") || line.contains("+++ killed"))
    })
    .await;
    text
}
