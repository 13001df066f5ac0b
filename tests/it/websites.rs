//! Buckets as pages see them: websites, redirects, cross-origin requests.

use hyper::Method;
use sallyport_tests::client::{Answer, Call, Client};
use sallyport_tests::gateway::{Gateway, Setup};
use serde_json::json;

const HOST: &str = "pages.web.test";

/// A bucket that everybody may read, with a website.
async fn site(configuration: &str) -> (Gateway, Client) {
    let setup = Setup::with_locations(json!({})).config("websiteEndpoints", json!(["web.test"]));
    let gateway = setup.start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("pages", "").await.unwrap().status, 200);
    let unblock = client.send(Call::new(Method::DELETE, "pages").query("publicAccessBlock", "")).await.unwrap();
    assert_eq!(unblock.status, 204, "{}", unblock.text());
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pages/*" },
        { "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pages/secret" }
    ] });
    let put = Call::new(Method::PUT, "pages").query("policy", "").body(policy.to_string());
    let answer = client.send(put).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.text());
    let document = format!("<WebsiteConfiguration>{configuration}</WebsiteConfiguration>");
    let put = Call::new(Method::PUT, "pages").query("website", "").body(document);
    let answer = client.send(put).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    (gateway, client)
}

#[tokio::test]
async fn a_website_that_nobody_may_read_tells_of_nothing() {
    let (_gateway, client) = site("<IndexDocument><Suffix>index.html</Suffix></IndexDocument>").await;
    assert_eq!(client.put("pages/there", "x").await.unwrap().status, 200);
    let removed = client.send(Call::new(Method::DELETE, "pages").query("policy", "")).await.unwrap();
    assert_eq!(removed.status, 204);
    assert_eq!((get(&client, "there").await.0, get(&client, "absent").await.0), (403, 403));
}

async fn visit(client: &Client, method: Method, path: &str) -> Answer {
    client.at_host(HOST).send_unsigned(Call::new(method, path)).await.unwrap()
}

async fn get(client: &Client, path: &str) -> (u16, String, String) {
    let answer = visit(client, Method::GET, path).await;
    (answer.status.as_u16(), answer.header("location").to_owned(), answer.text())
}

#[tokio::test]
async fn visitors_get_pages_redirects_and_the_owners_errors() {
    let (_gateway, client) = site(
        "<IndexDocument><Suffix>index.html</Suffix></IndexDocument><ErrorDocument><Key>error.html</Key></ErrorDocument>\
         <RoutingRules><RoutingRule><Condition><KeyPrefixEquals>old/</KeyPrefixEquals></Condition><Redirect>\
         <ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith><HttpRedirectCode>302</HttpRedirectCode></Redirect></RoutingRule>\
         <RoutingRule><Condition><KeyPrefixEquals>lost/</KeyPrefixEquals>\
         <HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals></Condition><Redirect><HostName>other.test</HostName>\
         <Protocol>https</Protocol><ReplaceKeyWith>found</ReplaceKeyWith></Redirect></RoutingRule></RoutingRules>",
    )
    .await;
    for (key, text) in [
        ("index.html", "home"),
        ("docs/index.html", "docs"),
        ("error.html", "sorry"),
        ("secret", "x"),
        ("/other.test/index.html", "x"),
    ] {
        client.put(&format!("pages/{key}"), text).await.unwrap();
    }
    let moved = Call::new(Method::PUT, "pages/moved").header("x-amz-website-redirect-location", "/docs/").body("x");
    assert_eq!(client.send(moved).await.unwrap().status, 200);
    assert_eq!(client.head("pages/moved").await.unwrap().header("x-amz-website-redirect-location"), "/docs/");

    let page = |status: u16, text: &str| (status, String::new(), text.to_owned());
    let sent = |status: u16, location: &str| (status, location.to_owned(), String::new());
    assert_eq!(get(&client, "").await, page(200, "home"));
    assert_eq!(get(&client, "docs/").await, page(200, "docs"));
    assert_eq!(get(&client, "docs").await, sent(302, "/docs/"));
    assert_eq!(get(&client, "/other.test").await, sent(302, &format!("http://{HOST}//other.test/")), "no other host");
    assert_eq!(get(&client, "moved").await, sent(301, "/docs/"));
    assert_eq!(get(&client, "old/a b").await, sent(302, &format!("http://{HOST}/new/a%20b")));
    assert_eq!(get(&client, "lost/x").await, sent(301, "https://other.test/found"));
    assert_eq!(get(&client, "nothing").await, page(404, "sorry"));
    assert_eq!(get(&client, "secret").await, page(403, "sorry"));
    let head = visit(&client, Method::HEAD, "docs/").await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "4", 0));
    assert_eq!(visit(&client, Method::PUT, "docs/").await.status, 405);

    client.delete("pages/error.html").await.unwrap();
    let bare = visit(&client, Method::GET, "nothing").await;
    assert_eq!((bare.status.as_u16(), bare.header("x-amz-error-code")), (404, "NoSuchKey"));
    assert!(bare.header("content-type").starts_with("text/html"));
    assert!(bare.text().contains("<li>Code: NoSuchKey</li>"), "{}", bare.text());
    assert!(bare.text().contains("Retrieve a Custom Error Document"), "{}", bare.text());

    let gone = client.send(Call::new(Method::DELETE, "pages").query("website", "")).await.unwrap();
    assert_eq!(gone.status, 204);
    assert_eq!(visit(&client, Method::GET, "").await.header("x-amz-error-code"), "NoSuchWebsiteConfiguration");
}

#[tokio::test]
async fn a_bucket_may_send_every_visitor_elsewhere() {
    let all =
        "<RedirectAllRequestsTo><HostName>other.test</HostName><Protocol>https</Protocol></RedirectAllRequestsTo>";
    let (_gateway, client) = site(all).await;
    assert_eq!(get(&client, "a/b").await, (301, "https://other.test/a/b".to_owned(), String::new()));
    let nobody = client.at_host("nobody.web.test").send_unsigned(Call::new(Method::GET, "")).await.unwrap();
    assert_eq!((nobody.status.as_u16(), nobody.header("x-amz-error-code")), (404, "NoSuchBucket"));
}

#[tokio::test]
async fn scripts_of_allowed_origins_read_answers_and_others_do_not() {
    let gateway = Setup::with_locations(json!({})).start().await.unwrap();
    let client = gateway.client().unwrap();
    assert_eq!(client.create_bucket("shared", "").await.unwrap().status, 200);
    let preflight = |origin: &str, method: &str| {
        Call::new(Method::OPTIONS, "shared/k")
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "X-Amz-Meta-A, content-type")
    };
    let refused = client.send_unsigned(preflight("http://a.test", "PUT")).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "AccessForbidden"));
    let rule = "<CORSConfiguration><CORSRule><AllowedOrigin>http://*.test</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>\
                <AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>\
                <MaxAgeSeconds>60</MaxAgeSeconds></CORSRule></CORSConfiguration>";
    let put = client.send(Call::new(Method::PUT, "shared").query("cors", "").body(rule)).await.unwrap();
    assert_eq!(put.status, 200, "{}", put.text());
    let allowed = client.send_unsigned(preflight("http://a.test", "PUT")).await.unwrap();
    assert_eq!(allowed.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", "http://a.test"),
        ("access-control-allow-methods", "PUT, GET"),
        ("access-control-allow-headers", "x-amz-meta-a, content-type"),
        ("access-control-max-age", "60"),
        ("access-control-expose-headers", "ETag"),
    ] {
        assert_eq!(allowed.header(name), value, "{name}");
    }
    for (origin, method) in [("http://a.other", "PUT"), ("http://a.test", "DELETE")] {
        assert_eq!(client.send_unsigned(preflight(origin, method)).await.unwrap().status, 403, "{origin} {method}");
    }
    // An error can be read as well.
    let missing = Call::new(Method::GET, "shared/missing").header("origin", "http://a.test");
    let missing = client.send(missing).await.unwrap();
    assert_eq!((missing.status.as_u16(), missing.header("access-control-allow-origin")), (404, "http://a.test"));
    let other = client.send(Call::new(Method::GET, "shared/missing").header("origin", "http://b")).await.unwrap();
    assert_eq!(other.header("access-control-allow-origin"), "");
}
