//! A backend that fails in every way there is, while every operation goes on.

use super::{
    LARGE, abort_open_uploads, complete_call, content, create_upload, is_completed, part_call, persist, setup, until,
};
use hyper::Method;
use sallyport_tests::chaos::{Chaos, Mood};
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::Gateway;
use sallyport_tests::stage::Stage;
use std::time::Duration;

/// What a backend may take before it is given up.
const PATIENCE: &str = "1500";
/// No answer may take longer, retries included, on a machine that is busy.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);
const PARTS: usize = 2;
const SMALL: usize = 1_000;

/// A fault, and whether an operation may succeed all the same.
struct Fault {
    name: &'static str,
    mood: Mood,
    harmless: bool,
}

fn faults() -> Vec<Fault> {
    let fault = |name, mood| Fault { name, mood, harmless: false };
    let garbage = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 25\r\nconnection: close\r\n\r\n\
                   <html>Please log in</html";
    vec![
        fault("down", Mood::Down),
        fault("closes", Mood::Refuse),
        fault("silent", Mood::Silent),
        fault("late", Mood::Slow(Duration::from_secs(4))),
        Fault { name: "slow", mood: Mood::Slow(Duration::from_millis(100)), harmless: true },
        // Some requests are shorter than what passes here, and their operation succeeds.
        Fault { name: "cuts-uploads", mood: Mood::CutRequest(200_000), harmless: true },
        // Within the first line: moto takes a request whose other lines break off for a whole one.
        Fault { name: "cuts-requests", mood: Mood::CutRequest(20), harmless: false },
        Fault { name: "cuts-answers", mood: Mood::CutAnswer(100), harmless: false },
        Fault { name: "cuts-downloads", mood: Mood::CutAnswer(200_000), harmless: true },
        fault("answers-500", Mood::status(500)),
        fault("answers-503", Mood::status(503)),
        fault("answers-403", Mood::status(403)),
        fault("not-http", Mood::Say("220 mail.example.com ESMTP ready\r\n".into())),
        fault("portal", Mood::Say(garbage.into())),
        fault("empty-200", Mood::answer(200, "", "")),
        fault("wrong-xml", Mood::answer(400, "content-type: application/xml\r\n", "<Error><Code>Broken</Co")),
        fault(
            "short-body",
            Mood::Say("HTTP/1.1 200 OK\r\ncontent-length: 1500000\r\nconnection: close\r\n\r\nshort".into()),
        ),
        // As long as it should be, and something else.
        fault("other-bytes", Mood::answer(200, "", &"x".repeat(LARGE))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_backend_without_versions_that_fails_costs_clear_errors_and_nothing_else() {
    let stage = Stage::start().await.unwrap();
    survives(&stage, "plain-aws", &stage.before_moto).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_s3_backend_with_versions_that_fails_costs_clear_errors_and_nothing_else() {
    let stage = Stage::start().await.unwrap();
    survives(&stage, "aws", &stage.before_moto).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_azure_backend_that_fails_costs_clear_errors_and_nothing_else() {
    let stage = Stage::start().await.unwrap();
    survives(&stage, "azure", &stage.before_azurite).await;
}

async fn survives(stage: &Stage, location: &str, chaos: &Chaos) {
    let setup = setup(stage.locations()).environment("SALLYPORT_BACKEND_TIMEOUT_MS", PATIENCE);
    let mut gateway = setup.start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("faults", location).await.unwrap().status, 200);
    assert_eq!(client.create_bucket("elsewhere", "").await.unwrap().status, 200);
    let mut objects = 0;
    for fault in faults() {
        let scene = Scene::set(&client, fault).await;
        chaos.turn(scene.fault.mood.clone());
        let seen = scene.act().await;
        elsewhere_goes_on(&client, scene.fault.name).await;
        chaos.turn(Mood::Honest);
        heals(&client, scene.fault.name).await;
        scene.judge(&seen, &mut gateway).await;
        objects += scene.settle(&seen).await;
        eprintln!("{location} {}: {}", scene.fault.name, seen.summary());
    }
    abort_open_uploads(&client, "faults").await;
    let deadline = tokio::time::Instant::now() + super::SWEPT_WITHIN;
    loop {
        let kept = stage.kept(location).await.unwrap();
        if kept.len() == objects {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{location} keeps {} where {objects} are needed: {kept:?}",
            kept.len()
        );
        tokio::time::sleep(super::PAUSE).await;
    }
    for key in client.keys("faults").await.unwrap() {
        assert_eq!(client.delete(&format!("faults/{key}")).await.unwrap().status, 204);
    }
    until("nothing is left on the backend", async || stage.kept(location).await.unwrap().is_empty()).await;
}

/// The objects and uploads that one fault meets.
struct Scene<'a> {
    client: &'a Client,
    fault: Fault,
    part_upload: String,
    full_upload: String,
    etags: Vec<String>,
}

/// How the operations ended: an answer, or why there is none.
struct Seen {
    outcomes: Vec<(&'static str, Result<Answer, String>)>,
}

impl Seen {
    fn of(&self, operation: &str) -> &Result<Answer, String> {
        &self.outcomes.iter().find(|(name, _)| *name == operation).unwrap().1
    }

    fn succeeded(&self, operation: &str) -> bool {
        self.of(operation).as_ref().is_ok_and(|answer| answer.status.is_success() && answer.code().is_empty())
    }

    fn summary(&self) -> String {
        let one = |(name, outcome): &(&str, Result<Answer, String>)| match outcome {
            Ok(answer) => format!("{name} {} {}", answer.status.as_u16(), answer.code()),
            Err(_) => format!("{name} cut"),
        };
        self.outcomes.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

const OLD: u64 = 1;
const NEW: u64 = 2;

impl<'a> Scene<'a> {
    async fn set(client: &'a Client, fault: Fault) -> Self {
        let mut scene =
            Self { client, fault, part_upload: String::new(), full_upload: String::new(), etags: Vec::new() };
        for (name, size) in [("read", LARGE), ("over", SMALL), ("over-large", LARGE), ("source", SMALL), ("doomed", 9)]
        {
            let call = Call::new(Method::PUT, &scene.path(name)).body(content(OLD, size));
            assert_eq!(persist(client, call).await.status, 200);
        }
        scene.part_upload = create_upload(client, &scene.path("part")).await;
        scene.full_upload = create_upload(client, &scene.path("complete")).await;
        for number in 1..=PARTS {
            let call = part_call(&scene.path("complete"), &scene.full_upload, number, content(NEW, LARGE));
            let stored = persist(client, call).await;
            assert_eq!(stored.status, 200, "{}", stored.text());
            scene.etags.push(stored.header("etag").to_owned());
        }
        scene
    }

    fn path(&self, name: &str) -> String {
        format!("faults/{}/{name}", self.fault.name)
    }

    /// Everything at once; nothing may hang.
    async fn act(&self) -> Seen {
        let put = |name: &str, size| Call::new(Method::PUT, &self.path(name)).body(content(NEW, size));
        let copy = Call::new(Method::PUT, &self.path("copy")).header("x-amz-copy-source", &self.path("source"));
        let calls = [
            ("put", put("new", SMALL)),
            ("overwrite", put("over", SMALL)),
            ("overwrite-large", put("over-large", LARGE)),
            ("get", Call::new(Method::GET, &self.path("read"))),
            ("head", Call::new(Method::HEAD, &self.path("read"))),
            ("delete", Call::new(Method::DELETE, &self.path("doomed"))),
            ("copy", copy),
            ("part", part_call(&self.path("part"), &self.part_upload, 1, content(NEW, LARGE))),
            ("complete", complete_call(&self.path("complete"), &self.full_upload, &self.etags)),
        ];
        let sent = calls.into_iter().map(|(name, call)| async move {
            let answered = tokio::time::timeout(ANSWERED_WITHIN, self.client.send(call)).await;
            let answered = answered.unwrap_or_else(|_| panic!("{} hung while {}", name, self.fault.name));
            (name, answered.map_err(|error| format!("{error:#}")))
        });
        Seen { outcomes: futures::future::join_all(sent).await }
    }

    /// Every answer is one that a client can act on.
    async fn judge(&self, seen: &Seen, gateway: &mut Gateway) {
        let fault = self.fault.name;
        for (name, outcome) in &seen.outcomes {
            let context = format!("{name} while {fault}: {outcome:?}");
            match (*name, outcome) {
                // The database alone answers these.
                ("head", Ok(answer)) => assert_eq!(answer.status, 200, "{context}"),
                ("delete", Ok(answer)) => assert_eq!(answer.status, 204, "{context}"),
                ("get", Err(_)) => {}
                ("get", Ok(answer)) if answer.status == 200 => {
                    assert!(answer.body == content(OLD, LARGE), "other bytes while {fault}");
                    assert!(self.fault.harmless, "a whole object while {fault}");
                }
                (_, Err(error)) => panic!("{name} while {fault}: {error}\n{}", gateway.log()),
                (_, Ok(answer)) if seen.succeeded(name) => {
                    assert!(self.fault.harmless, "{context}");
                    assert_eq!(answer.status, 200, "{context}");
                }
                (_, Ok(answer)) => is_clear(answer, &context),
            }
        }
    }

    /// After the fault every key has the old or the new bytes, what was acknowledged has the
    /// new ones, and what failed can be done again. Answers how many objects there are now.
    async fn settle(&self, seen: &Seen) -> usize {
        let states = [("new", "put", SMALL), ("over", "overwrite", SMALL), ("over-large", "overwrite-large", LARGE)];
        for (name, operation, size) in states {
            let answer = self.read(name).await;
            let is_new = answer.status == 200 && answer.body == content(NEW, size);
            let is_old = match name {
                "new" => answer.status == 404,
                _ => answer.status == 200 && answer.body == content(OLD, size),
            };
            let context = format!("{name} while {}: {} {}", self.fault.name, answer.status, answer.code());
            assert!(is_new || (is_old && !seen.succeeded(operation)), "{context}");
        }
        for (name, old) in [("read", LARGE), ("source", SMALL)] {
            let answer = self.read(name).await;
            assert!(answer.body == content(OLD, old), "{name} after {}: {}", self.fault.name, answer.text());
        }
        assert_eq!(self.read("doomed").await.status, 404);
        // What failed is done again, as a client would.
        for (name, size) in [("new", SMALL), ("over", SMALL), ("over-large", LARGE)] {
            let answer = persist(self.client, Call::new(Method::PUT, &self.path(name)).body(content(NEW, size))).await;
            assert_eq!(answer.status, 200, "{} after {}: {}", name, self.fault.name, answer.text());
        }
        let copy = Call::new(Method::PUT, &self.path("copy")).header("x-amz-copy-source", &self.path("source"));
        assert!(persist(self.client, copy).await.text().contains("<CopyObjectResult"), "{}", self.fault.name);
        self.finish_uploads().await;
        for (name, seed, size) in
            [("new", NEW, SMALL), ("over", NEW, SMALL), ("over-large", NEW, LARGE), ("copy", OLD, SMALL)]
        {
            let answer = self.read(name).await;
            assert!(answer.body == content(seed, size), "{name} after {}: {}", self.fault.name, answer.status);
        }
        // read, over, over-large, source, new, copy, part, complete
        8
    }

    async fn read(&self, name: &str) -> Answer {
        persist(self.client, Call::new(Method::GET, &self.path(name))).await
    }

    async fn finish_uploads(&self) {
        let call = part_call(&self.path("part"), &self.part_upload, 1, content(NEW, SMALL));
        let stored = persist(self.client, call).await;
        assert_eq!(stored.status, 200, "part after {}: {}", self.fault.name, stored.text());
        let etag = stored.header("etag").to_owned();
        let call = complete_call(&self.path("part"), &self.part_upload, &[etag]);
        let answer = persist(self.client, call).await;
        assert!(is_completed(&answer), "after {}: {}", self.fault.name, answer.text());
        let answer = self.read("part").await;
        assert!(answer.body == content(NEW, SMALL), "part after {}", self.fault.name);

        // Either the sweeper found that the backend had completed it, or it can be now.
        let whole = content(NEW, LARGE).repeat(PARTS);
        let deadline = tokio::time::Instant::now() + super::SWEPT_WITHIN;
        loop {
            let call = complete_call(&self.path("complete"), &self.full_upload, &self.etags);
            let answer = persist(self.client, call).await;
            if is_completed(&answer) || answer.code() == "NoSuchUpload" {
                break;
            }
            let now = tokio::time::Instant::now();
            assert!(now < deadline, "after {}: {}", self.fault.name, answer.text());
            tokio::time::sleep(super::PAUSE).await;
        }
        let answer = self.read("complete").await;
        assert!(answer.body == whole, "complete after {}: {}", self.fault.name, answer.status);
    }
}

/// An S3 error that tells a client to come back: 500 or 503, with a code and a request id.
fn is_clear(answer: &Answer, context: &str) {
    let known = ["ServiceUnavailable", "SlowDown", "InternalError", "LocationNotFound"];
    assert!(known.contains(&answer.code().as_str()), "{context}");
    assert!(!answer.elements("RequestId").is_empty() && !answer.elements("Message").is_empty(), "{context}");
    // A completion's and a copy's status may be out before the error is known.
    let status = answer.status.as_u16();
    let expected = match answer.code().as_str() {
        "InternalError" => 500,
        "LocationNotFound" => 424,
        _ => 503,
    };
    assert!(status == expected || status == 200, "{context}");
}

async fn elsewhere_goes_on(client: &Client, name: &str) {
    let path = format!("elsewhere/{name}");
    assert_eq!(client.put(&path, "goes on").await.unwrap().status, 200);
    assert_eq!(client.get(&path).await.unwrap().text(), "goes on");
}

/// A health check may have fallen into the fault: the location comes back by itself.
async fn heals(client: &Client, name: &str) {
    let path = format!("faults/{name}/healed");
    until("the location heals", async || client.put(&path, "healed").await.unwrap().status == 200).await;
    assert_eq!(client.delete(&path).await.unwrap().status, 204);
}
