//! Who calls: access tokens by client credentials or a worker's link, and the
//! extractors that make a route unable to forget to ask.
//!
//! Tokens are EdDSA JWTs. `exp iss aud sub` are required, `nbf` is checked, 5 s of
//! leeway, one algorithm for each key, the key looked up by `kid`: jsonwebtoken's
//! defaults do none of this fully, and its clock is the machine's, so the times
//! are checked here against the gateway's own.

use super::State;
use super::edge::LimitSlot;
use super::problem::{Problem, over};
use crate::cache::Meter;
use crate::config::keys::Keys;
use crate::domain::client::{Client, Role, Slug};
use crate::domain::id::{ClientId, WorkerId};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aws_lc_rs::signature::KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const AUDIENCE: &str = "doorstep-api";
const LEEWAY: i64 = 5;
/// How long a client's row is believed: a revocation is in force within this time.
const CLIENT_BELIEVED: Duration = Duration::from_secs(3);

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    jti: String,
    /// The role: `platform`, `office`, `admin` or `worker`.
    scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

/// Makes and checks access tokens.
pub struct Tokens {
    issuer: String,
    lifetime: Duration,
    kid: String,
    signing: EncodingKey,
    keys: HashMap<String, DecodingKey>,
    jwks: Value,
    believed: Mutex<HashMap<ClientId, (Client, Instant)>>,
}

impl Tokens {
    pub fn new(keys: &Keys, issuer: &str, lifetime: Duration) -> Self {
        let mut decoding = HashMap::new();
        let mut published = Vec::new();
        for key in &keys.token {
            let x = URL_SAFE_NO_PAD.encode(key.pair().public_key().as_ref());
            if let Ok(decoder) = DecodingKey::from_ed_components(&x) {
                decoding.insert(key.kid.clone(), decoder);
            }
            published.push(json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": x}));
        }
        Self {
            issuer: issuer.to_owned(),
            lifetime,
            kid: keys.token[0].kid.clone(),
            signing: EncodingKey::from_ed_der(keys.token[0].pkcs8.expose_secret()),
            keys: decoding,
            jwks: json!({"keys": published}),
            believed: Mutex::default(),
        }
    }

    /// The public keys (RFC 7517, RFC 8037).
    pub fn jwks(&self) -> &Value {
        &self.jwks
    }

    /// The answer of the token endpoint (RFC 6749 §5.1).
    pub fn issue(&self, sub: &str, scope: &str, region: Option<Region>, now: Moment) -> Result<Value, Problem> {
        let iat = now.ms() / 1000;
        let expires = i64::try_from(self.lifetime.as_secs()).unwrap_or(900);
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: sub.to_owned(),
            exp: iat + expires,
            iat,
            nbf: Some(iat),
            jti: uuid::Uuid::new_v4().to_string(),
            scope: scope.to_owned(),
            region,
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &self.signing).map_err(Problem::internal)?;
        Ok(json!({"access_token": token, "token_type": "Bearer", "expires_in": expires, "scope": scope}))
    }

    fn check(&self, token: &str, now: Moment) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = self.keys.get(header.kid.as_deref()?)?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.validate_exp = false;
        rules.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &rules).ok()?.claims;
        let seconds = now.ms() / 1000;
        let in_time =
            claims.exp > seconds - LEEWAY && claims.iat <= seconds + LEEWAY && claims.nbf.is_none_or(|nbf| nbf <= seconds + LEEWAY);
        in_time.then_some(claims)
    }

    async fn client(&self, state: &State, id: ClientId) -> Result<Option<Client>, Problem> {
        let known = self.believed.lock().unwrap_or_else(|e| e.into_inner()).get(&id).cloned();
        if let Some((client, at)) = known
            && at.elapsed() < CLIENT_BELIEVED
        {
            return Ok(Some(client));
        }
        let client = state.store.client(id).await?.filter(|c| !c.revoked);
        let mut believed = self.believed.lock().unwrap_or_else(|e| e.into_inner());
        match &client {
            Some(client) => drop(believed.insert(id, (client.clone(), Instant::now()))),
            None => drop(believed.remove(&id)),
        }
        Ok(client)
    }
}

/// A caller with a valid token.
#[derive(Clone, Debug)]
pub enum Caller {
    Client(Client),
    Worker(WorkerId),
}

/// Who calls, found out once for each request and shared by its extractors.
type Authenticated = Shared<LocalBoxFuture<'static, Result<Caller, Problem>>>;

