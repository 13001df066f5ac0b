//! The reader of XML documents, and each of the documents that requests have.

use crate::auth::{Account, Credentials, Person};
use crate::error::S3Error;
use crate::ops;
use crate::xml::{Document, Element};
use sallyport_core::names::AccountId;

/// Takes a document; which one it is says its root.
pub fn xml(input: &[u8]) {
    let Some(root) = root(input) else { return };
    let Ok(element) = Element::parse(input, &root) else { return };
    assert!(depth(&element) <= 16, "deeper than any document of S3");
    if names_are_plain(&element) {
        let written = Document::bare(&element.name, |root| write(root, &element));
        assert_eq!(Element::parse(written.as_bytes(), &root).ok().as_ref(), Some(&element), "written and read again");
    }
    agrees_with_another_reader(input, &element);
    documents(input, &root);
}

/// The name of the first element, without its prefix; none for what begins with something else.
fn root(input: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(input).ok()?;
    text.match_indices('<').map(|(at, _)| text.get(at + 1..).unwrap_or_default()).find_map(|rest| {
        let name: String = rest.chars().take_while(|character| !" \t\r\n/>".contains(*character)).collect();
        let name = name.rsplit(':').next().unwrap_or_default();
        name.starts_with(|first: char| first.is_alphabetic()).then(|| name.to_owned())
    })
}

fn depth(element: &Element) -> usize {
    1 + element.children.iter().map(depth).max().unwrap_or_default()
}

/// The writer takes names as they are: it is only given ours.
fn names_are_plain(element: &Element) -> bool {
    element.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && element.name.starts_with(|first: char| first.is_ascii_alphabetic())
        && element.children.iter().all(names_are_plain)
}

/// Text comes before the children; where it stood between them, it is together all the same.
fn write(document: &mut Document, element: &Element) {
    document.escape(&element.text);
    for child in &element.children {
        document.nest(&child.name, |document| write(document, child));
    }
}

/// What two readers both take, they understand alike.
fn agrees_with_another_reader(input: &[u8], element: &Element) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // The other one joins a carriage return with a line feed that is written as a reference.
    let text = &text.replace("\r\n", "\n").replace('\r', "\n");
    let Ok(document) = roxmltree::Document::parse(text) else { return };
    same(element, document.root_element());
}

fn same(element: &Element, node: roxmltree::Node<'_, '_>) {
    assert_eq!(element.name, node.tag_name().name());
    let text: String = node.children().filter(|child| child.is_text()).filter_map(|child| child.text()).collect();
    assert_eq!(element.text, text, "the text of {}", element.name);
    let children: Vec<_> = node.children().filter(roxmltree::Node::is_element).collect();
    assert_eq!(element.children.len(), children.len(), "the children of {}", element.name);
    for (child, node) in element.children.iter().zip(children) {
        same(child, node);
    }
}

/// Each reader; what can be written again is read as it was.
fn documents(input: &[u8], root: &str) {
    match root {
        "Tagging" => again(input, |text| ops::tags::parse_document(text, 50).map(sorted), ops::tags::document),
        "CORSConfiguration" => again(input, ops::cors::parse, |configuration| {
            Document::s3(root, |root| {
                for rule in &configuration.rules {
                    root.nest("CORSRule", |element| ops::cors::describe(element, rule));
                }
            })
        }),
        "WebsiteConfiguration" => again(input, ops::website::configuration::parse, |configuration| {
            Document::s3(root, |root| ops::website::configuration::describe(root, configuration))
        }),
        "LifecycleConfiguration" | "BucketLifecycleConfiguration" => {
            let read = |text: &[u8]| {
                let lifecycle = ops::lifecycle::parse::lifecycle(text)?;
                let _ = ops::lifecycle::checks::check(&lifecycle, |class| class.starts_with('A'));
                Ok(lifecycle)
            };
            again(input, read, |lifecycle| {
                Document::s3(root, |root| {
                    for rule in &lifecycle.rules {
                        root.nest("Rule", |element| ops::lifecycle::write_rule(element, rule));
                    }
                })
            });
        }
        "ServerSideEncryptionConfiguration" => {
            let read = |text: &[u8]| {
                let mut encryption = ops::encryption::parse(text)?;
                // What is not said is told as false.
                encryption.bucket_key.get_or_insert_default();
                Ok(encryption)
            };
            again(input, read, ops::encryption::document);
        }
        "InventoryConfiguration" => again(input, ops::inventory::parse, |configuration| {
            Document::s3(root, |root| ops::inventory::describe(root, configuration))
        }),
        "Delete" => drop(ops::delete_objects::parse(input)),
        "CompleteMultipartUpload" => drop(ops::multipart::listed_parts(input)),
        "CreateBucketConfiguration" => drop(ops::buckets::creation(input)),
        "VersioningConfiguration" => drop(ops::buckets::parse_versioning(input)),
        "BucketLoggingStatus" => {
            let read_grant = |grant: &Element| ops::acl::read_grant(&Everybody, grant);
            drop(ops::logging::parse(input, "123456789012".to_owned(), &read_grant));
        }
        "ObjectLockConfiguration" => drop(ops::object_lock::parse_configuration(input)),
        "Retention" => drop(ops::object_lock::parse_retention(input)),
        "LegalHold" => drop(ops::object_lock::parse_legal_hold(input)),
        "RequestPaymentConfiguration" => drop(ops::billing::parse_payer(input)),
        "AccelerateConfiguration" => drop(ops::billing::parse_acceleration(input)),
        "OwnershipControls" => drop(ops::policy::parse_ownership(input)),
        "PublicAccessBlockConfiguration" => drop(ops::policy::parse_block(input)),
        "AccessControlPolicy" => drop(ops::acl::read(&Everybody, input)),
        _ => {}
    }
}

fn again<T: PartialEq + std::fmt::Debug>(
    input: &[u8],
    read: impl Fn(&[u8]) -> Result<T, S3Error>,
    write: impl Fn(&T) -> String,
) {
    let Ok(first) = read(input) else { return };
    let written = write(&first);
    assert_eq!(read(written.as_bytes()).as_ref(), Ok(&first), "{written}");
}

fn sorted(mut tags: ops::tags::Tags) -> ops::tags::Tags {
    tags.sort();
    tags
}

/// Knows every account.
struct Everybody;

impl Credentials for Everybody {
    fn lookup(&self, _: &str) -> Option<Account> {
        None
    }

    fn account(&self, id: &AccountId) -> Option<Person> {
        Some(Person { id: id.clone(), short_id: "111122223333".into(), display_name: "somebody".into() })
    }

    fn by_email(&self, _: &str) -> Option<Person> {
        self.account(&AccountId::new("somebody"))
    }
}
