//! actix-session over Redis, and the raw handler in actix-web, because actix-web itself costs less than axum.

use std::net::TcpListener;

use actix_session::config::{PersistentSession, TtlExtensionPolicy};
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionGetError, SessionInsertError, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::cookie::time::Duration;
use actix_web::http::header::{COOKIE, HeaderValue, SET_COOKIE};
use actix_web::web::{Data, Path, ServiceConfig, get, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError};
use serde_json::Value;

use super::Kind;
use super::raw::{Raw, RawError, key_in};
use crate::Failure;
use crate::shape::{Attributes, COUNTER, LIFETIME_SECONDS, RaceResult, TEXTS, Typed, race_attribute, text};

pub(super) fn serve(kind: Kind, redis: &str, listener: TcpListener) -> Result<(), Failure> {
    actix_web::rt::System::new().block_on(async {
        match kind {
            Kind::ActixRaw => serve_raw(redis, listener).await,
            Kind::ActixRolling => serve_sessions(redis, TtlExtensionPolicy::OnEveryRequest, listener).await,
            _ => serve_sessions(redis, TtlExtensionPolicy::OnStateChanges, listener).await,
        }
    })
}

async fn serve_raw(redis: &str, listener: TcpListener) -> Result<(), Failure> {
    let raw = Data::new(Raw::connect(redis).await?);
    super::announce(listener.local_addr()?)?;
    let server = HttpServer::new(move || App::new().app_data(Data::clone(&raw)).configure(raw_routes));
    server.workers(1).listen(listener)?.run().await?;
    Ok(())
}

async fn serve_sessions(
    redis: &str,
    extension: TtlExtensionPolicy,
    listener: TcpListener,
) -> Result<(), Failure> {
    let store = RedisSessionStore::new(redis).await.map_err(|error| error.to_string())?;
    super::announce(listener.local_addr()?)?;
    let server = HttpServer::new(move || {
        let lifecycle = PersistentSession::default()
            .session_ttl(Duration::seconds(LIFETIME_SECONDS.into()))
            .session_ttl_extension_policy(extension.clone());
        let middleware = SessionMiddleware::builder(store.clone(), Key::from(&[7; 64]))
            .session_lifecycle(lifecycle)
            .build();
        App::new().configure(session_routes).wrap(middleware)
    });
    server.workers(1).listen(listener)?.run().await?;
    Ok(())
}

async fn untouched() -> &'static str {
    "0"
}

impl ResponseError for RawError {}

impl std::fmt::Display for RawError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the session could not be used")
    }
}

fn raw_routes(routes: &mut ServiceConfig) {
    routes
        .route("/seed", post().to(raw_seed))
        .route("/untouched", get().to(untouched))
        .route("/read", get().to(raw_read))
        .route("/rolling", get().to(raw_read_and_extend))
        .route("/modify", post().to(raw_modify));
}

fn key(request: &HttpRequest) -> Result<String, RawError> {
    key_in(request.headers().get(COOKIE).map(HeaderValue::as_bytes))
}

async fn raw_seed(raw: Data<Raw>) -> Result<HttpResponse, RawError> {
    let cookie = raw.begin::<Typed>().await?;
    Ok(HttpResponse::Ok().insert_header((SET_COOKIE, cookie)).finish())
}

async fn raw_read(raw: Data<Raw>, request: HttpRequest) -> Result<String, RawError> {
    let attributes: Typed = raw.load(&key(&request)?).await?;
    Ok(attributes.counter().to_string())
}

async fn raw_read_and_extend(raw: Data<Raw>, request: HttpRequest) -> Result<String, RawError> {
    let attributes: Typed = raw.load_and_extend(&key(&request)?).await?;
    Ok(attributes.counter().to_string())
}

async fn raw_modify(raw: Data<Raw>, request: HttpRequest) -> Result<String, RawError> {
    let key = key(&request)?;
    let mut attributes: Typed = raw.load(&key).await?;
    let counter = attributes.counter() + 1;
    attributes.set_counter(counter);
    raw.save(&key, &attributes).await?;
    Ok(counter.to_string())
}

fn session_routes(routes: &mut ServiceConfig) {
    routes
        .route("/seed", post().to(seed))
        .route("/untouched", get().to(untouched))
        .route("/read", get().to(read))
        .route("/rolling", get().to(read))
        .route("/modify", post().to(modify))
        .route("/race/set/{number}/{hold}", post().to(race_set))
        .route("/race/count/{hold}", post().to(race_count))
        .route("/race/result/{attributes}", get().to(race_result));
}

async fn seed(session: Session) -> Result<HttpResponse, SessionInsertError> {
    session.insert(COUNTER, 0_u64)?;
    for name in TEXTS {
        session.insert(name, text(name))?;
    }
    Ok(HttpResponse::Ok().finish())
}

fn counter(session: &Session) -> Result<u64, SessionGetError> {
    Ok(session.get(COUNTER)?.unwrap_or_default())
}

async fn read(session: Session) -> Result<String, SessionGetError> {
    Ok(counter(&session)?.to_string())
}

async fn modify(session: Session) -> Result<String, actix_web::Error> {
    let next = counter(&session)? + 1;
    session.insert(COUNTER, next)?;
    Ok(next.to_string())
}

async fn race_set(session: Session, path: Path<(usize, u64)>) -> Result<HttpResponse, actix_web::Error> {
    let (number, hold) = path.into_inner();
    counter(&session)?;
    super::hold(hold).await;
    session.insert(race_attribute(number), number)?;
    Ok(HttpResponse::Ok().finish())
}

async fn race_count(session: Session, hold: Path<u64>) -> Result<HttpResponse, actix_web::Error> {
    let next = counter(&session)? + 1;
    super::hold(hold.into_inner()).await;
    session.insert(COUNTER, next)?;
    Ok(HttpResponse::Ok().finish())
}

async fn race_result(session: Session, number: Path<usize>) -> Result<String, SessionGetError> {
    let mut attributes = 0;
    for number in 0..number.into_inner() {
        attributes += usize::from(session.get::<Value>(&race_attribute(number))?.is_some());
    }
    let result = RaceResult { attributes, counter: counter(&session)? };
    Ok(serde_json::to_string(&result).unwrap_or_default())
}