/// The bearer token of a request, checked, and its limit taken.
fn caller(request: &HttpRequest) -> Authenticated {
    if let Some(known) = pending(request) {
        return known;
    }
    // Nothing of the request itself is held: the answer is kept in the request.
    let state = request.app_data::<Data<State>>().cloned();
    let (slot, token, address) = (LimitSlot::of(request), bearer(request).map(str::to_owned), address(request));
    let found = async move {
        let state = state.ok_or_else(|| Problem::internal("a route without its state"))?;
        caller_with(&slot, &state, token.as_deref(), &address).await
    };
    let shared = found.boxed_local().shared();
    request.extensions_mut().insert(shared.clone());
    shared
}

/// The question who calls, where a route has asked it. A body waits for the answer,
/// so that nobody is told of their body before their token was looked at.
pub fn pending(request: &HttpRequest) -> Option<Authenticated> {
    request.extensions().get::<Authenticated>().cloned()
}

async fn caller_with(slot: &LimitSlot, state: &State, token: Option<&str>, address: &str) -> Result<Caller, Problem> {
    let Some(claims) = token.and_then(|t| state.tokens.check(t, state.clock.now())) else {
        take_into(slot, state, Meter::Anonymous, address, 1).await?;
        return Err(Problem::unauthorized());
    };
    take_into(slot, state, Meter::Requests, &claims.sub, 1).await?;
    match claims.scope.as_str() {
        "worker" => WorkerId::parse(&claims.sub).map(Caller::Worker).ok_or_else(Problem::unauthorized),
        scope => {
            let id = ClientId::parse(&claims.sub).ok_or_else(Problem::unauthorized)?;
            let client = state.tokens.client(state, id).await?.filter(|c| c.role.code() == scope);
            client.map(Caller::Client).ok_or_else(Problem::unauthorized)
        }
    }
}

/// The office behind an access token that did not come as a bearer: a page's
/// session. Checked and limited as a bearer is.
pub async fn office_of(request: &HttpRequest, state: &State, token: &str) -> Result<OfficeToken, Problem> {
    caller_with(&LimitSlot::of(request), state, Some(token), &address(request)).await.and_then(office)
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    let text = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Takes `n` from a meter; the verdict goes into the answer's headers.
pub async fn take(request: &HttpRequest, state: &State, meter: Meter, key: &str, n: u32) -> Result<(), Problem> {
    take_into(&LimitSlot::of(request), state, meter, key, n).await
}

async fn take_into(slot: &LimitSlot, state: &State, meter: Meter, key: &str, n: u32) -> Result<(), Problem> {
    let verdict = state.limits.take(meter, key, n).await;
    slot.set(meter, verdict);
    if verdict.never {
        return Err(super::problem::batch_too_large(n as usize, verdict.quota.burst));
    }
    if verdict.allowed { Ok(()) } else { Err(over(verdict)) }
}

/// Takes from the quota of the address, for requests without a token.
pub async fn take_anonymous(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    take(request, state, Meter::Anonymous, &address(request), 1).await
}

fn address(request: &HttpRequest) -> String {
    request.peer_addr().map(|a| a.ip().to_string()).unwrap_or_default()
}

/// A platform.
#[derive(Clone, Debug)]
pub struct PlatformToken {
    pub client: Client,
    pub platform: Slug,
}

/// An office, bound to its region.
#[derive(Clone, Debug)]
pub struct OfficeToken {
    pub client: Client,
    pub region: Region,
}

/// An administrator.
#[derive(Clone, Debug)]
pub struct AdminToken {
    pub client: Client,
}

/// A worker, by their link.
#[derive(Clone, Copy, Debug)]
pub struct WorkerToken {
    pub worker: WorkerId,
}

/// A platform or an office: each sees its own part.
#[derive(Clone, Debug)]
pub enum PlatformOrOffice {
    Platform(PlatformToken),
    Office(OfficeToken),
}

/// Who may read a person: an office its own people, an administrator everybody.
#[derive(Clone, Debug)]
pub enum OfficeOrAdmin {
    Office(OfficeToken),
    Admin(AdminToken),
}

impl OfficeOrAdmin {
    pub fn client(&self) -> &Client {
        match self {
            OfficeOrAdmin::Office(office) => &office.client,
            OfficeOrAdmin::Admin(admin) => &admin.client,
        }
    }

    /// Where the people are at home whom they may read.
    pub fn region(&self) -> Region {
        match self {
            OfficeOrAdmin::Office(office) => office.region,
            OfficeOrAdmin::Admin(_) => Region::NATION,
        }
    }
}

fn wrong_role() -> Problem {
    Problem::forbidden("role_forbidden", "This token's role does not reach here.")
}

fn platform(caller: Caller) -> Result<PlatformToken, Problem> {
    match caller {
        Caller::Client(client) if client.role == Role::Platform => {
            let platform = Slug::parse(&client.name).ok_or_else(|| Problem::internal("a platform client without a slug"))?;
            Ok(PlatformToken { client, platform })
        }
        _ => Err(wrong_role()),
    }
}

fn office(caller: Caller) -> Result<OfficeToken, Problem> {
    match caller {
        Caller::Client(client) if client.role == Role::Office => Ok(OfficeToken { region: client.region, client }),
        _ => Err(wrong_role()),
    }
}

fn admin(caller: Caller) -> Result<AdminToken, Problem> {
    match caller {
        Caller::Client(client) if client.role == Role::Admin => Ok(AdminToken { client }),
        _ => Err(wrong_role()),
    }
}

pub(super) fn worker(caller: Caller) -> Result<WorkerToken, Problem> {
    match caller {
        Caller::Worker(worker) => Ok(WorkerToken { worker }),
        _ => Err(wrong_role()),
    }
}

fn platform_or_office(caller: Caller) -> Result<PlatformOrOffice, Problem> {
    match &caller {
        Caller::Client(c) if c.role == Role::Office => office(caller).map(PlatformOrOffice::Office),
        _ => platform(caller).map(PlatformOrOffice::Platform),
    }
}

fn office_or_admin(caller: Caller) -> Result<OfficeOrAdmin, Problem> {
    match &caller {
        Caller::Client(c) if c.role == Role::Admin => admin(caller).map(OfficeOrAdmin::Admin),
        _ => office(caller).map(OfficeOrAdmin::Office),
    }
}

// A macro, since actix wants an implementation for each type and they differ in
// the function alone.
macro_rules! extracted_by {
    ($($type:ty: $from:expr;)*) => {$(
        impl FromRequest for $type {
            type Error = Problem;
            type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let caller = caller(request);
                Box::pin(async move { caller.await.and_then($from) })
            }
        }
    )*};
}
extracted_by! {
    Caller: Ok;
    PlatformToken: platform;
    OfficeToken: office;
    AdminToken: admin;
    PlatformOrOffice: platform_or_office;
    OfficeOrAdmin: office_or_admin;
}

