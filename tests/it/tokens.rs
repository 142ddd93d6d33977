//! Access tokens over HTTP.

use crate::harness::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorstep::config::keys::Keys;
use doorstep::domain::client::Role;
use doorstep::domain::region::Region;
use doorstep::http::auth::Tokens;
use doorstep::store::clients::NewClient;
use serde_json::{Value, json};
use std::time::Duration;

const LIFETIME: Duration = Duration::from_secs(900);

fn issued(keys: &Keys, issuer: &str, sub: &str, scope: &str) -> String {
    let answer = Tokens::new(keys, issuer, LIFETIME).issue(sub, scope, None, noon()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_token_that_is_not_ours_is_refused_in_one_form() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let good = platform.caller.token.clone().unwrap();
    platform.caller.get("/v1/postings").await.expect(200);
    let parts: Vec<&str> = good.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let encode = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
    let changed = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        format!("{}.{}.{}", parts[0], encode(&claims), parts[2])
    };
    let alg = |alg: &str, signature: &str| {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        format!("{}.{}.{signature}", encode(&header), parts[1])
    };
    // HS256 with the public key as its secret, an old confusion.
    let public = app.anonymous().get("/.well-known/jwks.json").await.expect(200).json;
    let x = URL_SAFE_NO_PAD.decode(public["keys"][0]["x"].as_str().unwrap()).unwrap();
    let hs256 = jsonwebtoken::encode(
        &jsonwebtoken::Header {
            kid: header["kid"].as_str().map(str::to_owned),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
        },
        &claims,
        &jsonwebtoken::EncodingKey::from_secret(&x),
    )
    .unwrap();
    let sub = claims["sub"].as_str().unwrap();
    let forged = [
        ("empty", String::new()),
        ("no token", "token".to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("without a signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", alg("none", "")),
        ("alg none with the signature", alg("none", parts[2])),
        ("alg RS256", alg("RS256", parts[2])),
        ("signed with the public key", hs256),
        ("another role", changed("scope", json!("admin"))),
        ("another subject", changed("sub", json!("01890a5d-ac96-774b-bcce-b302099a8057"))),
        ("a later end", changed("exp", json!(4_000_000_000i64))),
        ("other keys", issued(&keys(), "doorstep", sub, "platform")),
        ("another issuer", issued(&app.keys, "somebody", sub, "platform")),
        ("our keys, an unknown client", issued(&app.keys, "doorstep", "01890a5d-ac96-774b-bcce-b302099a8057", "platform")),
        ("our keys, another role of the client", issued(&app.keys, "doorstep", sub, "admin")),
        ("our keys, an unknown scope", issued(&app.keys, "doorstep", sub, "root")),
    ];
    let wanted = app.anonymous().get("/v1/postings").await.expect_problem(401, "unauthorized").without_request_id();
    for (what, token) in forged {
        let refused = app.bearing(&token).get("/v1/postings").await;
        assert_eq!((refused.status, refused.without_request_id()), (401, wanted.clone()), "{what}");
        assert!(refused.header("www-authenticate").starts_with("Bearer"), "{what}");
    }
    // Ours, until it ends.
    app.pass(LIFETIME + Duration::from_secs(4));
    platform.caller.get("/v1/postings").await.expect(200);
    app.pass(Duration::from_secs(2));
    let expired = platform.caller.get("/v1/postings").await.expect_problem(401, "unauthorized");
    assert_eq!(expired.without_request_id(), wanted);
    app.finish().await;
}

#[actix_web::test]
async fn the_token_endpoint_speaks_oauth() {
    let app = spawn().await;
    let new = NewClient {
        role: Role::Office,
        name: "an office".to_owned(),
        region: Region::parse("522624").unwrap(),
        adapter: "canonical".to_owned(),
    };
    let (id, secret) = app.state().store.add_client(new, app.now()).await.unwrap();
    let id = id.to_string();
    let ask = async |form: &[(&str, &str)], basic: Option<(&str, &str)>| {
        let request = app.anonymous().request("POST", "/oauth/token").form(form);
        let request = match basic {
            Some((id, secret)) => request.header("authorization", format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))),
            None => request,
        };
        app.anonymous().send(request).await
    };
    let grant = ("grant_type", "client_credentials");
    let answer = ask(&[grant, ("client_id", &id), ("client_secret", &secret)], None).await.expect(200);
    assert_eq!(
        (&answer.json["token_type"], &answer.json["expires_in"], &answer.json["scope"]),
        (&json!("Bearer"), &json!(900), &json!("office"))
    );
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let token = answer.json["access_token"].as_str().unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!((&claims["region"], &claims["sub"]), (&json!("522624"), &json!(id)));
    ask(&[grant], Some((&id, &secret))).await.expect(200);

    let wrong = ask(&[grant, ("client_id", &id), ("client_secret", "ds_wrong")], None).await.expect_problem(401, "invalid_client");
    assert_eq!(wrong.json["error"], "invalid_client");
    assert!(wrong.json["error_description"].is_string());
    let unknown = ask(&[grant, ("client_id", "01890a5d-ac96-774b-bcce-b302099a8057"), ("client_secret", &secret)], None).await;
    assert_eq!(unknown.without_request_id(), wrong.without_request_id());
    let basic = ask(&[grant], Some((&id, "ds_wrong"))).await.expect_problem(401, "invalid_client");
    assert!(basic.header("www-authenticate").starts_with("Basic"));
    ask(&[("grant_type", "password"), ("username", "a")], None).await.expect_problem(400, "unsupported_grant_type");
    ask(&[("grant_type", "link"), ("link", "none")], None).await.expect_problem(400, "invalid_grant");
    ask(&[], None).await.expect_problem(400, "invalid_request");

    // A revoked client gets no token, and an unused one it had is worth nothing.
    let admin = app.admin().await;
    admin.delete(&format!("/v1/clients/{id}")).await.expect(204);
    admin.delete(&format!("/v1/clients/{id}")).await.expect(204);
    ask(&[grant, ("client_id", &id), ("client_secret", &secret)], None).await.expect_problem(401, "invalid_client");
    app.bearing(token).get("/v1/workers").await.expect_problem(401, "unauthorized");
    app.finish().await;
}
