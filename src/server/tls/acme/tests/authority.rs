//! A certificate authority for tests: the messages of RFC 8555 and RFC 9773, without checks of
//! signatures. Pebble tests the signatures and challenges; this one has what Pebble lacks: profiles,
//! renewal windows and rate limits.

use crate::server::{
    BasePath,
    limits::Timing,
    metrics::HttpMetrics,
    net::{
        PermitLimits, TrustedProxies,
        listener::{ConnectionLimits, ListenerTls, Listeners, listen},
    },
    tls::{Served, https_config, served::certified_key},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use time::OffsetDateTime;
use tokio::sync::watch;

/// How the authority behaves, and what it was asked.
#[derive(Debug, Default)]
pub struct Behaviour {
    /// Payloads of the orders, in order of arrival.
    pub orders: Vec<Value>,
    /// How many accounts were made.
    pub accounts: u32,
    /// Type and `Retry-After` of the problem that answers every order; `None` to accept orders.
    pub refusal: Option<(&'static str, u64)>,
    /// Whether validation fails.
    pub invalid: bool,
    /// Start and end of the renewal window, in seconds from now; `None` without such windows.
    pub window: Option<[i64; 2]>,
    /// The request of the last order.
    request: Option<Vec<u8>>,
    /// Whether the challenge of the last order was announced.
    ready: bool,
}

/// The state of the handlers.
#[derive(Clone)]
struct Shared {
    /// Base of all URLs.
    base: String,
    behaviour: Arc<Mutex<Behaviour>>,
}

/// A running authority; stops when dropped.
pub struct Authority {
    /// URL of its directory.
    pub directory: String,
    /// PEM file of the certificate that its clients trust.
    pub ca_file: PathBuf,
    behaviour: Arc<Mutex<Behaviour>>,
    _stop: watch::Sender<bool>,
    _files: tempfile::TempDir,
}

impl Authority {
    /// Starts on a free port of loopback.
    pub async fn start() -> Self {
        let files = tempfile::tempdir().expect("a directory");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        let ca_file = files.path().join("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).expect("written");
        let secret = made.signing_key.serialize_pem();
        let key = certified_key(made.cert.pem().as_bytes(), secret.as_bytes()).expect("a pair");
        let served = Arc::new(Served::new(key));
        let address = "127.0.0.1:0".parse().expect("an address");
        let listeners = Listeners::bind("test", address).expect("binds");
        let port = listeners.first.local_addr().expect("bound").port();
        let base = format!("https://localhost:{port}");
        let behaviour = Arc::new(Mutex::new(Behaviour::default()));
        let shared = Shared {
            base: base.clone(),
            behaviour: behaviour.clone(),
        };
        let (stop, stopping) = watch::channel(false);
        let limits = ConnectionLimits {
            permits: PermitLimits {
                total: 100,
                per_address: 100,
            },
            reserved: 0,
            proxies: TrustedProxies::default(),
            base_path: BasePath::default(),
        };
        let tls = ListenerTls {
            config: https_config(&served),
            plain: Router::new(),
        };
        let router = routes(shared);
        tokio::spawn(listen(
            listeners,
            (router, HttpMetrics::default(), Some(tls)),
            Timing::default(),
            limits,
            stopping,
        ));
        Self {
            directory: format!("{base}/directory"),
            ca_file,
            behaviour,
            _stop: stop,
            _files: files,
        }
    }

    /// Reads or changes the behaviour.
    pub fn with<T>(&self, change: impl FnOnce(&mut Behaviour) -> T) -> T {
        change(&mut self.behaviour.lock().expect("held for a moment"))
    }
}

/// The resources of RFC 8555, 7.1.
fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/directory", get(directory))
        .route("/nonce", get(|| async { with_nonce(()) }))
        .route("/account", post(new_account))
        .route("/order", post(new_order))
        .route("/order/1", post(order))
        .route("/authorization", post(authorization))
        .route("/challenge", post(challenge))
        .route("/finalize", post(finalize))
        .route("/certificate", post(certificate))
        .route("/renewal/{id}", get(renewal))
        .with_state(shared)
}

/// A response with a fresh nonce.
fn with_nonce(response: impl IntoResponse) -> Response {
    ([("replay-nonce", "bm9uY2U")], response).into_response()
}

/// The payload of a signed request.
fn payload(body: &Value) -> Value {
    let text = body["payload"].as_str().expect("a payload");
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url");
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

async fn directory(State(shared): State<Shared>) -> Json<Value> {
    let base = &shared.base;
    let mut directory = json!({
        "newNonce": format!("{base}/nonce"),
        "newAccount": format!("{base}/account"),
        "newOrder": format!("{base}/order"),
        "revokeCert": format!("{base}/revoke"),
        "keyChange": format!("{base}/key"),
        "meta": {"profiles": {"classic": "90 days", "shortlived": "6 days"}},
    });
    if shared
        .behaviour
        .lock()
        .expect("held for a moment")
        .window
        .is_some()
    {
        directory["renewalInfo"] = json!(format!("{base}/renewal"));
    }
    Json(directory)
}

async fn new_account(State(shared): State<Shared>) -> Response {
    shared.behaviour.lock().expect("held for a moment").accounts += 1;
    let location = [("location", format!("{}/account/1", shared.base))];
    with_nonce((
        StatusCode::CREATED,
        location,
        Json(json!({"status": "valid"})),
    ))
}

async fn new_order(State(shared): State<Shared>, Json(body): Json<Value>) -> Response {
    let payload = payload(&body);
    {
        let mut behaviour = shared.behaviour.lock().expect("held for a moment");
        behaviour.orders.push(payload);
        behaviour.ready = false;
        behaviour.request = None;
        if let Some((kind, seconds)) = behaviour.refusal {
            let problem = json!({
                "type": format!("urn:ietf:params:acme:error:{kind}"),
                "detail": "refused by the test",
                "status": 429,
            });
            let wait = [("retry-after", seconds.to_string())];
            return with_nonce((StatusCode::TOO_MANY_REQUESTS, wait, Json(problem)));
        }
    }
    let location = [("location", format!("{}/order/1", shared.base))];
    with_nonce((StatusCode::CREATED, location, Json(shared.order())))
}

async fn order(State(shared): State<Shared>) -> Response {
    with_nonce(Json(shared.order()))
}

impl Shared {
    /// The state of the last order.
    fn order(&self) -> Value {
        let behaviour = self.behaviour.lock().expect("held for a moment");
        let last = behaviour.orders.last().expect("an order");
        let status = match (&behaviour.request, behaviour.ready) {
            (Some(_), _) => "valid",
            (None, true) if behaviour.invalid => "invalid",
            (None, true) => "ready",
            (None, false) => "pending",
        };
        let mut order = json!({
            "status": status,
            "identifiers": last["identifiers"],
            "authorizations": [format!("{}/authorization", self.base)],
            "finalize": format!("{}/finalize", self.base),
            "certificate": format!("{}/certificate", self.base),
        });
        if let Some(replaces) = last.get("replaces") {
            order["replaces"] = replaces.clone();
        }
        order
    }

    /// The challenge of the last order.
    fn challenge(&self, kind: &str) -> Value {
        let behaviour = self.behaviour.lock().expect("held for a moment");
        let failed = behaviour.ready && behaviour.invalid;
        let mut challenge = json!({
            "type": kind,
            "url": format!("{}/challenge", self.base),
            "token": "dG9rZW4",
            "status": if failed { "invalid" } else { "pending" },
        });
        if failed {
            challenge["error"] = json!({
                "type": "urn:ietf:params:acme:error:dns",
                "detail": "no such name",
            });
        }
        challenge
    }
}

async fn authorization(State(shared): State<Shared>) -> Response {
    let identifier = {
        let behaviour = shared.behaviour.lock().expect("held for a moment");
        behaviour.orders.last().expect("an order")["identifiers"][0].clone()
    };
    with_nonce(Json(json!({
        "status": "pending",
        "identifier": identifier,
        "challenges": [shared.challenge("tls-alpn-01"), shared.challenge("http-01")],
    })))
}

async fn challenge(State(shared): State<Shared>) -> Response {
    let answer = shared.challenge("tls-alpn-01");
    shared.behaviour.lock().expect("held for a moment").ready = true;
    with_nonce(Json(answer))
}

async fn finalize(State(shared): State<Shared>, Json(body): Json<Value>) -> Response {
    let payload = payload(&body);
    let request = payload["csr"].as_str().expect("a request");
    let request = BASE64_URL_SAFE_NO_PAD.decode(request).expect("base64url");
    shared.behaviour.lock().expect("held for a moment").request = Some(request);
    with_nonce(Json(shared.order()))
}

async fn certificate(State(shared): State<Shared>) -> Response {
    let request = shared
        .behaviour
        .lock()
        .expect("held for a moment")
        .request
        .clone();
    let request = request.expect("a request").into();
    let mut request = CertificateSigningRequestParams::from_der(&request).expect("a request");
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 60 * 60);
    request.params.not_before = OffsetDateTime::from(now - day);
    request.params.not_after = OffsetDateTime::from(now + 89 * day);
    request.params.use_authority_key_identifier_extension = true;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let key = KeyPair::generate().expect("a key");
    let issuer = Issuer::new(params, key);
    let signed = request.signed_by(&issuer).expect("signed");
    with_nonce(signed.pem())
}

async fn renewal(State(shared): State<Shared>, Path(_): Path<String>) -> Response {
    let window = shared.behaviour.lock().expect("held for a moment").window;
    let at = |seconds: i64| {
        let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    };
    let [start, end] = window.expect("a window");
    let info = json!({"suggestedWindow": {"start": at(start), "end": at(end)}});
    ([("retry-after", "21600")], Json(info)).into_response()
}