impl FromRequest for WorkerToken {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (caller, state) = (caller(request), request.app_data::<Data<State>>().cloned());
        Box::pin(async move {
            let who = caller.await.and_then(worker)?;
            let state = state.ok_or_else(|| Problem::internal("a route without its state"))?;
            // A token made before its owner was erased opens nothing any more.
            if state.store.is_registered(who.worker).await? { Ok(who) } else { Err(Problem::unauthorized()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let keys = Keys::parse(&Keys::fresh()).unwrap_or_else(|e| panic!("{e:?}"));
        Tokens::new(&keys, "doorstep", Duration::from_secs(900))
    }

    fn token(t: &Tokens, at: i64) -> String {
        let answer = t.issue("someone", "platform", None, Moment::from_ms(at * 1000)).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_holds_for_its_lifetime_and_five_seconds() {
        let t = tokens();
        let token = token(&t, 1_600_000_000);
        let valid = |at: i64| t.check(&token, Moment::from_ms(at * 1000)).is_some();
        assert!(valid(1_600_000_000) && valid(1_600_000_904));
        assert!(!valid(1_600_000_906), "expired");
        assert!(!valid(1_599_999_990), "not yet valid");
    }

    #[test]
    fn a_token_of_other_keys_of_another_algorithm_or_tampered_with_is_refused() {
        let (t, other) = (tokens(), tokens());
        let now = Moment::from_ms(1_600_000_000_000);
        let good = token(&t, 1_600_000_000);
        assert!(other.check(&good, now).is_none());
        let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
        parts[0] = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"none\",\"kid\":\"{}\"}}", t.kid));
        assert!(t.check(&parts.join("."), now).is_none());
        parts[0] = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"HS256\",\"kid\":\"{}\"}}", t.kid));
        assert!(t.check(&parts.join("."), now).is_none());
        let claims = URL_SAFE_NO_PAD.decode(good.split('.').nth(1).unwrap()).unwrap();
        let forged = String::from_utf8(claims).unwrap().replace("platform", "admin");
        let pieces: Vec<&str> = good.split('.').collect();
        assert!(t.check(&format!("{}.{}.{}", pieces[0], URL_SAFE_NO_PAD.encode(forged), pieces[2]), now).is_none());
    }
}
